//! `/api/username`, `/api/signup...`, `/api/reset_password...`.

use crate::openapi::{
    call::{Call, Renewal},
    error_response::Refusal,
    field::{Field, Shape, required},
};

use super::{
    BAD_PASSWORD, BAD_USERNAME, EMAIL, INIT_DATA, INIT_RESULT, PASSWORD, USERNAME, USERNAME_TAKEN,
    VALIDATION_CODE, VERIFICATION_CODE, WRONG_CODE,
};

const NEW_PASSWORD: Field = Field {
    name: "new_password",
    ..PASSWORD
};

pub(super) fn calls() -> Vec<Call> {
    let open = [Refusal::Throttled, Refusal::Unavailable];
    let bad_email = ("email", "invalid");
    let available = required("available", Shape::Switch(true), "Whether it is free.");
    let name_or_email = required("username_or_email", Shape::Text("ann"), "Either.");
    let usernames = required(
        "usernames",
        Shape::Texts(&["ann"]),
        "Of all accounts with this email, or the one named.",
    );
    vec![
        Call::post(
            "/api/username",
            "Ask whether a username is free",
            "The name comes back as normalised (RFC 8265).",
        )
        .with_parameters(&[USERNAME])
        .with_result(&[USERNAME, available], &[])
        .with_errors(&open)
        .with_validation(&BAD_USERNAME),
        Call::post(
            "/api/signup_request",
            "Begin to sign up",
            "Mails a code. Whether the email has an account already is told by mail alone.",
        )
        .with_parameters(&[USERNAME, PASSWORD, EMAIL])
        .with_result(&[VALIDATION_CODE], &[])
        .with_errors(&open)
        .with_validation(&[USERNAME_TAKEN])
        .with_validation(&BAD_USERNAME)
        .with_validation(&BAD_PASSWORD)
        .with_validation(&[bad_email]),
        Call::post(
            "/api/signup",
            "Sign up",
            "With what the first step was given, and both codes.",
        )
        .with_parameters(&[
            USERNAME,
            PASSWORD,
            EMAIL,
            VALIDATION_CODE,
            VERIFICATION_CODE,
        ])
        .with_result(&INIT_RESULT, &INIT_DATA)
        .renewal(Renewal::Always)
        .with_errors(&open)
        .with_validation(&[WRONG_CODE, USERNAME_TAKEN])
        .with_validation(&BAD_USERNAME)
        .with_validation(&BAD_PASSWORD)
        .with_validation(&[bad_email]),
        Call::post(
            "/api/reset_password_request",
            "Begin to set a forgotten password anew",
            "Mails a code.",
        )
        .with_parameters(&[name_or_email])
        .with_result(&[VALIDATION_CODE, usernames], &[])
        .with_errors(&open)
        .with_reasons(&["user_not_found"]),
        Call::post(
            "/api/reset_password",
            "Set a forgotten password anew",
            "Every earlier token of the user ends at once.",
        )
        .with_parameters(&[USERNAME, NEW_PASSWORD, VALIDATION_CODE, VERIFICATION_CODE])
        .with_result(&INIT_RESULT, &INIT_DATA)
        .renewal(Renewal::Always)
        .with_errors(&open)
        .with_reasons(&["user_not_found"])
        .with_validation(&[WRONG_CODE])
        .with_validation(&BAD_PASSWORD),
    ]
}
