//! Logins and inits: `/api/login`, `/api/init`, and those of a project.

use crate::openapi::{
    call::{Call, Renewal},
    entries::Entries,
    error_response::ErrorResponse,
    examples,
    field::{Field, Shape, required},
};

use super::fields::{INIT_DATA, INIT_RESULT, PASSWORD, PROJECT, USERNAME};

const PROJECT_LOGIN_RESULT: [Field; 4] = [
    PROJECT,
    required(
        "project_members",
        Shape::Gids(examples::USER),
        "The gids of all active members, the caller first.",
    ),
    required(
        "last_backed_up",
        Shape::Null,
        "Always null: this server makes no backups of product data.",
    ),
    required(
        "cursor",
        Shape::Cursor(4132),
        "The position in the project's own feed at which the response was current.",
    ),
];
const PROJECT_DATA: [Entries; 9] = [
    Entries::Users,
    Entries::Projects,
    Entries::Memberships,
    Entries::Languages,
    Entries::Nothing("definitions"),
    Entries::Nothing("classes"),
    Entries::Nothing("fields"),
    Entries::Nothing("layouts"),
    Entries::Nothing("queries"),
];

pub(super) fn calls() -> Vec<Call> {
    let errors = [
        ErrorResponse::UnknownUser,
        ErrorResponse::Throttled,
        ErrorResponse::Unavailable,
    ];
    let in_project = [INIT_RESULT.as_slice(), &PROJECT_LOGIN_RESULT].concat();
    let api_key = required(
        "api_key",
        Shape::Password(examples::API_KEY),
        "An API key of this project.",
    );
    vec![
        Call::post(
            "/api/login",
            "Log in",
            "Logs a user in with a username and password. Failed attempts are throttled.",
        )
        .with_parameters(&[USERNAME, PASSWORD])
        .with_result(&INIT_RESULT, &INIT_DATA)
        .renewal(Renewal::Always)
        .with_errors(&errors),
        Call::get_or_post(
            "/api/init",
            "Start with a token",
            "Returns the response of a login for the caller, and a new token of the same login.",
        )
        .with_token()
        .with_result(&INIT_RESULT, &INIT_DATA)
        .renewal(Renewal::Always),
        Call::post(
            "/api/p/{project}/login",
            "Log in to a project",
            "Logs an active member of the project in with a username and password.",
        )
        .with_parameters(&[USERNAME, PASSWORD])
        .with_result(&in_project, &PROJECT_DATA)
        .renewal(Renewal::Always)
        .with_errors(&errors),
        Call::post(
            "/api/p/{project}/auth",
            "Log in to a project with an API key",
            "Logs an API user in with its key, which must be a key of this project.",
        )
        .with_parameters(&[api_key])
        .with_result(&in_project, &PROJECT_DATA)
        .renewal(Renewal::Always)
        .with_errors(&errors),
        Call::get_or_post(
            "/api/p/{project}/init",
            "Start in a project with a token",
            "Returns the response of a project login for the caller, and a new token of the same \
             login.",
        )
        .with_token()
        .with_result(&in_project, &PROJECT_DATA)
        .renewal(Renewal::Always)
        .with_errors(&[ErrorResponse::Forbidden]),
    ]
}
