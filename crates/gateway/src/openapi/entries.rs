//! The entries in `data` of a response, with their schemas and examples.

use serde_json::{Value, json};
use utoipa::openapi::{RefOr, Schema};

use super::{
    builders::{list, map, object, reference, text},
    examples,
};

/// Kind of entries under one key of `data`.
#[derive(Clone, Copy)]
pub(super) enum Entries {
    /// The caller, complete.
    Caller,
    ShortUsers,
    /// The caller complete, other users short.
    Users,
    ShortProjects,
    FullProject,
    /// One full project, other projects short.
    Projects,
    Memberships,
    ShortMemberships,
    Languages,
    /// Object that is always empty, such as `definitions` or `classes`.
    Nothing(&'static str),
}

impl Entries {
    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::Caller | Self::ShortUsers | Self::Users => "cc.users",
            Self::ShortProjects | Self::FullProject | Self::Projects => "cc.projects",
            Self::Memberships | Self::ShortMemberships => "cc.projects_members",
            Self::Languages => "cc.languages",
            Self::Nothing(key) => key,
        }
    }

    pub(super) fn schema(self) -> RefOr<Schema> {
        match self {
            Self::Caller => map(reference("CompleteUser")).into(),
            Self::ShortUsers => map(reference("ShortUser")).into(),
            Self::Users => map(reference("User")).into(),
            Self::ShortProjects => map(reference("ShortProject")).into(),
            Self::FullProject => map(reference("FullProject")).into(),
            Self::Projects => map(reference("Project")).into(),
            Self::Memberships => list(reference("Membership")),
            Self::ShortMemberships => list(reference("ShortMembership")),
            Self::Languages => map(text().into()).into(),
            Self::Nothing(_) => object([], true).into(),
        }
    }

    pub(super) fn example(self) -> Value {
        match self {
            Self::Caller => json!({examples::USER: examples::user_details()}),
            Self::ShortUsers => json!({examples::OTHER_USER: examples::user_summary()}),
            Self::Users => json!({
                examples::USER: examples::user_details(),
                examples::OTHER_USER: examples::user_summary(),
            }),
            Self::ShortProjects => json!({examples::PROJECT: examples::project_summary()}),
            Self::FullProject | Self::Projects => {
                json!({examples::PROJECT: examples::full_project()})
            }
            Self::Memberships => json!([examples::membership_details()]),
            Self::ShortMemberships => json!([examples::membership_summary()]),
            Self::Languages => json!({"en": "English", "nl": "Dutch"}),
            Self::Nothing(_) => json!({}),
        }
    }

    /// Returns the description on the page.
    pub(super) const fn description(self) -> &'static str {
        match self {
            Self::Caller => "the caller, complete",
            Self::ShortUsers => "users, short",
            Self::Users => "users: the caller complete, others short",
            Self::ShortProjects => "projects, short",
            Self::FullProject => "the project, full",
            Self::Projects => "projects: one full, others short",
            Self::Memberships => "memberships, with the options that the caller is allowed to see",
            Self::ShortMemberships => "memberships, short",
            Self::Languages => "English names of all languages, by code",
            Self::Nothing(_) => "empty, because this server stores no product data",
        }
    }
}
