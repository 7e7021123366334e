//! Conversion between the types of the directory and the messages of its gRPC contract. It decides
//! which details and options a message has for its receiver.

use doorward_domain::{Gid, Role};
use doorward_rpc::directory::v1 as pb;

use crate::{
    FullProject, Member, SyncPage, SyncRow, VisibleMembers,
    feed::{audience::Audience, new_change::MEMBERSHIPS},
    model::{
        Action, ApiUser, Change, FeedEvent, Membership, Notifications, Project, ProjectItem,
        ProjectOptions, User, UserSummary,
    },
    projects::init::ProjectInit,
    users::init::Init,
};

/// Converts the init of one project.
pub(crate) fn project_init(init: ProjectInit) -> pb::GetProjectInitResponse {
    let email = init.caller.email.clone();
    let own = init
        .own_membership()
        .map(|own| membership_with_options(own, Some(own_options(own, email.as_deref()))));
    let is_owner = init.is_owner();
    let others = init
        .other_memberships
        .iter()
        .map(|other| membership_with_options(other, owner_options(other, is_owner)));
    let memberships = own.into_iter().chain(others).collect();
    let active_member_gids = init.active_members().map(|gid| gid.to_string()).collect();
    let user_projects = user_projects(crate::users::init::user_projects(
        &init.projects,
        &init.own_memberships,
    ));
    let mut options = Some(options(init.options));
    // Only the project of this init is converted in full.
    let convert_project = |summary: Project| {
        let options = if summary.gid == init.project {
            options.take()
        } else {
            None
        };
        pb::Project {
            options,
            ..project(summary)
        }
    };
    pb::GetProjectInitResponse {
        projects: init.projects.into_iter().map(convert_project).collect(),
        user_projects,
        memberships,
        active_member_gids,
        user: Some(user(init.caller)),
        users: init.users.into_iter().map(other_user).collect(),
        cursor: init.cursor,
        is_unchanged: false,
    }
}

fn user_projects(projects: impl Iterator<Item = (Gid, Role)>) -> Vec<pb::UserProject> {
    projects
        .map(|(project, role)| pb::UserProject {
            project_gid: project.to_string(),
            roles: vec![pb::Role::from(role).into()],
        })
        .collect()
}

/// Converts a project, in full if the caller sees its options.
pub(crate) fn visible_project(summary: Project, details: Option<ProjectOptions>) -> pb::Project {
    pb::Project {
        options: details.map(options),
        ..project(summary)
    }
}

/// Converts a project in full.
pub(crate) fn full_project(full: FullProject) -> pb::Project {
    pb::Project {
        options: Some(options(full.options)),
        ..project(full.project)
    }
}

fn options(options: ProjectOptions) -> pb::ProjectOptions {
    let items = |items: Vec<ProjectItem>| {
        items
            .into_iter()
            .map(|item| pb::ProjectItem {
                gid: item.gid.to_string(),
                name: item.name,
            })
            .collect()
    };
    pb::ProjectOptions {
        channels: items(options.channels),
        orderings: items(options.orderings),
        fieldlists: items(options.fieldlists),
        languages: options.languages,
        timezone: options.timezone,
    }
}

/// Converts members, each as the caller sees it.
pub(crate) fn members(view: VisibleMembers) -> pb::MembersResponse {
    let mut users = Vec::new();
    let mut memberships = Vec::new();
    for member in view.members {
        let membership = member.membership;
        if member.user.gid == view.caller {
            let options = own_options(&membership, member.user.email.as_deref());
            memberships.push(membership_with_options(&membership, Some(options)));
            users.push(user(member.user));
        } else {
            let options = owner_options(&membership, view.is_owner);
            memberships.push(membership_with_options(&membership, options));
            users.push(user_summary(member.user));
        }
    }
    pb::MembersResponse { users, memberships }
}

/// Converts a member for a receiver who is known only by an invitation link.
pub(crate) fn member_without_options(member: Member) -> (pb::User, pb::Membership) {
    let membership = membership_with_options(&member.membership, None);
    (user_summary(member.user), membership)
}

pub(crate) fn api_user(api_user: ApiUser) -> pb::ApiUserResponse {
    let ApiUser { user, membership } = api_user;
    let options = owner_options(&membership, true);
    pb::ApiUserResponse {
        user: Some(user_summary(user)),
        membership: Some(membership_with_options(&membership, options)),
    }
}

/// Converts a membership with its rate limit, without notification settings.
pub(crate) fn membership(membership: &Membership) -> pb::Membership {
    membership_with_options(membership, owner_options(membership, true))
}

/// Converts a user without details, for another user.
pub(crate) fn user_summary(other: User) -> pb::User {
    pb::User {
        details: None,
        ..user(other)
    }
}

pub(crate) fn init(init: Init) -> pb::GetInitResponse {
    let user_projects = user_projects(init.user_projects());
    let email = init.caller.email.clone();
    let own = init
        .own_memberships
        .iter()
        .map(|own| membership_with_options(own, Some(own_options(own, email.as_deref()))));
    let others = init.other_memberships.iter().map(|other| {
        membership_with_options(
            other,
            owner_options(other, init.owned_projects.contains(&other.project)),
        )
    });
    pb::GetInitResponse {
        user_projects,
        memberships: own.chain(others).collect(),
        user: Some(user(init.caller)),
        users: init.users.into_iter().map(other_user).collect(),
        projects: init.projects.into_iter().map(project).collect(),
        cursor: init.cursor,
        is_unchanged: false,
    }
}

/// Converts a user with details, for the user alone or for another service.
pub(crate) fn user(user: User) -> pb::User {
    pb::User {
        gid: user.gid.to_string(),
        username: user.username,
        name: user.name,
        avatar: user.avatar,
        status: pb::UserStatus::from(user.status).into(),
        details: Some(pb::UserDetails {
            email: user.email,
            language: user.language,
            timezone: user.timezone,
        }),
    }
}

/// Converts another user.
fn other_user(other: UserSummary) -> pb::User {
    pb::User {
        gid: other.gid.to_string(),
        username: other.username,
        name: other.name,
        avatar: other.avatar,
        status: pb::UserStatus::from(other.status).into(),
        details: None,
    }
}

/// Converts the summary of a project.
pub(crate) fn project(project: Project) -> pb::Project {
    pb::Project {
        gid: project.gid.to_string(),
        name: project.name,
        icon: project.icon,
        owner_gid: project.owner.to_string(),
        status: pb::ProjectStatus::from(project.status).into(),
        options: None,
    }
}

fn membership_with_options(
    membership: &Membership,
    options: Option<pb::MembershipOptions>,
) -> pb::Membership {
    pb::Membership {
        project_gid: membership.project.to_string(),
        user_gid: membership.user.to_string(),
        status: pb::MembershipStatus::from(membership.status).into(),
        roles: vec![pb::Role::from(membership.role).into()],
        options,
    }
}

/// Returns the options that a user sees in their own membership. API users have no notification
/// settings.
fn own_options(own: &Membership, email: Option<&str>) -> pb::MembershipOptions {
    let notifications = (own.role != Role::Api).then(|| {
        let Notifications {
            email: other_email,
            events,
            frequency,
        } = own.notifications.clone().unwrap_or_default();
        pb::Notifications {
            email: other_email.or_else(|| email.map(str::to_owned)),
            events,
            frequency,
        }
    });
    pb::MembershipOptions {
        notifications,
        rate_limit_per_second: own.rate_limit_per_second,
    }
}

/// Returns the options that an owner sees in the memberships of others: the rate limit, never an
/// address.
fn owner_options(other: &Membership, is_owned: bool) -> Option<pb::MembershipOptions> {
    is_owned.then_some(pb::MembershipOptions {
        notifications: None,
        rate_limit_per_second: other.rate_limit_per_second,
    })
}

pub(crate) fn change(change: Change) -> pb::Change {
    pb::Change {
        cursor: change.cursor,
        action: action(change.action).into(),
        data_type: change.data_type,
        data_key: change.data_key,
        status: change.entry_status,
        changed_at: change.changed_at.as_micros(),
        project_gid: change.project.map(|project| project.to_string()),
    }
}

const fn action(action: Action) -> pb::Action {
    match action {
        Action::Insert => pb::Action::Insert,
        Action::Update => pb::Action::Update,
        Action::Delete => pb::Action::Delete,
    }
}

pub(crate) const fn parse_action(action: pb::Action) -> Option<Action> {
    match action {
        pb::Action::Unspecified => None,
        pb::Action::Insert => Some(Action::Insert),
        pb::Action::Update => Some(Action::Update),
        pb::Action::Delete => Some(Action::Delete),
    }
}

pub(crate) fn sync_page(page: SyncPage) -> pb::SyncResponse {
    let row = |row: SyncRow| pb::SyncRow {
        feed: feed_kind(row.is_published).into(),
        cursor: row.cursor,
        action: action(row.action).into(),
        data_type: row.data_type,
        data_key: row.data_key,
    };
    pb::SyncResponse {
        rows: page.rows.into_iter().map(row).collect(),
        has_more: page.has_more,
        position: page.position,
        audiences: page.audiences,
    }
}

const fn feed_kind(is_published: bool) -> pb::FeedKind {
    if is_published {
        pb::FeedKind::Project
    } else {
        pb::FeedKind::Global
    }
}

/// Converts a feed event for gateways.
///
/// The fields of the row are left out if the effect differs between users, so that each must call
/// Sync: an event for one user (it can change the user's audiences), an event about all members,
/// and the DELETE of a user or project, which some users may still see elsewhere.
pub(crate) fn feed_event(event: FeedEvent) -> pb::FeedEvent {
    let requires_sync = matches!(event.audience, Audience::User(_))
        || event.first_cursor.is_some()
        || event.action == Action::Delete
            && event.data_type != MEMBERSHIPS
            && !matches!(event.audience, Audience::Followers(_));
    let audience = event.audience.to_string();
    let row = SyncRow::from_event(event);
    let feed = feed_kind(row.is_published).into();
    if requires_sync {
        return pb::FeedEvent {
            cursor: row.cursor,
            audience,
            feed,
            requires_sync,
            ..Default::default()
        };
    }
    pb::FeedEvent {
        cursor: row.cursor,
        audience,
        feed,
        requires_sync,
        action: action(row.action).into(),
        data_type: row.data_type,
        data_key: row.data_key,
    }
}
