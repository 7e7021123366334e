//! Templates turn mail content into text, with one file per language. Text that users chose is
//! sanitized here, before a template sees it.

pub(crate) mod block;
mod de;
mod en;
mod nl;

use crate::{content::MailContent, templates::block::Block};

/// The text of a mail, before it is rendered as plain text and HTML.
pub(crate) struct MailText {
    /// Language code, for the attribute `lang` in HTML.
    pub(crate) language: &'static str,
    /// Subject. It contains no text that a user chose.
    pub(crate) subject: String,
    pub(crate) blocks: Vec<Block>,
}

/// Returns the text of a mail in the language with this code. A code such as `nl-be` falls back to
/// the part before its hyphen, and an unknown language to English.
pub(crate) fn write(content: &MailContent, language: &str) -> MailText {
    let content = &sanitize(content);
    let base = language
        .split(['-', '_'])
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    let (language, (subject, blocks)) = match base.as_str() {
        "nl" => ("nl", nl::write(content)),
        "de" => ("de", de::write(content)),
        _ => ("en", en::write(content)),
    };
    MailText {
        language,
        subject,
        blocks,
    }
}

/// Returns the content with texts that are safe to show. In an invitation, the texts were chosen by
/// a possible stranger to the recipient, so links in them are broken as well.
fn sanitize(content: &MailContent) -> MailContent {
    let all = |texts: &[String]| texts.iter().map(|text| sanitize_text(text)).collect();
    match content {
        MailContent::SignupCode { code } => MailContent::SignupCode {
            code: sanitize_text(code),
        },
        MailContent::AccountExists { usernames } => MailContent::AccountExists {
            usernames: all(usernames),
        },
        MailContent::ResetCode { code, usernames } => MailContent::ResetCode {
            code: sanitize_text(code),
            usernames: all(usernames),
        },
        MailContent::EmailCode { code, username } => MailContent::EmailCode {
            code: sanitize_text(code),
            username: sanitize_text(username),
        },
        MailContent::PasswordChanged { username } => MailContent::PasswordChanged {
            username: sanitize_text(username),
        },
        MailContent::EmailChanged { username, email } => MailContent::EmailChanged {
            username: sanitize_text(username),
            email: mask_address(&sanitize_text(email)),
        },
        MailContent::Invitation {
            inviter,
            project,
            invitee_gid,
            project_gid,
        } => MailContent::Invitation {
            inviter: break_links(&sanitize_text(inviter)),
            project: break_links(&sanitize_text(project)),
            invitee_gid: sanitize_text(invitee_gid),
            project_gid: sanitize_text(project_gid),
        },
    }
}

/// Replaces characters that break lines, change the direction of text, or are invisible.
fn sanitize_text(text: &str) -> String {
    let is_deceptive = |c: char| {
        c.is_control()
            || matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
    };
    text.chars()
        .map(|c| {
            if is_deceptive(c) {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            }
        })
        .collect()
}

/// Returns a text in which mail programs find nothing to turn into a link: `http://evil.example`
/// becomes `http···evil·example`. Characters that join two words become middle dots; at the end
/// of a word they stay.
fn break_links(text: &str) -> String {
    let joins = |c: char| {
        matches!(
            c,
            '.' | '\u{2024}' | '\u{3002}' | '\u{fe52}' | '\u{ff0e}' | '\u{ff61}' // full stops
            | ':' | '\u{fe55}' | '\u{ff1a}' | '/' | '\u{ff0f}' | '\\' | '\u{fe68}' | '\u{ff3c}'
            | '@' | '\u{fe6b}' | '\u{ff20}'
        )
    };
    let mut chars = text.chars().peekable();
    let mut shown = String::with_capacity(text.len());
    while let Some(c) = chars.next() {
        let is_in_word = chars.peek().is_some_and(|next| !next.is_whitespace());
        shown.push(if joins(c) && is_in_word { '\u{b7}' } else { c });
    }
    shown
}

/// Masks an address: `a***@example.org`. The user who set it recognizes it, and others learn
/// little.
fn mask_address(email: &str) -> String {
    let (local, domain) = email.rsplit_once('@').unwrap_or_default();
    let first: String = local
        .chars()
        .find(|c| c.is_alphanumeric())
        .into_iter()
        .collect();
    format!("{first}***@{domain}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::tests::all_contents;

    const HOSTILE: &str = "a\u{202e}nn<b>\r\nBcc: x\u{85}\u{2028}y\u{feff}";

    #[test]
    fn language_falls_back_to_english() {
        let cases = [
            ("en", "en"),
            ("nl", "nl"),
            ("nl-be", "nl"),
            ("NL_BE", "nl"),
            ("de-at", "de"),
            ("fr", "en"),
            ("", "en"),
        ];
        for (code, language) in cases {
            assert_eq!(
                write(
                    &MailContent::SignupCode {
                        code: "K7MWQ4".to_owned()
                    },
                    code
                )
                .language,
                language,
                "{code}"
            );
        }
    }

    #[test]
    fn languages_have_different_text_and_the_same_blocks() {
        let shape = |mail_text: &MailText| {
            let shape = mail_text.blocks.iter().map(|block| match block {
                Block::Paragraph(_) => "paragraph".to_owned(),
                Block::Code(_) | Block::List(_) | Block::App | Block::Link(_) => {
                    format!("{block:?}")
                }
            });
            shape.collect::<Vec<_>>()
        };
        for content in all_contents("ann") {
            let [en, nl, de] = ["en", "nl", "de"].map(|language| write(&content, language));
            assert_eq!(shape(&en), shape(&nl), "{content:?}");
            assert_eq!(shape(&en), shape(&de), "{content:?}");
            assert_ne!(en.blocks, nl.blocks);
            assert_ne!(en.blocks, de.blocks);
            assert_ne!(nl.blocks, de.blocks);
        }
    }

    #[test]
    fn user_text_is_never_in_the_subject_and_never_changes_lines_or_direction() {
        for language in ["en", "nl", "de"] {
            for (content, harmless) in all_contents(HOSTILE).iter().zip(all_contents("ann")) {
                let mail_text = write(content, language);
                assert_eq!(mail_text.subject, write(&harmless, language).subject);
                let texts = mail_text.blocks.iter().flat_map(|block| match block {
                    Block::Paragraph(text) | Block::Code(text) | Block::Link(text) => {
                        vec![text.clone()]
                    }
                    Block::List(texts) => texts.clone(),
                    Block::App => Vec::new(),
                });
                for text in texts {
                    assert_eq!(sanitize_text(&text), text);
                }
            }
        }
    }

    #[test]
    fn user_text_never_becomes_a_link() {
        for (chosen, shown) in [
            ("http://evil.example/x?y=z#w", "http···evil·example·x?y=z#w"),
            ("www.evil.example", "www·evil·example"),
            ("mailto:a@evil.example", "mailto·a·evil·example"),
            ("javascript:alert(1)", "javascript·alert(1)"),
            ("\\\\evil\\share", "··evil·share"),
            ("evil\u{3002}example", "evil·example"),
            ("evil\u{ff0e}example", "evil·example"),
            ("evil\u{2024}example", "evil·example"),
            ("a\u{ff20}evil\u{ff61}example", "a·evil·example"),
            ("http\u{ff1a}\u{ff0f}\u{ff0f}evil", "http···evil"),
            ("//evil", "··evil"),
            ("J.R.R. Tolkien", "J·R·R. Tolkien"),
            ("Acme Inc.", "Acme Inc."),
            ("St. Mary: plan 2", "St. Mary: plan 2"),
            ("Зоя", "Зоя"),
        ] {
            assert_eq!(break_links(chosen), shown);
            let content = MailContent::Invitation {
                inviter: chosen.to_owned(),
                project: chosen.to_owned(),
                invitee_gid: "0f8fad5b-d9cb-469f-a165-70867728950e".to_owned(),
                project_gid: "7c9e6679-7425-40de-944b-e07fc1f90ae7".to_owned(),
            };
            for language in ["en", "nl", "de"] {
                let MailText {
                    blocks, subject, ..
                } = write(&content, language);
                let Some(Block::Paragraph(text)) = blocks.first() else {
                    panic!("{blocks:?}")
                };
                assert_eq!(text.matches(shown).count(), 2, "{text}");
                assert!(
                    !subject.contains(shown) && shown == chosen || !text.contains(chosen),
                    "{text}"
                );
            }
        }
    }

    #[test]
    fn new_address_is_masked() {
        for (email, expected) in [
            ("ann@example.org", "a***@example.org"),
            ("\"x@y\"@example.org", "x***@example.org"),
            ("émile@example.org", "é***@example.org"),
            ("_@example.org", "***@example.org"),
            ("nothing", "***@"),
        ] {
            assert_eq!(mask_address(email), expected);
        }
    }
}
