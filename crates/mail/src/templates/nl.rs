//! Dutch.

use crate::templates::{Block, invitation_link, paragraph};
use crate::{APP_NAME, MailContent};

pub(crate) fn write(letter: &MailContent) -> (String, Vec<Block>) {
    let once =
        || paragraph("De code is 15 minuten geldig, en maar één keer. Geef hem aan niemand.");
    match letter {
        MailContent::SignupCode { code } => (
            format!("Je code voor een nieuw account bij {APP_NAME}"),
            vec![
                paragraph(format!(
                    "Deze code bevestigt je e-mailadres voor een nieuw account bij {APP_NAME}:"
                )),
                Block::Code(code.clone()),
                once(),
                paragraph(
                    "Heb je geen account aangevraagd? Dan hoef je niets te doen: zonder de code komt er geen.",
                ),
                Block::App,
            ],
        ),
        MailContent::AccountExists { usernames } => (
            format!("Je hebt al een account bij {APP_NAME}"),
            vec![
                paragraph(format!(
                    "Iemand vroeg om een nieuw account bij {APP_NAME} met jouw e-mailadres. Dat heeft er al een:"
                )),
                Block::List(usernames.clone()),
                paragraph(
                    "Log in met die gebruikersnaam. Wachtwoord vergeten? Daar kun je een nieuw instellen.",
                ),
                paragraph(
                    "Heb je geen account aangevraagd? Dan hoef je niets te doen: er is niets veranderd.",
                ),
                Block::App,
            ],
        ),
        MailContent::ResetCode { code, usernames } => (
            format!("Je code voor een nieuw wachtwoord bij {APP_NAME}"),
            vec![
                paragraph(format!(
                    "Met deze code kun je een nieuw wachtwoord instellen bij {APP_NAME}:"
                )),
                Block::Code(code.clone()),
                once(),
                paragraph("Je gebruikersnaam bij dit e-mailadres:"),
                Block::List(usernames.clone()),
                paragraph(
                    "Heb je geen nieuw wachtwoord aangevraagd? Dan hoef je niets te doen: het oude werkt nog.",
                ),
                Block::App,
            ],
        ),
        MailContent::EmailCode { code, username } => (
            format!("Je code voor een nieuw e-mailadres bij {APP_NAME}"),
            vec![
                paragraph(format!(
                    "Deze code bevestigt dat het account “{username}” bij {APP_NAME} dit e-mailadres krijgt:"
                )),
                Block::Code(code.clone()),
                once(),
                paragraph(
                    "Heb je hier niet om gevraagd? Dan hoef je niets te doen: zonder de code verandert er niets.",
                ),
                Block::App,
            ],
        ),
        MailContent::PasswordChanged { username } => (
            format!("Je wachtwoord bij {APP_NAME} is veranderd"),
            vec![
                paragraph(format!(
                    "Het account “{username}” bij {APP_NAME} heeft een nieuw wachtwoord."
                )),
                paragraph("Was jij dat, dan hoef je niets te doen."),
                paragraph(
                    "Zo niet, stel dan meteen een nieuw wachtwoord in: kies bij het inloggen “wachtwoord vergeten”.",
                ),
                Block::App,
            ],
        ),
        MailContent::EmailChanged { username, email } => (
            format!("Je e-mailadres bij {APP_NAME} is veranderd"),
            vec![
                paragraph(format!(
                    "Het account “{username}” bij {APP_NAME} heeft een nieuw e-mailadres, {email}, in plaats van dit."
                )),
                paragraph("Was jij dat, dan hoef je niets te doen."),
                paragraph("Zo niet, laat het dan meteen weten aan wie de app beheert."),
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
                paragraph("Hier kun je de uitnodiging aannemen of afwijzen:"),
                invitation_link(invitee_gid, project_gid),
                paragraph(
                    "Weet je niet wie dat is? Dan hoef je niets te doen: zonder jouw toestemming gebeurt er niets.",
                ),
            ],
        ),
    }
}
