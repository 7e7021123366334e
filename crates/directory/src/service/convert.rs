//! From the directory's words to those of its contract.

use doorward_domain::{Gid, Role};
use doorward_rpc::directory::v1 as pb;

use crate::{
    Member, SyncPage, SyncRow, VisibleMembers,
    feed::{audience::Scope, new_change::MEMBERSHIPS},
    model::{
        Action, Change, FeedEvent, Membership, Notifications, Project, ProjectItem, ProjectOptions,
        User, UserIsApiUser, UserSummary,
    },
    projects::init::ProjectInit,
    users::init::Init,
};

/// For work in one project.
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
    let project_members = init.active_members().map(|gid| gid.to_string()).collect();
    let user_projects = user_projects(crate::users::init::user_projects(
        &init.projects,
        &init.own_memberships,
    ));
    let mut options = Some(options(init.options));
    let in_full_or_short = |short: Project| {
        let options = if short.gid == init.project {
            options.take()
        } else {
            None
        };
        pb::Project {
            options,
            ..project(short)
        }
    };
    pb::GetProjectInitResponse {
        projects: init.projects.into_iter().map(in_full_or_short).collect(),
        user_projects,
        memberships,
        active_member_gids: project_members,
        user: Some(user(init.caller)),
        users: init.users.into_iter().map(person).collect(),
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

/// In full where there are options to see.
pub(crate) fn visible_project((short, details): (Project, Option<ProjectOptions>)) -> pb::Project {
    pb::Project {
        options: details.map(options),
        ..project(short)
    }
}

pub(crate) fn full_project((short, details): (Project, ProjectOptions)) -> pb::Project {
    pb::Project {
        options: Some(options(details)),
        ..project(short)
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

/// Members, each as the caller sees them.
pub(crate) fn members(view: VisibleMembers) -> pb::MembersResponse {
    let (mut users, mut memberships) = (Vec::new(), Vec::new());
    for Member {
        user: person,
        membership: own,
    } in view.members
    {
        if person.gid == view.caller {
            memberships.push(membership_with_options(
                &own,
                Some(own_options(&own, person.email.as_deref())),
            ));
            users.push(user(person));
        } else {
            memberships.push(membership_with_options(
                &own,
                owner_options(&own, view.is_owner),
            ));
            users.push(user_summary(person));
        }
    }
    pb::MembersResponse { users, memberships }
}

/// To whom nothing but the entries is to be seen.
pub(crate) fn member_without_options(
    Member {
        user,
        membership: own,
    }: Member,
) -> (pb::User, pb::Membership) {
    (user_summary(user), membership_with_options(&own, None))
}

pub(crate) fn api_user(api_user: UserIsApiUser) -> pb::ApiUserResponse {
    let UserIsApiUser {
        user,
        membership: own,
    } = api_user;
    let options = owner_options(&own, true);
    pb::ApiUserResponse {
        user: Some(user_summary(user)),
        membership: Some(membership_with_options(&own, options)),
    }
}

/// With the limits, without addresses.
pub(crate) fn membership(own: &Membership) -> pb::Membership {
    membership_with_options(own, owner_options(own, true))
}

pub(crate) fn user_summary(short: User) -> pb::User {
    pb::User {
        details: None,
        ..user(short)
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
        users: init.users.into_iter().map(person).collect(),
        projects: init.projects.into_iter().map(project).collect(),
        cursor: init.cursor,
        is_unchanged: false,
    }
}

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

fn person(person: UserSummary) -> pb::User {
    pb::User {
        gid: person.gid.to_string(),
        username: person.username,
        name: person.name,
        avatar: person.avatar,
        status: pb::UserStatus::from(person.status).into(),
        details: None,
    }
}

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

/// API users get no notifications.
fn own_options(own: &Membership, email: Option<&str>) -> pb::MembershipOptions {
    let notifications = (own.role != Role::Api).then(|| {
        let Notifications {
            email: other,
            events,
            frequency,
        } = own.notifications.clone().unwrap_or_default();
        pb::Notifications {
            email: other.or_else(|| email.map(str::to_owned)),
            events,
            frequency,
        }
    });
    pb::MembershipOptions {
        notifications,
        rate_limit_per_second: own.rate_limit_per_second,
    }
}

/// An owner sees the limits of other members, never their addresses.
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

pub(crate) fn sync_page(news: SyncPage) -> pb::SyncResponse {
    let row = |row: SyncRow| pb::SyncRow {
        feed: feed_kind(row.is_published).into(),
        cursor: row.cursor,
        action: action(row.action).into(),
        data_type: row.data_type,
        data_key: row.data_key,
    };
    pb::SyncResponse {
        rows: news.rows.into_iter().map(row).collect(),
        has_more: news.has_more,
        position: news.position,
        audiences: news.audiences,
    }
}

const fn feed_kind(is_published: bool) -> pb::FeedKind {
    if is_published {
        pb::FeedKind::Project
    } else {
        pb::FeedKind::Global
    }
}

/// What one user is told, or not all to whom it is told, is not for a gateway to decide.
pub(crate) fn feed_event(notice: FeedEvent) -> pb::FeedEvent {
    let is_personal = matches!(notice.audience, Scope::User(_))
        || notice.first_cursor.is_some()
        || notice.action == Action::Delete
            && notice.data_type != MEMBERSHIPS
            && !matches!(notice.audience, Scope::ProjectFeed(_));
    let scope = notice.audience.to_string();
    let row = SyncRow::from_event(notice);
    let feed = feed_kind(row.is_published).into();
    if is_personal {
        return pb::FeedEvent {
            cursor: row.cursor,
            audience: scope,
            feed,
            requires_sync: is_personal,
            ..Default::default()
        };
    }
    pb::FeedEvent {
        cursor: row.cursor,
        audience: scope,
        feed,
        requires_sync: is_personal,
        action: action(row.action).into(),
        data_type: row.data_type,
        data_key: row.data_key,
    }
}

pub(crate) fn parse_caller(text: &str) -> Result<crate::Caller, doorward_rpc::RpcError> {
    parse_gid(text, "caller_gid").map(crate::Caller::from)
}

pub(crate) fn parse_gid(text: &str, parameter: &str) -> Result<Gid, doorward_rpc::RpcError> {
    text.parse()
        .map_err(|_| doorward_rpc::RpcError::invalid_parameter(parameter))
}
