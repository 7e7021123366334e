//! German texts of mails.

use crate::{
    config::APP_NAME,
    content::MailContent,
    templates::block::{Block, invitation_link, paragraph},
};

/// Returns the subject and the blocks of a mail.
#[expect(clippy::too_many_lines, reason = "one arm for each mail")]
pub(crate) fn write(content: &MailContent) -> (String, Vec<Block>) {
    let once = || {
        paragraph(
            "Dieser Code ist 15 Minuten gültig und kann nur einmal verwendet werden. Geben Sie \
             ihn nicht weiter.",
        )
    };
    match content {
        MailContent::SignupCode { code } => (
            format!("Ihr Code für ein neues Konto bei {APP_NAME}"),
            vec![
                paragraph(format!(
                    "Dieser Code bestätigt Ihre E-Mail-Adresse für ein neues Konto bei {APP_NAME}:"
                )),
                Block::Code(code.clone()),
                once(),
                paragraph(
                    "Wenn Sie kein Konto angefordert haben, können Sie diese E-Mail ignorieren. \
                     Ohne den Code wird kein Konto angelegt.",
                ),
                Block::App,
            ],
        ),
        MailContent::AccountExists { usernames } => (
            format!("Sie haben bereits ein Konto bei {APP_NAME}"),
            vec![
                paragraph(format!(
                    "Jemand hat versucht, mit Ihrer E-Mail-Adresse ein Konto bei {APP_NAME} \
                     anzulegen, aber Sie haben bereits eines. Benutzernamen zu dieser \
                     E-Mail-Adresse:"
                )),
                Block::List(usernames.clone()),
                paragraph(
                    "Melden Sie sich mit Ihrem Benutzernamen an. Passwort vergessen? Auf der \
                     Anmeldeseite können Sie ein neues festlegen.",
                ),
                paragraph(
                    "Wenn Sie das nicht waren, können Sie diese E-Mail ignorieren. Es hat sich \
                     nichts geändert.",
                ),
                Block::App,
            ],
        ),
        MailContent::ResetCode { code, usernames } => (
            format!("Ihr Code für ein neues Passwort bei {APP_NAME}"),
            vec![
                paragraph(format!(
                    "Mit diesem Code können Sie ein neues Passwort für Ihr Konto bei {APP_NAME} \
                     festlegen:"
                )),
                Block::Code(code.clone()),
                once(),
                paragraph("Benutzernamen zu dieser E-Mail-Adresse:"),
                Block::List(usernames.clone()),
                paragraph(
                    "Wenn Sie kein neues Passwort angefordert haben, können Sie diese E-Mail \
                     ignorieren. Ihr bisheriges Passwort gilt weiterhin.",
                ),
                Block::App,
            ],
        ),
        MailContent::EmailCode { code, username } => (
            format!("Ihr Code für eine neue E-Mail-Adresse bei {APP_NAME}"),
            vec![
                paragraph(format!(
                    "Dieser Code bestätigt diese E-Mail-Adresse für das Konto „{username}“ bei \
                     {APP_NAME}:"
                )),
                Block::Code(code.clone()),
                once(),
                paragraph(
                    "Wenn Sie diese Änderung nicht angefordert haben, können Sie diese E-Mail \
                     ignorieren. Ohne den Code ändert sich nichts.",
                ),
                Block::App,
            ],
        ),
        MailContent::PasswordChanged { username } => (
            format!("Ihr Passwort bei {APP_NAME} wurde geändert"),
            vec![
                paragraph(format!(
                    "Das Passwort Ihres Kontos „{username}“ bei {APP_NAME} wurde geändert."
                )),
                paragraph("Wenn Sie das waren, brauchen Sie nichts zu tun."),
                paragraph(
                    "Wenn nicht, legen Sie bitte sofort ein neues Passwort fest: Wählen Sie auf \
                     der Anmeldeseite „Passwort vergessen“.",
                ),
                Block::App,
            ],
        ),
        MailContent::EmailChanged { username, email } => (
            format!("Ihre E-Mail-Adresse bei {APP_NAME} wurde geändert"),
            vec![
                paragraph(format!(
                    "Die E-Mail-Adresse Ihres Kontos „{username}“ bei {APP_NAME} wurde von dieser \
                     Adresse in {email} geändert."
                )),
                paragraph("Wenn Sie das waren, brauchen Sie nichts zu tun."),
                paragraph("Wenn nicht, wenden Sie sich bitte sofort an den Administrator der App."),
                Block::App,
            ],
        ),
        MailContent::Invitation {
            inviter,
            project,
            invitee_gid,
            project_gid,
        } => (
            format!("Sie wurden zu einem Projekt bei {APP_NAME} eingeladen"),
            vec![
                paragraph(format!(
                    "{inviter} lädt Sie zum Projekt „{project}“ bei {APP_NAME} ein."
                )),
                paragraph("Hier können Sie die Einladung annehmen oder ablehnen:"),
                invitation_link(invitee_gid, project_gid),
                paragraph(
                    "Wenn Sie diese Person nicht kennen, können Sie diese E-Mail ignorieren. Sie \
                     treten dem Projekt nur bei, wenn Sie die Einladung annehmen.",
                ),
            ],
        ),
    }
}
