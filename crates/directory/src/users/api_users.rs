//! API users: the users of programs, each of which belongs to one project. The user and its only
//! membership are created, changed and deleted together. The API keys belong to auth.

use doorward_domain::{
    Clock, DisplayName, Gid, MembershipStatus, ProjectStatus, Role, Timezone, UserStatus,
};
use doorward_storage::AnyConnection;

use crate::{
    Actor, Directory, Error,
    feed::{self, NewChange},
    members::access,
    model::{Action, ApiUser, Membership, User},
    policy::Permission,
    store,
};

impl Directory {
    /// Creates an active API user of a project.
    ///
    /// # Errors
    /// [`Error::CallerNotActive`], [`Error::Forbidden`] and [`Error::LimitReached`] to a caller,
    /// [`Error::ProjectNotFound`] to an administrator; [`Error::Malformed`]; database errors.
    pub async fn create_api_user(
        &self,
        actor: Actor,
        project: Gid,
        name: String,
    ) -> Result<ApiUser, Error> {
        let clock = self.clock.clone();
        let gid = self.ids.new_gid();
        let limits = self.limits;
        let create = move |connection: &mut AnyConnection| {
            feed::lock(connection)?;
            authorize(connection, actor, project)?;
            let name = parse_display_name(&name)?;
            // API users count as members of the project.
            match actor {
                Actor::Administrator => {}
                Actor::User(_) => limits.check_members(connection, project)?,
            }
            create(connection, project, gid, &name, &*clock)
        };
        self.write(create).await
    }

    /// Returns an API user of a project.
    ///
    /// # Errors
    /// [`Error::CallerNotActive`] and [`Error::Forbidden`] to a caller, [`Error::ProjectNotFound`]
    /// to an administrator; [`Error::NotAnApiUser`]; database errors.
    pub async fn get_api_user(
        &self,
        actor: Actor,
        project: Gid,
        user: Gid,
    ) -> Result<ApiUser, Error> {
        self.database
            .read_snapshot(move |connection| {
                authorize(connection, actor, project)?;
                get(connection, project, user)
            })
            .await
    }

    /// Changes the name of an API user.
    ///
    /// # Errors
    /// [`Error::Malformed`], and the errors of [`get_api_user`](Self::get_api_user).
    pub async fn rename_api_user(
        &self,
        actor: Actor,
        project: Gid,
        user: Gid,
        name: String,
    ) -> Result<ApiUser, Error> {
        let clock = self.clock.clone();
        self.change_api_user(actor, project, user, move |connection, api_user| {
            rename(connection, api_user, &parse_display_name(&name)?, &*clock)
        })
        .await
    }

    /// Activates or deactivates both the user and the membership.
    ///
    /// # Errors
    /// The errors of [`get_api_user`](Self::get_api_user).
    pub async fn set_api_user_status(
        &self,
        actor: Actor,
        project: Gid,
        user: Gid,
        is_active: bool,
    ) -> Result<ApiUser, Error> {
        let clock = self.clock.clone();
        self.change_api_user(actor, project, user, move |connection, api_user| {
            set_status(connection, api_user, is_active, &*clock)
        })
        .await
    }

    /// Deletes an API user with its membership.
    ///
    /// # Errors
    /// The errors of [`get_api_user`](Self::get_api_user).
    pub async fn delete_api_user(
        &self,
        actor: Actor,
        project: Gid,
        user: Gid,
    ) -> Result<(), Error> {
        let clock = self.clock.clone();
        self.change_api_user(actor, project, user, move |connection, api_user| {
            delete(connection, &api_user, &*clock)
        })
        .await
    }

    async fn change_api_user<T, F>(
        &self,
        actor: Actor,
        project: Gid,
        user: Gid,
        change: F,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&mut AnyConnection, ApiUser) -> Result<T, Error> + Send + 'static,
    {
        self.write(move |connection| {
            feed::lock(connection)?;
            authorize(connection, actor, project)?;
            let api_user = get(connection, project, user)?;
            change(connection, api_user)
        })
        .await
    }
}

fn parse_display_name(text: &str) -> Result<DisplayName, Error> {
    DisplayName::parse(text).map_err(|malformed| Error::Malformed("name", malformed))
}

/// Checks that the actor is allowed to manage the API users of a project. Even an administrator
/// needs an active project.
fn authorize(connection: &mut AnyConnection, actor: Actor, project: Gid) -> Result<(), Error> {
    match actor.active(connection)? {
        Some(caller) => access::authorize(connection, project, &caller, Permission::ManageApiUsers),
        None => store::project::find(connection, project)?
            .filter(|project| project.status == ProjectStatus::Active)
            .map(drop)
            .ok_or(Error::ProjectNotFound),
    }
}

fn get(connection: &mut AnyConnection, project: Gid, user: Gid) -> Result<ApiUser, Error> {
    // The role is checked, so that these calls cannot change or delete an account of a member.
    let membership = store::membership::find(connection, project, user)?
        .filter(|membership| membership.role == Role::Api)
        .ok_or(Error::NotAnApiUser)?;
    let user = store::user::find(connection, user)?.ok_or(Error::NotAnApiUser)?;
    Ok(ApiUser { user, membership })
}

fn create(
    connection: &mut AnyConnection,
    project: Gid,
    gid: Gid,
    name: &DisplayName,
    clock: &dyn Clock,
) -> Result<ApiUser, Error> {
    let user = User {
        gid,
        username: None,
        email: None,
        name: name.to_string(),
        avatar: None,
        status: UserStatus::Active,
        language: "en".to_owned(),
        timezone: Timezone::default().to_string(),
    };
    let membership = Membership {
        project,
        user: gid,
        role: Role::Api,
        status: MembershipStatus::Active,
        rate_limit_per_second: None,
        notifications: None,
    };
    store::user::insert_many(connection, std::slice::from_ref(&user), clock.now())?;
    store::membership::insert(connection, &membership, clock.now())?;
    let changes = vec![
        NewChange::user(Action::Insert, gid, user.status.as_str()),
        NewChange::Membership {
            before: None,
            after: Some(membership.clone()),
        },
    ];
    feed::append(connection, changes, clock)?;
    Ok(ApiUser { user, membership })
}

fn rename(
    connection: &mut AnyConnection,
    mut api_user: ApiUser,
    name: &DisplayName,
    clock: &dyn Clock,
) -> Result<ApiUser, Error> {
    let user = &mut api_user.user;
    // A call that changes nothing adds no row to the feed.
    if user.name != name.as_str() {
        user.name = name.to_string();
        store::user::set_name(connection, user.gid, &user.name, clock.now())?;
        feed::append(
            connection,
            vec![NewChange::user(
                Action::Update,
                user.gid,
                user.status.as_str(),
            )],
            clock,
        )?;
    }
    Ok(api_user)
}

fn set_status(
    connection: &mut AnyConnection,
    mut api_user: ApiUser,
    is_active: bool,
    clock: &dyn Clock,
) -> Result<ApiUser, Error> {
    let (status, membership_status) = if is_active {
        (UserStatus::Active, MembershipStatus::Active)
    } else {
        (UserStatus::Inactive, MembershipStatus::Inactive)
    };
    let ApiUser { user, membership } = &mut api_user;
    // Both are compared: an administrator can change the status of the user alone.
    if user.status != status || membership.status != membership_status {
        let before = Some(membership.clone());
        user.status = status;
        membership.status = membership_status;
        store::user::set_status(connection, user.gid, status, clock.now())?;
        store::membership::set_status(
            connection,
            membership.project,
            user.gid,
            membership_status,
            clock.now(),
        )?;
        let changes = vec![
            NewChange::user(Action::Update, user.gid, status.as_str()),
            NewChange::Membership {
                before,
                after: Some(membership.clone()),
            },
        ];
        feed::append(connection, changes, clock)?;
    }
    Ok(api_user)
}

fn delete(
    connection: &mut AnyConnection,
    api_user: &ApiUser,
    clock: &dyn Clock,
) -> Result<(), Error> {
    let ApiUser { user, membership } = api_user;
    // An API user cannot upload an avatar, so there is no picture to discard.
    store::membership::delete_all_of_user(connection, user.gid)?;
    store::user::delete(connection, user.gid)?;
    let changes = vec![
        NewChange::Membership {
            before: Some(membership.clone()),
            after: None,
        },
        NewChange::user(Action::Delete, user.gid, ""),
    ];
    feed::append(connection, changes, clock)?;
    Ok(())
}
