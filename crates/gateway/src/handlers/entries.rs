//! JSON of the entries of the API: `cc.users`, `cc.projects` and `cc.projects_members`. It
//! serializes the fields that the directory sent, and knows no rule of visibility: absent fields
//! are the ones that the caller must not see.

use doorward_rpc::directory::v1 as pb;
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Value, json};

/// Users by gid, `{"<gid>": {...}}`: complete with details, otherwise short.
pub(crate) struct Users<'a> {
    pub(crate) caller: Option<&'a pb::User>,
    pub(crate) others: &'a [pb::User],
}

/// Projects by gid, full or short.
pub(crate) struct Projects<'a>(pub(crate) &'a [pb::Project]);

/// List of memberships.
pub(crate) struct Memberships<'a>(pub(crate) &'a [pb::Membership]);

/// Roles of the caller by project, `{"<gid>": ["owner"]}`.
pub(crate) struct UserProjects<'a>(pub(crate) &'a [pb::UserProject]);

#[derive(Serialize)]
struct User<'a> {
    gid: &'a str,
    username: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    /// Absent in a short user, null in a complete user without an address.
    email: Option<Option<&'a str>>,
    name: &'a str,
    avatar: Option<&'a str>,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    options: Option<UserOptions<'a>>,
}

#[derive(Serialize)]
struct UserOptions<'a> {
    language: &'a str,
    timezone: &'a str,
}

impl<'a> User<'a> {
    fn new(user: &'a pb::User) -> Self {
        let details = user.details.as_ref();
        Self {
            gid: &user.gid,
            username: user.username.as_deref(),
            email: details.map(|details| details.email.as_deref()),
            name: &user.name,
            avatar: user.avatar.as_deref(),
            status: user_status_name(user.status()),
            options: details.map(|details| UserOptions {
                language: &details.language,
                timezone: &details.timezone,
            }),
        }
    }
}

impl Serialize for Users<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for user in self.caller.into_iter().chain(self.others) {
            map.serialize_entry(&user.gid, &User::new(user))?;
        }
        map.end()
    }
}

#[derive(Serialize)]
struct Project<'a> {
    gid: &'a str,
    name: &'a str,
    icon: Option<&'a str>,
    owner: &'a str,
    status: &'static str,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    details: Option<ProjectDetails<'a>>,
}

/// Additional fields of a full project.
#[derive(Serialize)]
struct ProjectDetails<'a> {
    options: ProjectOptions<'a>,
    build: u32,
    backups: Value,
}

#[derive(Serialize)]
struct ProjectOptions<'a> {
    channels: Names<'a>,
    orderedchannels: Vec<&'a str>,
    orderings: Names<'a>,
    orderedorderings: Vec<&'a str>,
    fieldlists: Names<'a>,
    orderedfieldlists: Vec<&'a str>,
    languages: &'a [String],
    timezone: &'a str,
    imageserver: Value,
}

/// Names of items by gid, `{"<gid>": "<name>"}`.
struct Names<'a> {
    first: Option<(&'a str, &'a str)>,
    items: &'a [pb::ProjectItem],
}

/// Channel that every project has and that cannot be changed: key and name.
const ALL: (&str, &str) = ("__all__", "[all records]");

impl<'a> ProjectDetails<'a> {
    fn new(options: &'a pb::ProjectOptions) -> Self {
        let names = |items: &'a [pb::ProjectItem]| Names { first: None, items };
        let gids = |items: &'a [pb::ProjectItem]| items.iter().map(|item| item.gid.as_str());
        let options = ProjectOptions {
            channels: Names {
                first: Some(ALL),
                items: &options.channels,
            },
            orderedchannels: std::iter::once(ALL.0)
                .chain(gids(&options.channels))
                .collect(),
            orderings: names(&options.orderings),
            orderedorderings: gids(&options.orderings).collect(),
            fieldlists: names(&options.fieldlists),
            orderedfieldlists: gids(&options.fieldlists).collect(),
            languages: &options.languages,
            timezone: &options.timezone,
            imageserver: json!({"type": "ccdam", "options": {}}),
        };
        Self {
            options,
            // Clients expect these fields. They never change, because this server stores no product
            // data.
            build: 1,
            backups: json!({"versions": [], "next_version": 1}),
        }
    }
}

impl Serialize for Names<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let items = self
            .items
            .iter()
            .map(|item| (item.gid.as_str(), item.name.as_str()));
        serializer.collect_map(self.first.into_iter().chain(items))
    }
}

impl Serialize for Projects<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|project| {
            let entry = Project {
                gid: &project.gid,
                name: &project.name,
                icon: project.icon.as_deref(),
                owner: &project.owner_gid,
                status: match project.status() {
                    pb::ProjectStatus::Active => "active",
                    pb::ProjectStatus::Deleted | pb::ProjectStatus::Unspecified => "deleted",
                },
                details: project.options.as_ref().map(ProjectDetails::new),
            };
            (&project.gid, entry)
        }))
    }
}

#[derive(Serialize)]
struct Membership<'a> {
    project_gid: &'a str,
    user_gid: &'a str,
    status: &'static str,
    roles: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    options: Option<MembershipOptions<'a>>,
}

#[derive(Serialize)]
struct MembershipOptions<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    notifications: Option<Notifications<'a>>,
    rate_limit_per_second: Option<u32>,
}

#[derive(Serialize)]
struct Notifications<'a> {
    email: Option<&'a str>,
    events: &'a [String],
    frequency: &'a str,
}

impl<'a> Membership<'a> {
    fn new(membership: &'a pb::Membership) -> Self {
        Self {
            project_gid: &membership.project_gid,
            user_gid: &membership.user_gid,
            status: membership_status_name(membership.status()),
            roles: membership.roles().filter_map(role_name).collect(),
            options: membership
                .options
                .as_ref()
                .map(|options| MembershipOptions {
                    notifications: options.notifications.as_ref().map(|notifications| {
                        Notifications {
                            email: notifications.email.as_deref(),
                            events: &notifications.events,
                            frequency: &notifications.frequency,
                        }
                    }),
                    rate_limit_per_second: options.rate_limit_per_second,
                }),
        }
    }
}

impl Serialize for Memberships<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(Membership::new))
    }
}

impl Serialize for UserProjects<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|project| {
            (
                &project.project_gid,
                project.roles().filter_map(role_name).collect::<Vec<_>>(),
            )
        }))
    }
}

/// Name of a status in the API. An unknown status, from a directory of a newer release, is treated
/// as not active.
const fn user_status_name(status: pb::UserStatus) -> &'static str {
    match status {
        pb::UserStatus::Active => "active",
        pb::UserStatus::Invited => "invited",
        pb::UserStatus::Inactive | pb::UserStatus::Unspecified => "inactive",
        pb::UserStatus::Deleted => "deleted",
    }
}

/// Name of a status in the API; unknown ones are treated as for users.
const fn membership_status_name(status: pb::MembershipStatus) -> &'static str {
    match status {
        pb::MembershipStatus::Active => "active",
        pb::MembershipStatus::Invited => "invited",
        pb::MembershipStatus::Declined => "declined",
        pb::MembershipStatus::Inactive | pb::MembershipStatus::Unspecified => "inactive",
    }
}

/// Name of a role in the API. Unknown roles are omitted.
const fn role_name(role: pb::Role) -> Option<&'static str> {
    match role {
        pb::Role::Owner => Some("owner"),
        pb::Role::Member => Some("member"),
        pb::Role::Api => Some("api"),
        pb::Role::Unspecified => None,
    }
}
