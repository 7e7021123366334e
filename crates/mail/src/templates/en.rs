//! English texts of mails.

use crate::{
    config::APP_NAME,
    content::MailContent,
    templates::block::{Block, invitation_link, paragraph},
};

/// Returns the subject and the blocks of a mail.
#[expect(clippy::too_many_lines, reason = "one arm for each mail")]
pub(crate) fn write(content: &MailContent) -> (String, Vec<Block>) {
    let once =
        || paragraph("This code expires in 15 minutes and works once. Don't share it with anyone.");
    match content {
        MailContent::SignupCode { code } => (
            format!("Your code for a new {APP_NAME} account"),
            vec![
                paragraph(format!(
                    "This code confirms your email address for a new {APP_NAME} account:"
                )),
                Block::Code(code.clone()),
                once(),
                paragraph(
                    "If you didn't request an account, ignore this email. Without the code, no \
                     account is created.",
                ),
                Block::App,
            ],
        ),
        MailContent::AccountExists { usernames } => (
            format!("You already have a {APP_NAME} account"),
            vec![
                paragraph(format!(
                    "Someone tried to create a {APP_NAME} account with your email address, but \
                     you already have one. Usernames registered with this email address:"
                )),
                Block::List(usernames.clone()),
                paragraph(
                    "Log in with your username. If you forgot your password, you can set a new \
                     one on the login page.",
                ),
                paragraph("If this wasn't you, ignore this email. Nothing has changed."),
                Block::App,
            ],
        ),
        MailContent::ResetCode { code, usernames } => (
            format!("Your code for a new {APP_NAME} password"),
            vec![
                paragraph(format!(
                    "Use this code to set a new password for your {APP_NAME} account:"
                )),
                Block::Code(code.clone()),
                once(),
                paragraph("Usernames registered with this email address:"),
                Block::List(usernames.clone()),
                paragraph(
                    "If you didn't request a new password, ignore this email. Your current \
                     password still works.",
                ),
                Block::App,
            ],
        ),
        MailContent::EmailCode { code, username } => (
            format!("Your code for a new email address at {APP_NAME}"),
            vec![
                paragraph(format!(
                    "This code confirms this email address for the {APP_NAME} account \
                     “{username}”:"
                )),
                Block::Code(code.clone()),
                once(),
                paragraph(
                    "If you didn't request this change, ignore this email. Without the code, \
                     nothing changes.",
                ),
                Block::App,
            ],
        ),
        MailContent::PasswordChanged { username } => (
            format!("Your {APP_NAME} password was changed"),
            vec![
                paragraph(format!(
                    "The password of your {APP_NAME} account “{username}” was changed."
                )),
                paragraph("If this was you, you don't need to do anything."),
                paragraph(
                    "If it wasn't, set a new password immediately: choose “Forgot password” on \
                     the login page.",
                ),
                Block::App,
            ],
        ),
        MailContent::EmailChanged { username, email } => (
            format!("Your email address at {APP_NAME} was changed"),
            vec![
                paragraph(format!(
                    "The email address of your {APP_NAME} account “{username}” was changed from \
                     this address to {email}."
                )),
                paragraph("If this was you, you don't need to do anything."),
                paragraph("If it wasn't, contact the administrator of the app immediately."),
                Block::App,
            ],
        ),
        MailContent::Invitation {
            inviter,
            project,
            invitee_gid,
            project_gid,
        } => (
            format!("You have been invited to a project on {APP_NAME}"),
            vec![
                paragraph(format!(
                    "{inviter} invites you to the project “{project}” on {APP_NAME}."
                )),
                paragraph("Accept or decline the invitation here:"),
                invitation_link(invitee_gid, project_gid),
                paragraph(
                    "If you don't know this person, ignore this email. You join the project only \
                     if you accept.",
                ),
            ],
        ),
    }
}
