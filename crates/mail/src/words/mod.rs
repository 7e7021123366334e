//! What letters say, in plain words: a file for each language.

mod de;
mod en;
mod nl;

use crate::Letter;

/// A letter in words, before it becomes text or HTML.
pub(crate) struct Words {
    /// Of `lang` in HTML.
    pub(crate) language: &'static str,
    /// Nothing that a user chose.
    pub(crate) subject: String,
    pub(crate) blocks: Vec<Block>,
}

/// What stands apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Block {
    Paragraph(String),
    Code(String),
    List(Vec<String>),
    /// Where the app is.
    App,
    /// Something in the app, by its path and query.
    Link(String),
}

/// In the language of this code, or of the part before its hyphen; else in English.
pub(crate) fn write(letter: &Letter, language: &str) -> Words {
    let letter = &shown(letter);
    let base = language.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
    let (language, (subject, blocks)) = match base.as_str() {
        "nl" => ("nl", nl::write(letter)),
        "de" => ("de", de::write(letter)),
        _ => ("en", en::write(letter)),
    };
    Words { language, subject, blocks }
}

/// Where an invitation is answered.
fn invite(invitee_gid: &str, project_gid: &str) -> Block {
    Block::Link(format!("/invite?invitee={invitee_gid}&project={project_gid}"))
}

fn paragraph(text: impl Into<String>) -> Block {
    Block::Paragraph(text.into())
}

/// The same letter, with texts that can be shown.
fn shown(letter: &Letter) -> Letter {
    let all = |texts: &[String]| texts.iter().map(|text| plain(text)).collect();
    match letter {
        Letter::SignupCode { code } => Letter::SignupCode { code: plain(code) },
        Letter::AccountExists { usernames } => Letter::AccountExists { usernames: all(usernames) },
        Letter::ResetCode { code, usernames } => Letter::ResetCode { code: plain(code), usernames: all(usernames) },
        Letter::EmailCode { code, username } => Letter::EmailCode { code: plain(code), username: plain(username) },
        Letter::PasswordChanged { username } => Letter::PasswordChanged { username: plain(username) },
        Letter::EmailChanged { username, email } => {
            Letter::EmailChanged { username: plain(username), email: masked(&plain(email)) }
        }
        Letter::Invitation { inviter, project, invitee_gid, project_gid } => Letter::Invitation {
            inviter: plain(inviter),
            project: plain(project),
            invitee_gid: plain(invitee_gid),
            project_gid: plain(project_gid),
        },
    }
}

/// Without what changes lines or the direction of what follows, or is not seen.
fn plain(text: &str) -> String {
    let is_trick = |c: char| {
        c.is_control()
            || matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
    };
    text.chars().map(|c| if is_trick(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// `a***@example.org`: who changed it knows it again, and others learn little.
fn masked(email: &str) -> String {
    let (local, domain) = email.rsplit_once('@').unwrap_or_default();
    let first: String = local.chars().find(|c| c.is_alphanumeric()).into_iter().collect();
    format!("{first}***@{domain}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::letter::tests::each;

    const HOSTILE: &str = "a\u{202e}nn<b>\r\nBcc: x\u{85}\u{2028}y\u{feff}";

    #[test]
    fn the_language_is_that_of_the_code_or_english() {
        let cases =
            [("en", "en"), ("nl", "nl"), ("nl-be", "nl"), ("NL_BE", "nl"), ("de-at", "de"), ("fr", "en"), ("", "en")];
        for (code, language) in cases {
            assert_eq!(write(&Letter::SignupCode { code: "K7MWQ4".to_owned() }, code).language, language, "{code}");
        }
    }

    #[test]
    fn each_language_has_words_of_its_own_with_the_same_blocks() {
        let shape = |words: &Words| {
            let shape = words.blocks.iter().map(|block| match block {
                Block::Paragraph(_) => "paragraph".to_owned(),
                Block::Code(_) | Block::List(_) | Block::App | Block::Link(_) => format!("{block:?}"),
            });
            shape.collect::<Vec<_>>()
        };
        for letter in each("ann") {
            let [en, nl, de] = ["en", "nl", "de"].map(|language| write(&letter, language));
            assert_eq!(shape(&en), shape(&nl), "{letter:?}");
            assert_eq!(shape(&en), shape(&de), "{letter:?}");
            assert_ne!(en.blocks, nl.blocks);
            assert_ne!(en.blocks, de.blocks);
            assert_ne!(nl.blocks, de.blocks);
        }
    }

    #[test]
    fn what_users_chose_is_never_in_a_subject_and_never_changes_lines_or_direction() {
        for language in ["en", "nl", "de"] {
            for (letter, harmless) in each(HOSTILE).iter().zip(each("ann")) {
                let words = write(letter, language);
                assert_eq!(words.subject, write(&harmless, language).subject);
                let texts = words.blocks.iter().flat_map(|block| match block {
                    Block::Paragraph(text) | Block::Code(text) | Block::Link(text) => vec![text.clone()],
                    Block::List(texts) => texts.clone(),
                    Block::App => Vec::new(),
                });
                for text in texts {
                    assert_eq!(plain(&text), text);
                }
            }
        }
    }

    #[test]
    fn a_new_address_is_masked() {
        for (email, expected) in [
            ("ann@example.org", "a***@example.org"),
            ("\"x@y\"@example.org", "x***@example.org"),
            ("émile@example.org", "é***@example.org"),
            ("_@example.org", "***@example.org"),
            ("nothing", "***@"),
        ] {
            assert_eq!(masked(email), expected);
        }
    }
}
