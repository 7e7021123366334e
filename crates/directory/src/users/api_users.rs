//! API users: the programs of a project. Each has a key, which is auth's matter.

use doorward_domain::{
    Clock, DisplayName, Gid, MembershipStatus, ProjectStatus, Role, Timezone, UserStatus,
};
use doorward_storage::AnyConnection;

use crate::{
    Actor, Directory, Error,
    feed::{self, NewChange},
    members::access,
    model::{Action, Membership, User, UserIsApiUser},
    policy::Permission,
    store,
};

impl Directory {
    /// # Errors
    /// [`Error::CallerNotActive`], [`Error::Forbidden`], [`Error::Malformed`], [`Error::LimitReached`], and those of the
    /// database.
    pub async fn create_api_user(
        &self,
        actor: Actor,
        project: Gid,
        name: String,
    ) -> Result<UserIsApiUser, Error> {
        let (clock, gid, limits) = (self.clock.clone(), self.ids.new_gid(), self.limits);
        let create = move |connection: &mut AnyConnection| {
            feed::lock(connection)?;
            authorise(connection, actor, project)?;
            let name = parse_display_name(&name)?;
            match actor {
                Actor::Administrator => {}
                Actor::User(_) => limits.check_members(connection, project)?,
            }
            create(connection, project, gid, &name, &*clock)
        };
        self.write(create).await
    }

    /// # Errors
    /// [`Error::CallerNotActive`], [`Error::Forbidden`], [`Error::NotAnApiUser`], and database errors.
    pub async fn get_api_user(
        &self,
        actor: Actor,
        project: Gid,
        user: Gid,
    ) -> Result<UserIsApiUser, Error> {
        self.database
            .read_snapshot(move |connection| {
                authorise(connection, actor, project)?;
                get(connection, project, user)
            })
            .await
    }

    /// # Errors
    /// [`Error::CallerNotActive`], [`Error::Forbidden`], [`Error::NotAnApiUser`], [`Error::Malformed`], and database errors.
    pub async fn rename_api_user(
        &self,
        actor: Actor,
        project: Gid,
        user: Gid,
        name: String,
    ) -> Result<UserIsApiUser, Error> {
        let clock = self.clock.clone();
        self.change_api_user(actor, project, user, move |connection, api_user| {
            rename(connection, api_user, &parse_display_name(&name)?, &*clock)
        })
        .await
    }

    /// Activates or deactivates both the user and the membership.
    ///
    /// # Errors
    /// [`Error::CallerNotActive`], [`Error::Forbidden`], [`Error::NotAnApiUser`], and database errors.
    pub async fn set_api_user_status(
        &self,
        actor: Actor,
        project: Gid,
        user: Gid,
        is_active: bool,
    ) -> Result<UserIsApiUser, Error> {
        let clock = self.clock.clone();
        self.change_api_user(actor, project, user, move |connection, api_user| {
            set_status(connection, api_user, is_active, &*clock)
        })
        .await
    }

    /// # Errors
    /// [`Error::CallerNotActive`], [`Error::Forbidden`], [`Error::NotAnApiUser`], and database errors.
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
        F: FnOnce(&mut AnyConnection, UserIsApiUser) -> Result<T, Error> + Send + 'static,
    {
        self.write(move |connection| {
            feed::lock(connection)?;
            authorise(connection, actor, project)?;
            let api_user = get(connection, project, user)?;
            change(connection, api_user)
        })
        .await
    }
}

fn parse_display_name(text: &str) -> Result<DisplayName, Error> {
    DisplayName::parse(text).map_err(|malformed| Error::Malformed("name", malformed))
}

fn authorise(connection: &mut AnyConnection, actor: Actor, project: Gid) -> Result<(), Error> {
    match actor.active(connection)? {
        Some(caller) => access::authorise(connection, project, &caller, Permission::ManageApiUsers),
        None => store::project::find(connection, project)?
            .filter(|project| project.status == ProjectStatus::Active)
            .map(drop)
            .ok_or(Error::ProjectNotFound),
    }
}

fn get(connection: &mut AnyConnection, project: Gid, user: Gid) -> Result<UserIsApiUser, Error> {
    let membership = store::membership::find(connection, project, user)?
        .filter(|membership| membership.role == Role::Api)
        .ok_or(Error::NotAnApiUser)?;
    let user = store::user::find(connection, user)?.ok_or(Error::NotAnApiUser)?;
    Ok(UserIsApiUser { user, membership })
}

fn create(
    connection: &mut AnyConnection,
    project: Gid,
    gid: Gid,
    name: &DisplayName,
    clock: &dyn Clock,
) -> Result<UserIsApiUser, Error> {
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
    Ok(UserIsApiUser { user, membership })
}

fn rename(
    connection: &mut AnyConnection,
    mut api_user: UserIsApiUser,
    name: &DisplayName,
    clock: &dyn Clock,
) -> Result<UserIsApiUser, Error> {
    let user = &mut api_user.user;
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
    mut api_user: UserIsApiUser,
    is_active: bool,
    clock: &dyn Clock,
) -> Result<UserIsApiUser, Error> {
    let (status, membership_status) = if is_active {
        (UserStatus::Active, MembershipStatus::Active)
    } else {
        (UserStatus::Inactive, MembershipStatus::Inactive)
    };
    let UserIsApiUser { user, membership } = &mut api_user;
    if (user.status, membership.status) != (status, membership_status) {
        let before = Some(membership.clone());
        (user.status, membership.status) = (status, membership_status);
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
    api_user: &UserIsApiUser,
    clock: &dyn Clock,
) -> Result<(), Error> {
    let UserIsApiUser { user, membership } = api_user;
    store::membership::delete_all_of_user(connection, user.gid)?;
    store::user::delete(connection, user.gid)?;
    let left = NewChange::Membership {
        before: Some(membership.clone()),
        after: None,
    };
    let changes = vec![left, NewChange::user(Action::Delete, user.gid, "")];
    feed::append(connection, changes, clock)?;
    Ok(())
}
