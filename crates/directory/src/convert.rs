//! From the directory's words to those of its contract.

use doorward_domain::{Gid, Role};
use doorward_proto::directory::v1 as pb;

use crate::{
    init::Init,
    model::{Action, Change, Membership, Person, Project, User},
};

pub(crate) fn init(init: Init) -> pb::GetInitResponse {
    let user_projects = init
        .user_projects()
        .map(|(project, role)| pb::UserProject {
            project_gid: project.to_string(),
            roles: vec![pb::Role::from(role).into()],
        })
        .collect();
    let email = init.caller.email.clone();
    let own = init.own_memberships.iter().map(|own| membership(own, Some(own_options(own, email.as_deref()))));
    let others = init
        .other_memberships
        .iter()
        .map(|other| membership(other, owner_options(other, init.owned.contains(&other.project))));
    pb::GetInitResponse {
        user_projects,
        memberships: own.chain(others).collect(),
        user: Some(user(init.caller)),
        users: init.people.into_iter().map(person).collect(),
        projects: init.projects.into_iter().map(project).collect(),
        cursor: init.cursor,
        is_unchanged: false,
    }
}

fn user(user: User) -> pb::User {
    pb::User {
        gid: user.gid.to_string(),
        username: user.username,
        name: user.name,
        avatar: user.avatar,
        status: pb::UserStatus::from(user.status).into(),
        complete: Some(pb::UserComplete { email: user.email, language: user.language, timezone: user.timezone }),
    }
}

fn person(person: Person) -> pb::User {
    pb::User {
        gid: person.gid.to_string(),
        username: person.username,
        name: person.name,
        avatar: person.avatar,
        status: pb::UserStatus::from(person.status).into(),
        complete: None,
    }
}

fn project(project: Project) -> pb::Project {
    pb::Project {
        gid: project.gid.to_string(),
        name: project.name,
        icon: project.icon,
        owner: project.owner.to_string(),
        status: pb::ProjectStatus::from(project.status).into(),
    }
}

fn membership(membership: &Membership, options: Option<pb::MembershipOptions>) -> pb::Membership {
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
    let notifications = (own.role != Role::Api).then(|| pb::Notifications {
        email: email.map(str::to_owned),
        events: vec!["all".to_owned()],
        frequency: "immediate".to_owned(),
    });
    pb::MembershipOptions { notifications, rate_limit_per_second: own.rate_limit_per_second }
}

/// An owner sees the limits of other members, never their addresses.
fn owner_options(other: &Membership, is_owned: bool) -> Option<pb::MembershipOptions> {
    is_owned
        .then_some(pb::MembershipOptions { notifications: None, rate_limit_per_second: other.rate_limit_per_second })
}

pub(crate) fn change(change: Change) -> pb::Change {
    pb::Change {
        cursor: change.cursor,
        action: match change.action {
            Action::Insert => pb::Action::Insert,
            Action::Update => pb::Action::Update,
            Action::Delete => pb::Action::Delete,
        }
        .into(),
        data_type: change.data_type,
        data_key: change.data_key,
        status: change.entry_status,
        changed_at: change.changed_at.as_micros(),
    }
}

pub(crate) fn gid(text: &str, parameter: &str) -> Result<Gid, doorward_proto::Failure> {
    text.parse().map_err(|_| doorward_proto::Failure::invalid(parameter))
}
