//! Calls about invitations: send, resend, accept, decline and view. Each call checks who calls,
//! takes one step of `transitions.rs`, and appends the change to the feed in the same transaction.
//! The text of mails belongs to `mail`.

use doorward_domain::{Email, Gid, ProjectStatus};
use doorward_mail::{MailContent, NewMail, Outbox};
use doorward_storage::AnyConnection;

use crate::{
    Caller, Directory, Error,
    feed::{self, NewChange},
    members::{
        access,
        placeholders::{self, Invitee},
        status_changes::apply_transition,
        transitions::{self, Step},
    },
    model::{Action, Member, Project, User},
    policy::Permission,
    projects::options::FullProject,
    store,
};

impl Directory {
    /// Invites the user with this username or address, and sends them a mail. An address without an
    /// account gets a placeholder account.
    ///
    /// # Errors
    /// [`Error::CallerNotActive`], [`Error::Forbidden`], [`Error::UserNotFound`],
    /// [`Error::AlreadyMember`], [`Error::MembershipInactive`], [`Error::LimitReached`],
    /// [`Error::MailDisabled`], and database errors.
    pub async fn invite_member(
        &self,
        caller: Caller,
        project: Gid,
        name: String,
    ) -> Result<Member, Error> {
        let new_gid = self.ids.new_gid();
        self.send_invitation(caller, project, Step::Invite, move |connection, inviter| {
            placeholders::find_invitee(connection, &name, new_gid, inviter)
        })
        .await
    }

    /// Sends the mail of an invitation once more, also to a user who declined it.
    ///
    /// # Errors
    /// [`Error::NotAMember`], and the errors of [`invite_member`](Self::invite_member).
    pub async fn resend_invitation(
        &self,
        caller: Caller,
        project: Gid,
        user: Gid,
    ) -> Result<Member, Error> {
        self.send_invitation(caller, project, Step::Resend, move |connection, _| {
            Ok(Invitee::Existing(
                store::user::find(connection, user)?.ok_or(Error::NotAMember)?,
            ))
        })
        .await
    }

    /// Takes the step `Invite` or `Resend` for the user that `find` returns, and writes the mail to
    /// the outbox in the same transaction.
    async fn send_invitation<F>(
        &self,
        caller: Caller,
        project: Gid,
        step: Step,
        find: F,
    ) -> Result<Member, Error>
    where
        F: FnOnce(&mut AnyConnection, &User) -> Result<Invitee, Error> + Send + 'static,
    {
        let clock = self.clock.clone();
        let mail_id = self.ids.new_gid();
        let new_invitation = self.ids.new_gid();
        let outbox = self.outbox.clone();
        let limits = self.limits;
        let member = self
            .write(move |connection| {
                feed::lock(connection)?;
                let inviter = caller.active(connection)?;
                access::authorize(connection, project, &inviter, Permission::ManageMembers)?;
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
                // Only a new membership counts against the limit, not an invitation sent again.
                if store::membership::find(connection, project.gid, user.gid)?.is_none() {
                    limits.check_members(connection, project.gid)?;
                }
                let (membership, changed) =
                    apply_transition(connection, project.gid, user.gid, step, now)?;
                // An invitation that is still open keeps its id, so that older links stay valid.
                let open = match &changed {
                    Some(_) => None,
                    None => store::invitation::find(connection, project.gid, user.gid)?,
                };
                if open.is_none() {
                    store::invitation::set(connection, project.gid, user.gid, new_invitation)?;
                }
                changes.extend(changed);
                let membership = membership.ok_or(Error::NotAMember)?;
                // This check is last, so that the errors of the transition take precedence. An
                // error rolls back everything above.
                placeholders::check_can_respond(connection, &user)?;
                let invitation = SentInvitation {
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
        // The worker sees the mail only after the commit.
        if let Some(outbox) = &self.outbox {
            outbox.wake_worker();
        }
        Ok(member)
    }

    /// Accepts the caller's own invitation, and returns the full project with the member.
    ///
    /// # Errors
    /// [`Error::CallerNotActive`], [`Error::Forbidden`] to API users, [`Error::NotInvited`],
    /// [`Error::InviteInvalid`], [`Error::AlreadyMember`], and database errors.
    pub async fn accept_invitation(
        &self,
        caller: Caller,
        project: Gid,
    ) -> Result<(FullProject, Member), Error> {
        let clock = self.clock.clone();
        self.write(move |connection| {
            feed::lock(connection)?;
            let user = caller.active_account(connection)?.into_user();
            let project = get_active_project(connection, project)?;
            let (membership, changes) =
                apply_transition(connection, project.gid, user.gid, Step::Accept, clock.now())?;
            feed::append(connection, changes.into_iter().collect(), &*clock)?;
            let membership = membership.ok_or(Error::NotInvited)?;
            let options = store::project_options::get(connection, project.gid)?;
            Ok((
                FullProject { project, options },
                Member { user, membership },
            ))
        })
        .await
    }

    /// Declines the caller's own invitation.
    ///
    /// # Errors
    /// [`Error::CallerNotActive`], [`Error::Forbidden`] to API users, [`Error::NotInvited`],
    /// [`Error::AlreadyMember`], and database errors.
    pub async fn decline_invitation(&self, caller: Caller, project: Gid) -> Result<Member, Error> {
        self.decline(project, move |connection| {
            Ok(caller.active_account(connection)?.into_user())
        })
        .await
    }

    /// Declines an invitation on behalf of the holder of its link.
    ///
    /// # Errors
    /// [`Error::NotInvited`], [`Error::AlreadyMember`], and database errors.
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

    /// Returns the project and the invited member of an emailed link, while the invitation can be
    /// accepted.
    ///
    /// # Errors
    /// [`Error::NotInvited`], [`Error::InviteInvalid`], [`Error::AlreadyMember`], and database
    /// errors.
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
                // Nothing is accepted here: the rule only checks that it would be possible.
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
}

fn get_invitee(
    connection: &mut AnyConnection,
    project: Gid,
    invitation: Gid,
) -> Result<Gid, Error> {
    store::invitation::find_invitee(connection, project, invitation)?.ok_or(Error::NotInvited)
}

/// The facts of an invitation for its mail.
struct SentInvitation<'a> {
    id: Gid,
    inviter: &'a User,
    project: &'a Project,
    user: &'a User,
}

fn send_invitation_mail(
    connection: &mut AnyConnection,
    outbox: &Outbox,
    mail_id: Gid,
    invitation: &SentInvitation<'_>,
    now: doorward_domain::Timestamp,
) -> Result<(), Error> {
    let SentInvitation {
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
    let inviter_name = if inviter.name.is_empty() {
        inviter.username.clone().unwrap_or_default()
    } else {
        inviter.name.clone()
    };
    let content = MailContent::Invitation {
        inviter: inviter_name,
        project: project.name.clone(),
        // The field is named after the parameter of the link, but it holds the id of the
        // invitation. The gid of a placeholder account is visible to members and would not be
        // secret.
        invitee_gid: id.to_string(),
        project_gid: project.gid.to_string(),
    };
    Ok(outbox.enqueue(
        connection,
        NewMail {
            id: mail_id,
            recipient: to,
            language: user.language.clone(),
            content,
            topic: Some(format!("invitation/{}/{}", project.gid, user.gid)),
            expires_at: None,
            user: Some(user.gid),
        },
        now,
    )?)
}

/// Returns a project if it is active: invitations to a deleted project cannot be answered.
fn get_active_project(connection: &mut AnyConnection, project: Gid) -> Result<Project, Error> {
    store::project::find(connection, project)?
        .filter(|project| project.status == ProjectStatus::Active)
        .ok_or(Error::NotInvited)
}
