//! Invitations: made, answered, withdrawn; and how somebody's membership goes on. `membership.rs` has the table.

use doorward_domain::{Email, Gid, ProjectStatus, Role};
use doorward_mail::{MailContent, NewMail, Outbox};
use doorward_storage::AnyConnection;

use crate::{
    Actor, Caller, Directory, Error,
    caller::ActiveCaller,
    feed::{self, NewChange},
    members::{
        access,
        placeholders::{self, Invitee},
        transitions::{self, Step},
    },
    model::{Action, Membership, Project, User},
    policy::Permission,
    store,
};

/// A member, as a call has left them; the user as well.
#[derive(Debug, Clone)]
pub struct Member {
    pub user: User,
    pub membership: Membership,
}

impl Directory {
    /// Invites who has this username or address, or whoever will have an account with the address. They get a mail.
    ///
    /// # Errors
    /// [`Error::CallerNotActive`], [`Error::Forbidden`], [`Error::UserNotFound`], [`Error::AlreadyMember`],
    /// [`Error::MembershipInactive`], [`Error::LimitReached`], [`Error::MailDisabled`], and database errors.
    pub async fn invite_member(
        &self,
        caller: Caller,
        project: Gid,
        name: String,
    ) -> Result<Member, Error> {
        let new_gid = self.ids.new_gid();
        self.send_invitation(
            (caller, project, Step::Invite),
            move |connection, caller| {
                placeholders::find_invitee(connection, &name, new_gid, caller)
            },
        )
        .await
    }

    /// Sends the mail once more, also to who has declined.
    ///
    /// # Errors
    /// As [`invite_member`](Self::invite_member), and [`Error::NotAMember`].
    pub async fn resend_invitation(
        &self,
        caller: Caller,
        project: Gid,
        user: Gid,
    ) -> Result<Member, Error> {
        self.send_invitation((caller, project, Step::Resend), move |connection, _| {
            Ok(Invitee::Existing(
                store::user::find(connection, user)?.ok_or(Error::NotAMember)?,
            ))
        })
        .await
    }

    async fn send_invitation<F>(&self, what: (Caller, Gid, Step), find: F) -> Result<Member, Error>
    where
        F: FnOnce(&mut AnyConnection, &User) -> Result<Invitee, Error> + Send + 'static,
    {
        let (caller, project, step) = what;
        let (clock, mail_id, new_invitation) =
            (self.clock.clone(), self.ids.new_gid(), self.ids.new_gid());
        let (outbox, limits) = (self.outbox.clone(), self.limits);
        let member = self
            .write(move |connection| {
                feed::lock(connection)?;
                let inviter = caller.active(connection)?;
                access::authorise(connection, project, &inviter, Permission::ManageMembers)?;
                let outbox = outbox.ok_or(Error::MailDisabled)?;
                let project = store::project::find(connection, project)?.ok_or(Error::Forbidden)?;
                let inviter = inviter.user();
                let now = clock.now();
                let (user, mut changes) = match find(connection, inviter)? {
                    Invitee::Existing(user) => (user, Vec::new()),
                    Invitee::Placeholder(user) => {
                        store::user::insert_many(connection, std::slice::from_ref(&user), now)?;
                        let inserted =
                            NewChange::user(Action::Insert, user.gid, user.status.as_str());
                        (user, vec![inserted])
                    }
                };
                if store::membership::find(connection, project.gid, user.gid)?.is_none() {
                    limits.check_members(connection, project.gid)?;
                }
                let (membership, changed) =
                    apply_transition(connection, project.gid, user.gid, step, now)?;
                // An invitation that is open already keeps its id, so that links sent before stay valid.
                let open = match &changed {
                    Some(_) => None,
                    None => store::invitation::find(connection, project.gid, user.gid)?,
                };
                if open.is_none() {
                    store::invitation::set(connection, project.gid, user.gid, new_invitation)?;
                }
                changes.extend(changed);
                let membership = membership.ok_or(Error::NotAMember)?;
                placeholders::check_can_respond(connection, &user)?;
                let invitation = Sent {
                    id: open.unwrap_or(new_invitation),
                    inviter,
                    project: &project,
                    user: &user,
                };
                send_invitation_mail(connection, &outbox, mail_id, &invitation, now)?;
                if !changes.is_empty() {
                    feed::append(connection, changes, &*clock)?;
                }
                Ok::<_, Error>(Member { user, membership })
            })
            .await?;
        if let Some(outbox) = &self.outbox {
            outbox.wake_worker();
        }
        Ok(member)
    }

    /// With the project, in full.
    ///
    /// # Errors
    /// [`Error::NotInvited`], [`Error::InviteInvalid`], [`Error::AlreadyMember`], and those of the database.
    pub async fn accept_invitation(
        &self,
        caller: Caller,
        project: Gid,
    ) -> Result<(crate::projects::options::FullProject, Member), Error> {
        let clock = self.clock.clone();
        self.write(move |connection| {
            feed::lock(connection)?;
            let user = caller.active_person(connection)?.into_user();
            let project = get_active_project(connection, project)?;
            let (membership, changes) =
                apply_transition(connection, project.gid, user.gid, Step::Accept, clock.now())?;
            feed::append(connection, changes.into_iter().collect(), &*clock)?;
            let membership = membership.ok_or(Error::NotInvited)?;
            let options = store::project_options::get(connection, project.gid)?;
            Ok(((project, options), Member { user, membership }))
        })
        .await
    }

    /// Declines the caller's own invitation.
    ///
    /// # Errors
    /// [`Error::CallerNotActive`], [`Error::Forbidden`] to API users, [`Error::NotInvited`], [`Error::AlreadyMember`], and
    /// database errors.
    pub async fn decline_invitation(&self, caller: Caller, project: Gid) -> Result<Member, Error> {
        self.decline(project, move |connection| {
            Ok(caller.active_person(connection)?.into_user())
        })
        .await
    }

    /// Declines an invitation on behalf of the holder of its link.
    ///
    /// # Errors
    /// [`Error::NotInvited`], [`Error::AlreadyMember`], and those of the database.
    pub async fn decline_invitation_by_link(
        &self,
        invitation: Gid,
        project: Gid,
    ) -> Result<Member, Error> {
        let invitee = move |connection: &mut AnyConnection| {
            let user = get_invitee(connection, project, invitation)?;
            store::user::find(connection, user)?.ok_or(Error::NotInvited)
        };
        self.decline(project, invitee).await
    }

    async fn decline<F>(&self, project: Gid, find: F) -> Result<Member, Error>
    where
        F: FnOnce(&mut AnyConnection) -> Result<User, Error> + Send + 'static,
    {
        let clock = self.clock.clone();
        self.write(move |connection| {
            feed::lock(connection)?;
            let user = find(connection)?;
            let project = get_active_project(connection, project)?;
            let (membership, changes) = apply_transition(
                connection,
                project.gid,
                user.gid,
                Step::Decline,
                clock.now(),
            )?;
            feed::append(connection, changes.into_iter().collect(), &*clock)?;
            let membership = membership.ok_or(Error::NotInvited)?;
            Ok(Member { user, membership })
        })
        .await
    }

    /// What the link that was mailed leads to.
    ///
    /// # Errors
    /// [`Error::NotInvited`], [`Error::InviteInvalid`], [`Error::AlreadyMember`], and those of the database.
    pub async fn view_invitation(
        &self,
        invitation: Gid,
        project: Gid,
    ) -> Result<(Project, Member), Error> {
        self.database
            .read_snapshot(move |connection| {
                let user = get_invitee(connection, project, invitation)?;
                let user = store::user::find(connection, user)?.ok_or(Error::NotInvited)?;
                let project = get_active_project(connection, project)?;
                let membership = store::membership::find(connection, project.gid, user.gid)?;
                let state = membership.as_ref().map(|own| (own.status, own.role));
                transitions::next_status(state, Step::Accept)?;
                Ok((
                    project,
                    Member {
                        user,
                        membership: membership.ok_or(Error::NotInvited)?,
                    },
                ))
            })
            .await
    }

    /// # Errors
    /// [`Error::NotAMember`], [`Error::UserIsOwner`], [`Error::Forbidden`] to API users, and those of the database.
    pub async fn leave_project(&self, caller: Caller, project: Gid) -> Result<(), Error> {
        let clock = self.clock.clone();
        self.write(move |connection| {
            feed::lock(connection)?;
            let caller = caller.active_person(connection)?.gid();
            let project = store::project::find(connection, project)?.ok_or(Error::NotAMember)?;
            let (_, changes) =
                apply_transition(connection, project.gid, caller, Step::Leave, clock.now())?;
            feed::append(connection, changes.into_iter().collect(), &*clock)?;
            Ok(())
        })
        .await
    }

    /// By the owner or an administrator, or by the member themself.
    ///
    /// # Errors
    /// [`Error::CallerNotActive`], [`Error::Forbidden`], [`Error::NotAMember`], [`Error::UserIsOwner`], [`Error::UserIsApiUser`], and database errors.
    pub async fn remove_member(&self, actor: Actor, project: Gid, user: Gid) -> Result<(), Error> {
        let clock = self.clock.clone();
        self.write(move |connection| {
            feed::lock(connection)?;
            let caller = actor.active(connection)?;
            let is_own = caller.as_ref().is_some_and(|caller| caller.gid() == user);
            let deed = if is_own {
                Permission::AccessProject
            } else {
                Permission::ManageMembers
            };
            authorise(connection, caller.as_ref(), project, deed)?;
            let (_, changes) =
                apply_transition(connection, project, user, Step::Remove, clock.now())?;
            let mut changes: Vec<NewChange> = changes.into_iter().collect();
            if access::is_unused_placeholder(connection, user)? {
                store::user::delete(connection, user)?;
                changes.push(NewChange::user(Action::Delete, user, ""));
            }
            feed::append(connection, changes, &*clock)?;
            Ok(())
        })
        .await
    }

    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotAMember`], [`Error::MemberNotActive`], [`Error::UserIsOwner`], [`Error::UserIsApiUser`], and
    /// those of the database.
    pub async fn set_member_status(
        &self,
        caller: Caller,
        project: Gid,
        user: Gid,
        is_active: bool,
    ) -> Result<Member, Error> {
        let clock = self.clock.clone();
        self.write(move |connection| {
            feed::lock(connection)?;
            let caller = caller.active(connection)?;
            access::authorise(connection, project, &caller, Permission::ManageMembers)?;
            let step = if is_active {
                Step::Activate
            } else {
                Step::Deactivate
            };
            let (membership, changes) =
                apply_transition(connection, project, user, step, clock.now())?;
            if let Some(changed) = changes {
                feed::append(connection, vec![changed], &*clock)?;
            }
            let user = store::user::find(connection, user)?.ok_or(Error::NotAMember)?;
            Ok(Member {
                user,
                membership: membership.ok_or(Error::NotAMember)?,
            })
        })
        .await
    }
}

/// Takes a step, if the table has it, and says what the feed is to tell.
pub(crate) fn apply_transition(
    connection: &mut AnyConnection,
    project: Gid,
    user: Gid,
    step: Step,
    now: doorward_domain::Timestamp,
) -> Result<(Option<Membership>, Option<NewChange>), Error> {
    let old = store::membership::find(connection, project, user)?;
    let next = transitions::next_status(old.as_ref().map(|old| (old.status, old.role)), step)?;
    match (old, next) {
        (Some(old), Some(status)) if old.status == status => Ok((Some(old), None)),
        (Some(old), Some(status)) => {
            store::membership::set_status(connection, project, user, status, now)?;
            let new = Membership {
                status,
                ..old.clone()
            };
            let changed = NewChange::Membership {
                before: Some(old),
                after: Some(new.clone()),
            };
            Ok((Some(new), Some(changed)))
        }
        (None, Some(status)) => {
            let (role, rate_limit_per_second, notifications) = (Role::Member, None, None);
            let new = Membership {
                project,
                user,
                role,
                status,
                rate_limit_per_second,
                notifications,
            };
            store::membership::insert(connection, &new, now)?;
            let changed = NewChange::Membership {
                before: None,
                after: Some(new.clone()),
            };
            Ok((Some(new), Some(changed)))
        }
        (Some(old), None) => {
            store::membership::delete(connection, project, user)?;
            Ok((
                None,
                Some(NewChange::Membership {
                    before: Some(old),
                    after: None,
                }),
            ))
        }
        (None, None) => Ok((None, None)),
    }
}

fn get_invitee(
    connection: &mut AnyConnection,
    project: Gid,
    invitation: Gid,
) -> Result<Gid, Error> {
    store::invitation::find_invitee(connection, project, invitation)?.ok_or(Error::NotInvited)
}

/// An invitation, as its email presents it.
struct Sent<'a> {
    id: Gid,
    inviter: &'a User,
    project: &'a Project,
    user: &'a User,
}

fn send_invitation_mail(
    connection: &mut AnyConnection,
    outbox: &Outbox,
    mail_id: Gid,
    invitation: &Sent<'_>,
    now: doorward_domain::Timestamp,
) -> Result<(), Error> {
    let Sent {
        id,
        inviter,
        project,
        user,
    } = invitation;
    let email = user
        .email
        .as_deref()
        .and_then(|email| Email::parse(email).ok());
    // An account without an address sees the invitation when it logs in.
    let Some(to) = email else { return Ok(()) };
    let shown = if inviter.name.is_empty() {
        inviter.username.clone().unwrap_or_default()
    } else {
        inviter.name.clone()
    };
    let letter = MailContent::Invitation {
        inviter: shown,
        project: project.name.clone(),
        invitee_gid: id.to_string(),
        project_gid: project.gid.to_string(),
    };
    let topic = Some(format!("invitation/{}/{}", project.gid, user.gid));
    let (language, user) = (user.language.clone(), Some(user.gid));
    Ok(outbox.enqueue(
        connection,
        NewMail {
            id: mail_id,
            recipient: to,
            language,
            content: letter,
            topic,
            expires_at: None,
            user,
        },
        now,
    )?)
}

/// A project into which one may be invited still.
fn get_active_project(connection: &mut AnyConnection, project: Gid) -> Result<Project, Error> {
    store::project::find(connection, project)?
        .filter(|project| project.status == ProjectStatus::Active)
        .ok_or(Error::NotInvited)
}

fn authorise(
    connection: &mut AnyConnection,
    caller: Option<&ActiveCaller>,
    project: Gid,
    deed: Permission,
) -> Result<(), Error> {
    match caller {
        Some(caller) => access::authorise(connection, project, caller, deed),
        None => store::project::find(connection, project)?
            .map(drop)
            .ok_or(Error::ProjectNotFound),
    }
}
