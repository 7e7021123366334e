//! The descriptions of all calls, one for each route of `app.rs`, and the parameters and results
//! that several calls share.

mod account;
mod api_keys;
mod invitations;
mod logins;
mod members;
pub(crate) mod project_options;
mod projects;
pub(crate) mod public;
mod signup;
mod sync;
pub(crate) mod users;

use super::{
    call::Call,
    entries::Entries,
    examples,
    field::{Field, Shape, required},
};

/// Sections and their descriptions, in the order of the page. They are the tags of the document.
pub(super) const SECTIONS: [(&str, &str); 11] = [
    (
        LOGINS,
        "Calls that log a user or an API user in and return everything that an app needs at its \
         start.",
    ),
    (
        SIGNUP,
        "Calls that create an account or reset a password, in two steps with a code that is \
         mailed. A code is valid once, for 15 minutes and 5 attempts.",
    ),
    (
        ACCOUNT,
        "Calls about the caller's own account. API users can only log out.",
    ),
    (
        INVITATIONS,
        "Calls for the invitee: view, accept or decline an invitation, or leave a project.",
    ),
    (
        VIEWS,
        "Single users and members, if they are visible to the caller.",
    ),
    (PROJECTS, "Projects and their icons."),
    (MEMBERS, "The members of a project. For its active members."),
    (
        API_KEYS,
        "The API users of a project and their keys. For its owner.",
    ),
    (
        LISTS,
        "The languages, channels, orderings and fieldlists of a project. For its active members.",
    ),
    (
        SYNC,
        "The changes since a cursor, with which a client stays up to date after its login.",
    ),
    (
        PUBLIC,
        "Version, languages, public keys, pictures and this document, without a token.",
    ),
];

const LOGINS: &str = "Logging in";
const SIGNUP: &str = "Signing up";
const ACCOUNT: &str = "Account";
const INVITATIONS: &str = "Invitations";
const VIEWS: &str = "Users and members";
const PROJECTS: &str = "Projects";
const MEMBERS: &str = "Members of a project";
const API_KEYS: &str = "API keys";
const LISTS: &str = "Languages, channels, orderings, fieldlists";
const SYNC: &str = "Sync";
const PUBLIC: &str = "Public data";

/// Returns all calls with their sections, in the order of the page.
pub(super) fn all() -> Vec<Call> {
    let sections = [
        (LOGINS, logins::calls()),
        (SIGNUP, signup::calls()),
        (ACCOUNT, account::calls()),
        (INVITATIONS, invitations::calls()),
        (VIEWS, users::calls()),
        (PROJECTS, projects::calls()),
        (MEMBERS, members::calls()),
        (API_KEYS, api_keys::calls()),
        (LISTS, project_options::calls()),
        (SYNC, sync::calls()),
        (PUBLIC, public::calls()),
    ];
    let named = |(section, calls): (&'static str, Vec<Call>)| {
        calls.into_iter().map(move |call| Call { section, ..call })
    };
    sections.into_iter().flat_map(named).collect()
}

const USERNAME: Field = required(
    "username",
    Shape::Text("ann"),
    "The username. It is case-sensitive.",
);
const PASSWORD: Field = required(
    "password",
    Shape::Password(examples::PASSWORD),
    "The password. It is never trimmed.",
);
const EMAIL: Field = required(
    "email",
    Shape::Text("ann@example.org"),
    "The email address. It is not case-sensitive.",
);
const VALIDATION_CODE: Field = required(
    "validation_code",
    Shape::Text("0b7f5b64-7f3b-4f39-9c50-1c8d5c2f7b55"),
    "The validation code from the response of the first step.",
);
const VERIFICATION_CODE: Field = required(
    "verification_code",
    Shape::Text("K7MW4P"),
    "The verification code from the email.",
);
const PROJECT: Field = required(
    "project",
    Shape::Gid(examples::PROJECT),
    "The gid of the project.",
);
const USER: Field = required("user", Shape::Gid(examples::USER), "The gid of the user.");
const OTHER_USER: Field = required(
    "user",
    Shape::Gid(examples::OTHER_USER),
    "The gid of the user.",
);
const API_USER: Field = required(
    "user",
    Shape::Gid(examples::API_USER),
    "The gid of the API user.",
);
const NAME: Field = required(
    "name",
    Shape::Text("Spring catalogue"),
    "The name: at most 200 characters, without control characters; trimmed.",
);

const WRONG_CODE: (&str, &str) = ("verification_code", "incorrect");
const BAD_NAME: [(&str, &str); 2] = [("name", "invalid"), ("name", "too_long")];
const BAD_USERNAME: [(&str, &str); 2] = [("username", "invalid"), ("username", "too_long")];
const USERNAME_TAKEN: (&str, &str) = ("username", "unavailable");
const BAD_PASSWORD: [(&str, &str); 3] = [
    ("password", "weak"),
    ("password", "too_long"),
    ("password", "invalid"),
];

/// Result of logins and inits.
const INIT_RESULT: [Field; 4] = [
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
const INIT_DATA: [Entries; 4] = [
    Entries::Users,
    Entries::ShortProjects,
    Entries::Memberships,
    Entries::Languages,
];
