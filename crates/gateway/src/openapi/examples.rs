//! Example entries for the document and the page: Ann, her project and its members.

use serde_json::{Value, json};

pub(super) const USER: &str = "e1b27b3a-0fa9-4c19-b2e3-62c9fbfed36c";
pub(super) const OTHER_USER: &str = "1f1544c9-dd69-40c0-b953-bbc704be75d2";
pub(super) const API_USER: &str = "dfcc82fe-fbb0-41b0-a72d-2f77624573d6";
pub(super) const PROJECT: &str = "183c5157-a5d3-4c46-8d19-f8a273f89eb0";
pub(super) const ITEM: &str = "6f4a1d0e-3b0c-4b52-9a55-7d2fd6a1c0b7";
pub(super) const PASSWORD: &str = "correct horse battery staple";
pub(super) const API_KEY: &str = "dw_AP8aNXSoEQKhfWqLhoxtrbqF9CvRVv7Caxn2iMPqVUFrFEd2u";

pub(super) fn user_details() -> Value {
    json!({
        "gid": USER, "username": "ann", "email": "ann@example.org", "name": "Ann Smit",
        "avatar": null, "status": "active",
        "options": {"language": "en", "timezone": "Europe/Amsterdam"}
    })
}

pub(super) fn user_summary() -> Value {
    json!({
        "gid": OTHER_USER, "username": "ben", "name": "Ben Bakker", "avatar": null,
        "status": "active"
    })
}

pub(super) fn project_summary() -> Value {
    json!({
        "gid": PROJECT, "name": "Spring catalogue", "icon": null, "owner": USER,
        "status": "active"
    })
}

pub(super) fn full_project() -> Value {
    json!({
        "gid": PROJECT, "name": "Spring catalogue", "icon": null, "owner": USER,
        "status": "active",
        "options": {
            "channels": {"__all__": "[all records]", ITEM: "Main channel"},
            "orderedchannels": ["__all__", ITEM],
            "orderings": {ITEM: "Main ordering"}, "orderedorderings": [ITEM],
            "fieldlists": {ITEM: "Main fieldlist"}, "orderedfieldlists": [ITEM],
            "languages": ["en", "nl"], "timezone": "Europe/Amsterdam",
            "imageserver": {"type": "ccdam", "options": {}}
        },
        "build": 1, "backups": {"versions": [], "next_version": 1}
    })
}

pub(super) fn membership_details() -> Value {
    json!({
        "project_gid": PROJECT, "user_gid": USER, "status": "active", "roles": ["owner", "member"],
        "options": {
            "notifications": {
                "email": "ann@example.org", "events": ["all"], "frequency": "immediate"
            },
            "rate_limit_per_second": null
        }
    })
}

pub(super) fn membership_with_limit() -> Value {
    json!({
        "project_gid": PROJECT, "user_gid": API_USER, "status": "active", "roles": ["api"],
        "options": {"rate_limit_per_second": null}
    })
}

pub(super) fn membership_summary() -> Value {
    json!({
        "project_gid": PROJECT, "user_gid": OTHER_USER, "status": "invited", "roles": ["member"]
    })
}

/// Returns the entries that the page shows: name, description and example.
pub(super) fn entries() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        (
            "User, complete",
            "The caller, in `cc.users`.",
            user_details(),
        ),
        (
            "User, short",
            "Any other user, in `cc.users`. It never has an email address.",
            user_summary(),
        ),
        (
            "Project, short",
            "A project in `cc.projects` of logins and inits.",
            project_summary(),
        ),
        (
            "Project, full",
            "A project in `cc.projects` of all other calls.",
            full_project(),
        ),
        (
            "Membership, complete",
            "The caller's own membership, in `cc.projects_members`.",
            membership_details(),
        ),
        (
            "Membership with its limit",
            "The own membership of an API user, and the membership of another member as the owner \
             of the project sees it.",
            membership_with_limit(),
        ),
        (
            "Membership, short",
            "The membership of another member.",
            membership_summary(),
        ),
    ]
}

pub(super) fn feed_row() -> Value {
    json!({
        "type": "cc", "cursor": 4133, "action": "UPDATE", "data_type": "cc.users",
        "data_key": OTHER_USER
    })
}
