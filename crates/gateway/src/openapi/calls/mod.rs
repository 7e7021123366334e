//! The calls: an entry for each line of `app.rs`.

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

/// The sections, in the order of the page.
pub(super) const SECTIONS: [(&str, &str); 11] = [
    (
        LOGINS,
        "Who they are, and all that their app needs to start.",
    ),
    (
        SIGNUP,
        "An account, and a new password, by codes that are mailed: each is good once, for 15 minutes and 5 tries.",
    ),
    (
        ACCOUNT,
        "What people do with their own account. API users may only log out.",
    ),
    (INVITATIONS, "By who is invited."),
    (VIEWS, "Single entries, as the caller may see them."),
    (PROJECTS, "Projects as a whole."),
    (MEMBERS, "The members of a project, for its active members."),
    (
        API_KEYS,
        "The programs of a project and their keys, for its owner.",
    ),
    (
        LISTS,
        "What a project has besides its name, for its active members.",
    ),
    (
        SYNC,
        "What has changed since a cursor, for who has logged in once and wants to stay up to date.",
    ),
    (PUBLIC, "Without a token."),
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
const PUBLIC: &str = "Beside the calls";

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
    "Upper and lower case differ.",
);
const PASSWORD: Field = required(
    "password",
    Shape::Password(examples::PASSWORD),
    "Taken as it is, never trimmed.",
);
const EMAIL: Field = required(
    "email",
    Shape::Text("ann@example.org"),
    "Upper and lower case are the same.",
);
const VALIDATION_CODE: Field = required(
    "validation_code",
    Shape::Text("0b7f5b64-7f3b-4f39-9c50-1c8d5c2f7b55"),
    "From the first step's answer.",
);
const VERIFICATION_CODE: Field =
    required("verification_code", Shape::Text("K7MW4P"), "From the mail.");
const PROJECT: Field = required("project", Shape::Gid(examples::PROJECT), "The project.");
const USER: Field = required("user", Shape::Gid(examples::USER), "The user.");
const OTHER_USER: Field = required("user", Shape::Gid(examples::OTHER_USER), "The user.");
const API_USER: Field = required("user", Shape::Gid(examples::API_USER), "The API user.");
const NAME: Field = required(
    "name",
    Shape::Text("Spring catalogue"),
    "At most 200 characters, none of them a control character; trimmed.",
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

/// Of logins and inits.
const INIT_RESULT: [Field; 4] = [
    USER,
    required(
        "user_projects",
        Shape::UserProjects,
        "The active projects that they own or are an active member of.",
    ),
    required(
        "cc.version",
        Shape::Release,
        "The version of the published API; versions compare as text.",
    ),
    required(
        "cc.cursor",
        Shape::Cursor(4132),
        "The position in the change feed at which this was true.",
    ),
];
const INIT_DATA: [Entries; 4] = [
    Entries::Users,
    Entries::ShortProjects,
    Entries::Memberships,
    Entries::Languages,
];
