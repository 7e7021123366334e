//! Words as text and as HTML: the same blocks in both, nothing that is loaded from elsewhere.

use crate::templates::{Block, MailText};

pub(crate) fn render_text(words: &MailText, app_url: &str) -> String {
    let blocks = words.blocks.iter().map(|block| match block {
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

const PAGE: &str = "font-family: sans-serif; font-size: 16px; line-height: 1.5; max-width: 36em";
/// Spaced by style alone, so that it is copied as it is.
const CODE: &str = "font-family: monospace; font-size: 32px; font-weight: bold; letter-spacing: 4px; user-select: all";

pub(crate) fn render_html(words: &MailText, app_url: &str) -> String {
    let blocks = words.blocks.iter().map(|block| match block {
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
    let (language, subject) = (words.language, escape_html(&words.subject));
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
    use crate::{MailContent, content::tests::all_contents, templates};

    const APP: &str = "https://app.example.org/a&b";
    const HOSTILE: &str = "<img src=https://evil.example/x.png>\"'&</p>";

    fn all(text: &str) -> Vec<(MailContent, MailText)> {
        let languages = ["en", "nl", "de"];
        let pairs = all_contents(text)
            .into_iter()
            .flat_map(|letter| languages.map(|language| (letter.clone(), language)));
        pairs
            .map(|(letter, language)| (letter.clone(), templates::write(&letter, language)))
            .collect()
    }

    #[test]
    fn code_has_its_own_line_and_one_html_element() {
        for (letter, words) in all("ann") {
            let has_code = letter.kind().ends_with("_code");
            let text = render_text(&words, APP);
            assert_eq!(
                text.lines().filter(|line| *line == "K7MWQ4").count(),
                usize::from(has_code),
                "{text}"
            );
            let html = render_html(&words, APP);
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
            assert!(!words.subject.contains("K7MWQ4"));
        }
    }

    #[test]
    fn text_and_html_link_to_the_app_and_load_nothing() {
        for (_, words) in all(HOSTILE) {
            assert_eq!(
                render_text(&words, APP)
                    .matches(&format!("\n\n{APP}"))
                    .count(),
                1
            );
            let html = render_html(&words, APP).to_lowercase();
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
        for (letter, words) in all(HOSTILE) {
            let html = render_html(&words, APP);
            assert!(!html.contains(HOSTILE));
            let shows_username = !matches!(letter.kind(), "signup_code" | "invitation");
            let escaped = "&lt;img src=https://evil.example/x.png&gt;&quot;&#39;&amp;&lt;/p&gt;";
            let unlinked = "&lt;img src=https···evil·example·x·png&gt;&quot;&#39;&amp;&lt;·p&gt;";
            assert_eq!(
                html.contains(unlinked),
                letter.kind() == "invitation",
                "{html}"
            );
            assert_eq!(html.contains(escaped), shows_username, "{html}");
            assert_eq!(render_text(&words, APP).contains(HOSTILE), shows_username);
        }
    }

    #[test]
    fn invitation_links_to_its_page() {
        let path = "/invite?invitee=0f8fad5b-d9cb-469f-a165-70867728950e&project=7c9e6679-7425-40de-944b-e07fc1f90ae7";
        for (_, words) in all("ann")
            .into_iter()
            .filter(|(letter, _)| letter.kind() == "invitation")
        {
            assert!(
                render_text(&words, "https://app.example.org")
                    .contains(&format!("\n\nhttps://app.example.org{path}\n\n"))
            );
            assert!(
                render_html(&words, "https://app.example.org")
                    .contains(&path.replace('&', "&amp;"))
            );
        }
    }

    #[test]
    fn code_mail_snapshot() {
        let letter = MailContent::ResetCode {
            code: "K7MWQ4".to_owned(),
            usernames: vec!["ann".to_owned(), "ben".to_owned()],
        };
        let expected = "With this code you can set a new Doorward password:\n\nK7MWQ4\n\n\
            It is good for 15 minutes, and only once. Don't give it to anybody.\n\n\
            Your username with this email address:\n\n- ann\n- ben\n\n\
            You didn't ask for a new password? Then you need to do nothing: the old one still works.\n\n\
            https://app.example.org\n";
        assert_eq!(
            render_text(&templates::write(&letter, "en"), "https://app.example.org"),
            expected
        );
    }
}
