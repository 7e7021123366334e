//! English.

use crate::templates::{Block, invitation_link, paragraph};
use crate::{APP_NAME, MailContent};

pub(crate) fn write(letter: &MailContent) -> (String, Vec<Block>) {
    let once = || paragraph("It is good for 15 minutes, and only once. Don't give it to anybody.");
    match letter {
        MailContent::SignupCode { code } => (
            format!("Your code for a new {APP_NAME} account"),
            vec![
                paragraph(format!(
                    "This code confirms your email address for a new {APP_NAME} account:"
                )),
                Block::Code(code.clone()),
                once(),
                paragraph(
                    "You didn't ask for an account? Then you need to do nothing: without the code there is none.",
                ),
                Block::App,
            ],
        ),
        MailContent::AccountExists { usernames } => (
            format!("You have a {APP_NAME} account already"),
            vec![
                paragraph(format!(
                    "Somebody asked for a new {APP_NAME} account with your email address. It has one already:"
                )),
                Block::List(usernames.clone()),
                paragraph(
                    "Log in with that username. If you have forgotten the password, you can set a new one there.",
                ),
                paragraph(
                    "You didn't ask for an account? Then you need to do nothing: nothing has changed.",
                ),
                Block::App,
            ],
        ),
        MailContent::ResetCode { code, usernames } => (
            format!("Your code for a new {APP_NAME} password"),
            vec![
                paragraph(format!(
                    "With this code you can set a new {APP_NAME} password:"
                )),
                Block::Code(code.clone()),
                once(),
                paragraph("Your username with this email address:"),
                Block::List(usernames.clone()),
                paragraph(
                    "You didn't ask for a new password? Then you need to do nothing: the old one still works.",
                ),
                Block::App,
            ],
        ),
        MailContent::EmailCode { code, username } => (
            format!("Your code for a new email address at {APP_NAME}"),
            vec![
                paragraph(format!(
                    "This code confirms that the {APP_NAME} account “{username}” is to have this email address:"
                )),
                Block::Code(code.clone()),
                once(),
                paragraph(
                    "You didn't ask for this? Then you need to do nothing: without the code nothing changes.",
                ),
                Block::App,
            ],
        ),
        MailContent::PasswordChanged { username } => (
            format!("Your {APP_NAME} password was changed"),
            vec![
                paragraph(format!(
                    "The {APP_NAME} account “{username}” has a new password."
                )),
                paragraph("If that was you, you need to do nothing."),
                paragraph(
                    "If it wasn't, set a new password at once: choose “forgotten password” where you log in.",
                ),
                Block::App,
            ],
        ),
        MailContent::EmailChanged { username, email } => (
            format!("Your email address at {APP_NAME} was changed"),
            vec![
                paragraph(format!(
                    "The {APP_NAME} account “{username}” has a new email address, {email}, instead of this one."
                )),
                paragraph("If that was you, you need to do nothing."),
                paragraph("If it wasn't, tell those who run the app at once."),
                Block::App,
            ],
        ),
        MailContent::Invitation {
            inviter,
            project,
            invitee_gid,
            project_gid,
        } => (
            format!("You are invited to a project at {APP_NAME}"),
            vec![
                paragraph(format!(
                    "{inviter} invites you to the project “{project}” at {APP_NAME}."
                )),
                paragraph("Here you can accept or decline:"),
                invitation_link(invitee_gid, project_gid),
                paragraph(
                    "You don't know who that is? Then you need to do nothing: without your consent you join nothing.",
                ),
            ],
        ),
    }
}
