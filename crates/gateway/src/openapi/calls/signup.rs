//! Signup and password resets: `/api/username`, `/api/signup...`, `/api/reset_password...`.

use crate::openapi::{
    call::{Call, Renewal},
    error_response::ErrorResponse,
    field::{Field, Shape, required},
};

use super::fields::{
    BAD_PASSWORD, BAD_USERNAME, EMAIL, INIT_DATA, INIT_RESULT, PASSWORD, USERNAME, USERNAME_TAKEN,
    VALIDATION_CODE, VERIFICATION_CODE, WRONG_CODE,
};

const NEW_PASSWORD: Field = Field {
    name: "new_password",
    ..PASSWORD
};

pub(super) fn calls() -> Vec<Call> {
    let errors = [ErrorResponse::Throttled, ErrorResponse::Unavailable];
    let bad_email = ("email", "invalid");
    let available = required(
        "available",
        Shape::Switch(true),
        "Whether the username is free.",
    );
    let name_or_email = required(
        "username_or_email",
        Shape::Text("ann"),
        "The username, or the email address of one or several accounts.",
    );
    let usernames = required(
        "usernames",
        Shape::Texts(&["ann"]),
        "The usernames of all active accounts with this email address, or the given username.",
    );
    vec![
        Call::post(
            "/api/username",
            "Ask whether a username is free",
            "Returns whether a username is free, and its normalized form (RFC 8265).",
        )
        .with_parameters(&[USERNAME])
        .with_result(&[USERNAME, available], &[])
        .with_errors(&errors)
        .with_validation(&BAD_USERNAME),
        Call::post(
            "/api/signup_request",
            "Begin to sign up",
            "Mails a verification code to the address. If the address has an account already, the \
             response is the same, and only the mail says it.",
        )
        .with_parameters(&[USERNAME, PASSWORD, EMAIL])
        .with_result(&[VALIDATION_CODE], &[])
        .with_errors(&errors)
        .with_validation(&[USERNAME_TAKEN])
        .with_validation(&BAD_USERNAME)
        .with_validation(&BAD_PASSWORD)
        .with_validation(&[bad_email]),
        Call::post(
            "/api/signup",
            "Sign up",
            "Creates the account and logs the user in. Repeats the values of the first step, with \
             both codes.",
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
        .with_errors(&errors)
        .with_validation(&[WRONG_CODE, USERNAME_TAKEN])
        .with_validation(&BAD_USERNAME)
        .with_validation(&BAD_PASSWORD)
        .with_validation(&[bad_email]),
        Call::post(
            "/api/reset_password_request",
            "Begin to reset a forgotten password",
            "Mails a verification code to the address of the account.",
        )
        .with_parameters(&[name_or_email])
        .with_result(&[VALIDATION_CODE, usernames], &[])
        .with_errors(&errors)
        .with_reasons(&["user_not_found"]),
        Call::post(
            "/api/reset_password",
            "Reset a forgotten password",
            "Sets a new password and logs the user in. Every earlier token of the user is rejected \
             at once.",
        )
        .with_parameters(&[USERNAME, NEW_PASSWORD, VALIDATION_CODE, VERIFICATION_CODE])
        .with_result(&INIT_RESULT, &INIT_DATA)
        .renewal(Renewal::Always)
        .with_errors(&errors)
        .with_reasons(&["user_not_found"])
        .with_validation(&[WRONG_CODE])
        .with_validation(&BAD_PASSWORD),
    ]
}
