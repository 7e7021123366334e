//! Dutch texts of mails.

use crate::{
    config::APP_NAME,
    content::MailContent,
    templates::block::{Block, invitation_link, paragraph},
};

/// Returns the subject and the blocks of a mail.
#[expect(clippy::too_many_lines, reason = "one arm for each mail")]
pub(crate) fn write(content: &MailContent) -> (String, Vec<Block>) {
    let once =
        || paragraph("Deze code is 15 minuten geldig en werkt één keer. Deel de code met niemand.");
    match content {
        MailContent::SignupCode { code } => (
            format!("Je code voor een nieuw account bij {APP_NAME}"),
            vec![
                paragraph(format!(
                    "Deze code bevestigt je e-mailadres voor een nieuw account bij {APP_NAME}:"
                )),
                Block::Code(code.clone()),
                once(),
                paragraph(
                    "Heb je geen account aangevraagd? Dan kun je deze e-mail negeren. Zonder de \
                     code wordt er geen account aangemaakt.",
                ),
                Block::App,
            ],
        ),
        MailContent::AccountExists { usernames } => (
            format!("Je hebt al een account bij {APP_NAME}"),
            vec![
                paragraph(format!(
                    "Iemand heeft geprobeerd met jouw e-mailadres een account bij {APP_NAME} aan \
                     te maken, maar je hebt er al een. Gebruikersnamen bij dit e-mailadres:"
                )),
                Block::List(usernames.clone()),
                paragraph(
                    "Log in met je gebruikersnaam. Wachtwoord vergeten? Op de inlogpagina kun je \
                     een nieuw wachtwoord instellen.",
                ),
                paragraph(
                    "Was jij dit niet? Dan kun je deze e-mail negeren. Er is niets gewijzigd.",
                ),
                Block::App,
            ],
        ),
        MailContent::ResetCode { code, usernames } => (
            format!("Je code voor een nieuw wachtwoord bij {APP_NAME}"),
            vec![
                paragraph(format!(
                    "Met deze code stel je een nieuw wachtwoord in voor je account bij {APP_NAME}:"
                )),
                Block::Code(code.clone()),
                once(),
                paragraph("Gebruikersnamen bij dit e-mailadres:"),
                Block::List(usernames.clone()),
                paragraph(
                    "Heb je geen nieuw wachtwoord aangevraagd? Dan kun je deze e-mail negeren. Je \
                     huidige wachtwoord blijft geldig.",
                ),
                Block::App,
            ],
        ),
        MailContent::EmailCode { code, username } => (
            format!("Je code voor een nieuw e-mailadres bij {APP_NAME}"),
            vec![
                paragraph(format!(
                    "Deze code bevestigt dit e-mailadres voor het account “{username}” bij \
                     {APP_NAME}:"
                )),
                Block::Code(code.clone()),
                once(),
                paragraph(
                    "Heb je deze wijziging niet aangevraagd? Dan kun je deze e-mail negeren. \
                     Zonder de code verandert er niets.",
                ),
                Block::App,
            ],
        ),
        MailContent::PasswordChanged { username } => (
            format!("Je wachtwoord bij {APP_NAME} is gewijzigd"),
            vec![
                paragraph(format!(
                    "Het wachtwoord van je account “{username}” bij {APP_NAME} is gewijzigd."
                )),
                paragraph("Heb je dit zelf gedaan? Dan hoef je niets te doen."),
                paragraph(
                    "Zo niet, stel dan direct een nieuw wachtwoord in: kies op de inlogpagina \
                     “Wachtwoord vergeten”.",
                ),
                Block::App,
            ],
        ),
        MailContent::EmailChanged { username, email } => (
            format!("Je e-mailadres bij {APP_NAME} is gewijzigd"),
            vec![
                paragraph(format!(
                    "Het e-mailadres van je account “{username}” bij {APP_NAME} is gewijzigd van \
                     dit adres in {email}."
                )),
                paragraph("Heb je dit zelf gedaan? Dan hoef je niets te doen."),
                paragraph("Zo niet, neem dan direct contact op met de beheerder van de app."),
                Block::App,
            ],
        ),
        MailContent::Invitation {
            inviter,
            project,
            invitee_gid,
            project_gid,
        } => (
            format!("Je bent uitgenodigd voor een project bij {APP_NAME}"),
            vec![
                paragraph(format!(
                    "{inviter} nodigt je uit voor het project “{project}” bij {APP_NAME}."
                )),
                paragraph("Hier kun je de uitnodiging accepteren of afwijzen:"),
                invitation_link(invitee_gid, project_gid),
                paragraph(
                    "Ken je deze persoon niet? Dan kun je deze e-mail negeren. Je doet pas mee \
                     aan het project als je de uitnodiging accepteert.",
                ),
            ],
        ),
    }
}
