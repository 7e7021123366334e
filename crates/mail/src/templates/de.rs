//! German.

use crate::templates::{Block, invitation_link, paragraph};
use crate::{APP_NAME, MailContent};

pub(crate) fn write(letter: &MailContent) -> (String, Vec<Block>) {
    let once = || paragraph("Er gilt 15 Minuten lang und nur einmal. Geben Sie ihn niemandem.");
    match letter {
        MailContent::SignupCode { code } => (
            format!("Ihr Code für ein neues Konto bei {APP_NAME}"),
            vec![
                paragraph(format!(
                    "Dieser Code bestätigt Ihre E-Mail-Adresse für ein neues Konto bei {APP_NAME}:"
                )),
                Block::Code(code.clone()),
                once(),
                paragraph(
                    "Sie haben kein Konto angefordert? Dann brauchen Sie nichts zu tun: Ohne den Code entsteht keines.",
                ),
                Block::App,
            ],
        ),
        MailContent::AccountExists { usernames } => (
            format!("Sie haben schon ein Konto bei {APP_NAME}"),
            vec![
                paragraph(format!(
                    "Jemand wollte mit Ihrer E-Mail-Adresse ein neues Konto bei {APP_NAME} anlegen. Es gibt schon eines:"
                )),
                Block::List(usernames.clone()),
                paragraph(
                    "Melden Sie sich mit diesem Benutzernamen an. Passwort vergessen? Dort können Sie ein neues setzen.",
                ),
                paragraph(
                    "Sie haben kein Konto angefordert? Dann brauchen Sie nichts zu tun: Nichts hat sich geändert.",
                ),
                Block::App,
            ],
        ),
        MailContent::ResetCode { code, usernames } => (
            format!("Ihr Code für ein neues Passwort bei {APP_NAME}"),
            vec![
                paragraph(format!(
                    "Mit diesem Code können Sie ein neues Passwort bei {APP_NAME} setzen:"
                )),
                Block::Code(code.clone()),
                once(),
                paragraph("Ihr Benutzername zu dieser E-Mail-Adresse:"),
                Block::List(usernames.clone()),
                paragraph(
                    "Sie haben kein neues Passwort angefordert? Dann brauchen Sie nichts zu tun: Das alte gilt weiter.",
                ),
                Block::App,
            ],
        ),
        MailContent::EmailCode { code, username } => (
            format!("Ihr Code für eine neue E-Mail-Adresse bei {APP_NAME}"),
            vec![
                paragraph(format!(
                    "Dieser Code bestätigt, dass das Konto „{username}“ bei {APP_NAME} diese E-Mail-Adresse bekommt:"
                )),
                Block::Code(code.clone()),
                once(),
                paragraph(
                    "Sie haben das nicht angefordert? Dann brauchen Sie nichts zu tun: Ohne den Code ändert sich nichts.",
                ),
                Block::App,
            ],
        ),
        MailContent::PasswordChanged { username } => (
            format!("Ihr Passwort bei {APP_NAME} wurde geändert"),
            vec![
                paragraph(format!(
                    "Das Konto „{username}“ bei {APP_NAME} hat ein neues Passwort."
                )),
                paragraph("Wenn Sie das waren, brauchen Sie nichts zu tun."),
                paragraph(
                    "Wenn nicht, setzen Sie sofort ein neues Passwort: Wählen Sie beim Anmelden „Passwort vergessen“.",
                ),
                Block::App,
            ],
        ),
        MailContent::EmailChanged { username, email } => (
            format!("Ihre E-Mail-Adresse bei {APP_NAME} wurde geändert"),
            vec![
                paragraph(format!(
                    "Das Konto „{username}“ bei {APP_NAME} hat statt dieser eine neue E-Mail-Adresse, {email}."
                )),
                paragraph("Wenn Sie das waren, brauchen Sie nichts zu tun."),
                paragraph("Wenn nicht, sagen Sie es sofort denen, die die App betreiben."),
                Block::App,
            ],
        ),
        MailContent::Invitation {
            inviter,
            project,
            invitee_gid,
            project_gid,
        } => (
            format!("Sie sind zu einem Projekt bei {APP_NAME} eingeladen"),
            vec![
                paragraph(format!(
                    "{inviter} lädt Sie zum Projekt „{project}“ bei {APP_NAME} ein."
                )),
                paragraph("Hier können Sie die Einladung annehmen oder ablehnen:"),
                invitation_link(invitee_gid, project_gid),
                paragraph(
                    "Sie wissen nicht, wer das ist? Dann brauchen Sie nichts zu tun: Ohne Ihr Zutun geschieht nichts.",
                ),
            ],
        ),
    }
}
