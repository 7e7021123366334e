//! The descriptions of all calls, one for each route of `app.rs`.

mod account;
mod api_keys;
mod fields;
mod invitations;
mod logins;
mod members;
mod project_options;
mod projects;
mod public;
mod signup;
mod sync;
mod users;

use super::call::Call;

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
        USERS,
        "Single users and members, if they are visible to the caller.",
    ),
    (PROJECTS, "Projects and their icons."),
    (MEMBERS, "The members of a project. For its active members."),
    (
        API_KEYS,
        "The API users of a project and their keys. For its owner.",
    ),
    (
        PROJECT_OPTIONS,
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
const USERS: &str = "Users and members";
const PROJECTS: &str = "Projects";
const MEMBERS: &str = "Members of a project";
const API_KEYS: &str = "API keys";
const PROJECT_OPTIONS: &str = "Languages, channels, orderings, fieldlists";
const SYNC: &str = "Sync";
const PUBLIC: &str = "Public data";

/// Returns all calls with their sections, in the order of the page.
pub(super) fn all() -> Vec<Call> {
    let sections = [
        (LOGINS, logins::calls()),
        (SIGNUP, signup::calls()),
        (ACCOUNT, account::calls()),
        (INVITATIONS, invitations::calls()),
        (USERS, users::calls()),
        (PROJECTS, projects::calls()),
        (MEMBERS, members::calls()),
        (API_KEYS, api_keys::calls()),
        (PROJECT_OPTIONS, project_options::calls()),
        (SYNC, sync::calls()),
        (PUBLIC, public::calls()),
    ];
    sections
        .into_iter()
        .flat_map(|(section, calls)| calls.into_iter().map(move |call| Call { section, ..call }))
        .collect()
}
