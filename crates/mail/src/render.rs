//! Renders the text of a mail as plain text and as HTML. Both have the same blocks, and the HTML
//! loads nothing from elsewhere.

use crate::templates::{MailText, block::Block};

pub(crate) fn render_text(mail: &MailText, app_url: &str) -> String {
    let blocks = mail.blocks.iter().map(|block| match block {
        Block::Paragraph(text) | Block::Code(text) => text.clone(),
        Block::List(items) => items
            .iter()
            .map(|item| format!("- {item}"))
            .collect::<Vec<_>>()
            .join("\n"),
        Block::App => app_url.to_owned(),
        Block::Link(path) => format!("{app_url}{path}"),
    });
    let mut text = blocks.collect::<Vec<_>>().join("\n\n");
    text.push('\n');
    text
}

/// Style of the body.
const PAGE: &str = "font-family: sans-serif; font-size: 16px; line-height: 1.5; max-width: 36em";
/// Style of a code. The letters are spaced by style only, so that a copied code contains no spaces.
const CODE: &str = "font-family: monospace; font-size: 32px; font-weight: bold; letter-spacing: 4px; user-select: all";

pub(crate) fn render_html(mail: &MailText, app_url: &str) -> String {
    let blocks = mail.blocks.iter().map(|block| match block {
        Block::Paragraph(text) => format!("<p>{}</p>", escape_html(text)),
        Block::Code(code) => format!("<p style=\"{CODE}\">{}</p>", escape_html(code)),
        Block::List(items) => {
            let items = items
                .iter()
                .map(|item| format!("<li><bdi>{}</bdi></li>", escape_html(item)));
            format!("<ul>{}</ul>", items.collect::<String>())
        }
        Block::App => html_link(app_url),
        Block::Link(path) => html_link(&format!("{app_url}{path}")),
    });
    let body = blocks.collect::<Vec<_>>().join("\n");
    let language = mail.language;
    let subject = escape_html(&mail.subject);
    format!(
        "<!doctype html>\n<html lang=\"{language}\">\n<head><meta charset=\"utf-8\"><title>{subject}</title></head>\n\
         <body style=\"{PAGE}\">\n{body}\n</body>\n</html>\n"
    )
}

fn html_link(url: &str) -> String {
    format!("<p><a href=\"{url}\">{url}</a></p>", url = escape_html(url))
}

fn escape_html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        content::{MailContent, tests::all_contents},
        templates,
    };

    const APP: &str = "https://app.example.org/a&b";
    const HOSTILE: &str = "<img src=https://evil.example/x.png>\"'&</p>";

    fn all(text: &str) -> Vec<(MailContent, MailText)> {
        let languages = ["en", "nl", "de"];
        let pairs = all_contents(text)
            .into_iter()
            .flat_map(|content| languages.map(|language| (content.clone(), language)));
        pairs
            .map(|(content, language)| (content.clone(), templates::write(&content, language)))
            .collect()
    }

    #[test]
    fn code_has_its_own_line_and_one_html_element() {
        for (content, mail) in all("ann") {
            let has_code = content.kind().ends_with("_code");
            let text = render_text(&mail, APP);
            assert_eq!(
                text.lines().filter(|line| *line == "K7MWQ4").count(),
                usize::from(has_code),
                "{text}"
            );
            let html = render_html(&mail, APP);
            assert_eq!(
                html.matches(">K7MWQ4<").count(),
                usize::from(has_code),
                "{html}"
            );
            assert_eq!(
                text.contains("15 minu") || text.contains("15 Minuten"),
                has_code,
                "{text}"
            );
            assert!(!mail.subject.contains("K7MWQ4"));
        }
    }

    #[test]
    fn text_and_html_link_to_the_app_and_load_nothing() {
        for (_, mail) in all(HOSTILE) {
            assert_eq!(
                render_text(&mail, APP)
                    .matches(&format!("\n\n{APP}"))
                    .count(),
                1
            );
            let html = render_html(&mail, APP).to_lowercase();
            assert_eq!(
                html.matches("<a href=\"https://app.example.org/a&amp;b")
                    .count(),
                1
            );
            assert_eq!(html.matches("href").count(), 1);
            for loads in [
                "<img",
                "<link",
                "<script",
                "<style",
                "<iframe",
                "url(",
                "src=\"",
                "background",
                "@import",
            ] {
                assert!(!html.contains(loads), "{loads}: {html}");
            }
        }
    }

    #[test]
    fn user_text_is_escaped() {
        for (content, mail) in all(HOSTILE) {
            let html = render_html(&mail, APP);
            assert!(!html.contains(HOSTILE));
            let shows_username = !matches!(content.kind(), "signup_code" | "invitation");
            let escaped = "&lt;img src=https://evil.example/x.png&gt;&quot;&#39;&amp;&lt;/p&gt;";
            let unlinked = "&lt;img src=https···evil·example·x·png&gt;&quot;&#39;&amp;&lt;·p&gt;";
            assert_eq!(
                html.contains(unlinked),
                content.kind() == "invitation",
                "{html}"
            );
            assert_eq!(html.contains(escaped), shows_username, "{html}");
            assert_eq!(render_text(&mail, APP).contains(HOSTILE), shows_username);
        }
    }

    #[test]
    fn invitation_links_to_its_page() {
        let path = "/invite?invitee=0f8fad5b-d9cb-469f-a165-70867728950e&project=7c9e6679-7425-40de-944b-e07fc1f90ae7";
        for (_, mail) in all("ann")
            .into_iter()
            .filter(|(content, _)| content.kind() == "invitation")
        {
            assert!(
                render_text(&mail, "https://app.example.org")
                    .contains(&format!("\n\nhttps://app.example.org{path}\n\n"))
            );
            assert!(
                render_html(&mail, "https://app.example.org").contains(&path.replace('&', "&amp;"))
            );
        }
    }

    #[test]
    fn code_mail_snapshot() {
        let content = MailContent::ResetCode {
            code: "K7MWQ4".to_owned(),
            usernames: vec!["ann".to_owned(), "ben".to_owned()],
        };
        let expected = "Use this code to set a new password for your Doorward account:\n\n\
            K7MWQ4\n\n\
            This code expires in 15 minutes and works once. Don't share it with anyone.\n\n\
            Usernames registered with this email address:\n\n- ann\n- ben\n\n\
            If you didn't request a new password, ignore this email. Your current password still \
            works.\n\nhttps://app.example.org\n";
        assert_eq!(
            render_text(&templates::write(&content, "en"), "https://app.example.org"),
            expected
        );
    }
}
