//! Parameters, results and validation errors that several calls share.

use crate::openapi::{
    entries::Entries,
    examples,
    field::{Field, Shape, required},
};

pub(super) const USERNAME: Field = required(
    "username",
    Shape::Text("ann"),
    "The username. It is case-sensitive.",
);
pub(super) const PASSWORD: Field = required(
    "password",
    Shape::Password(examples::PASSWORD),
    "The password. It is never trimmed.",
);
pub(super) const EMAIL: Field = required(
    "email",
    Shape::Text("ann@example.org"),
    "The email address. It is not case-sensitive.",
);
pub(super) const VALIDATION_CODE: Field = required(
    "validation_code",
    Shape::Text("0b7f5b64-7f3b-4f39-9c50-1c8d5c2f7b55"),
    "The validation code from the response of the first step.",
);
pub(super) const VERIFICATION_CODE: Field = required(
    "verification_code",
    Shape::Text("K7MW4P"),
    "The verification code from the email.",
);
pub(super) const PROJECT: Field = required(
    "project",
    Shape::Gid(examples::PROJECT),
    "The gid of the project.",
);
pub(super) const USER: Field = required("user", Shape::Gid(examples::USER), "The gid of the user.");
pub(super) const OTHER_USER: Field = required(
    "user",
    Shape::Gid(examples::OTHER_USER),
    "The gid of the user.",
);
pub(super) const API_USER: Field = required(
    "user",
    Shape::Gid(examples::API_USER),
    "The gid of the API user.",
);
pub(super) const NAME: Field = required(
    "name",
    Shape::Text("Spring catalogue"),
    "The name: at most 200 characters, without control characters; trimmed.",
);

pub(super) const WRONG_CODE: (&str, &str) = ("verification_code", "incorrect");
pub(super) const BAD_NAME: [(&str, &str); 2] = [("name", "invalid"), ("name", "too_long")];
pub(super) const BAD_USERNAME: [(&str, &str); 2] =
    [("username", "invalid"), ("username", "too_long")];
pub(super) const USERNAME_TAKEN: (&str, &str) = ("username", "unavailable");
pub(super) const BAD_PASSWORD: [(&str, &str); 3] = [
    ("password", "weak"),
    ("password", "too_long"),
    ("password", "invalid"),
];

/// Result of logins and inits.
pub(super) const INIT_RESULT: [Field; 4] = [
    USER,
    required(
        "user_projects",
        Shape::UserProjects,
        "The active projects in which the user is an active member, with the user's roles.",
    ),
    required(
        "cc.version",
        Shape::Release,
        "The version of the published API. Versions are compared as text.",
    ),
    required(
        "cc.cursor",
        Shape::Cursor(4132),
        "The position in the change feed at which the response was current.",
    ),
];
pub(super) const INIT_DATA: [Entries; 4] = [
    Entries::Users,
    Entries::ShortProjects,
    Entries::Memberships,
    Entries::Languages,
];
