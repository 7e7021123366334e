//! The page with all calls for people. It has no scripts and loads nothing.

use std::fmt::Write;

use serde_json::Value;

use super::{
    call::{Call, Input, Renewal, ResponseKind},
    calls::SECTIONS,
    examples,
    field::{self, Field},
    operations,
};

/// Content security policy: only the style in the page itself.
pub(super) const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; \
                                 base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const STYLE: &str = include_str!("page.css");

/// Returns the HTML of the page.
pub(super) fn render(calls: &[Call]) -> String {
    let mut page = Page(String::new());
    page.begin();
    for (section, description) in SECTIONS {
        page.add(format_args!(
            "<h2 id=\"{}\">{}</h2><p>{}</p>",
            anchor(section),
            escape(section),
            prose(description)
        ));
        calls
            .iter()
            .filter(|call| call.section == section)
            .for_each(|call| page.call(call));
    }
    page.entries();
    page.0.push_str("</main></body></html>\n");
    page.0
}

/// HTML that has been written so far.
struct Page(String);

impl Page {
    fn add(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.0.write_fmt(text);
    }

    fn begin(&mut self) {
        let release = doorward_domain::version::current_release();
        self.add(format_args!(
            "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\">\
            <title>Doorward API</title>\
            <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
            <style>{STYLE}</style></head>\
            <body><nav><strong>Doorward {release}</strong>"
        ));
        for (section, _) in SECTIONS {
            self.add(format_args!(
                "<a href=\"#{}\">{}</a>",
                anchor(section),
                escape(section)
            ));
        }
        self.add(format_args!(
            "<a href=\"#entries\">Entries</a></nav><main><h1>Doorward API</h1><p>{}</p>\
            <p>For programs: <a href=\"/api/openapi.json\">openapi.json</a>.</p>",
            prose(
                "A call is a `POST` with a JSON object; unknown members are ignored. A token is \
                 sent as `Authorization: Bearer <token>`. A response has `success`, `result` and \
                 `data`. The HTTP status of an error is its `code`; codes from 1000 up have the \
                 status 422."
            )
        ));
    }

    fn call(&mut self, call: &Call) {
        let methods: Vec<&str> = call.methods().iter().map(|method| method.name()).collect();
        let id = operations::operation_id(call, call.main_method());
        self.add(format_args!(
            "<article id=\"{id}\"><h3>{}</h3>\
            <p class=\"path\"><b>{}</b> <code>{}</code>{}</p><p>{}</p>",
            escape(call.summary),
            methods.join(", "),
            escape(call.path),
            if call.requires_token {
                " <i>with a token</i>"
            } else {
                ""
            },
            prose(call.description)
        ));
        match &call.input {
            Input::Nothing | Input::OptionalBody => {}
            Input::Json(fields) => {
                self.fields("Parameters", fields);
                self.example("Example", &field::example(fields));
            }
            Input::UploadForm(fields) => self.fields("Parts of the form", fields),
        }
        self.response(call);
        self.errors(call);
        self.0.push_str("</article>");
    }

    fn fields(&mut self, title: &str, fields: &[Field]) {
        if fields.is_empty() {
            return;
        }
        self.add(format_args!("<h4>{title}</h4><table>"));
        for field in fields {
            let prefix = if field.is_required { "" } else { "optional " };
            self.add(format_args!(
                "<tr><td><code>{}</code></td><td>{prefix}{}</td><td>{}</td></tr>",
                escape(field.name),
                field.shape.name(),
                prose(field.description)
            ));
        }
        self.0.push_str("</table>");
    }

    fn response(&mut self, call: &Call) {
        match &call.response {
            ResponseKind::Envelope { result, data } => {
                self.fields("Result", result);
                if !data.is_empty() {
                    self.0.push_str("<h4>Data</h4><table>");
                    for entries in data {
                        let key = entries.key();
                        self.add(format_args!(
                            "<tr><td><code>{key}</code></td><td>{}</td></tr>",
                            entries.description()
                        ));
                    }
                    self.0.push_str("</table>");
                }
                self.example("Response", &operations::example(result, data));
            }
            ResponseKind::Picture { caching } => {
                self.add(format_args!("<p>{}</p>", prose(caching)));
            }
            ResponseKind::Keys | ResponseKind::Document | ResponseKind::Page => {}
        }
        match call.renewal {
            Renewal::Never => {}
            Renewal::WhenDue => self.0.push_str(
                "<p>The <code>Authorization</code> header has a new token if renewal is due.</p>",
            ),
            Renewal::Always => self
                .0
                .push_str("<p>The <code>Authorization</code> header has a new token.</p>"),
        }
    }

    fn errors(&mut self, call: &Call) {
        self.0.push_str("<details><summary>Errors</summary><table>");
        let mut unprocessable =
            Some(&call.unprocessable).filter(|unprocessable| !unprocessable.examples().is_empty());
        // The rows are sorted by code. 422 is described separately, so it is inserted before the
        // first higher code; there always is one, since every call can fail with 500.
        for error in call.all_errors(call.main_method()) {
            if error.code() > 422
                && let Some(unprocessable) = unprocessable.take()
            {
                self.unprocessable(&unprocessable.description(), &unprocessable.examples());
            }
            self.add(format_args!(
                "<tr><td>{}</td><td>{}</td><td>{}<pre>{}</pre></td></tr>",
                error.code(),
                error.message(),
                prose(error.description()),
                escape(&error.example().to_string())
            ));
        }
        self.0.push_str("</table></details>");
    }

    fn unprocessable(&mut self, description: &str, examples: &[Value]) {
        self.add(format_args!(
            "<tr><td>422</td><td></td><td>{}",
            prose(description)
        ));
        for example in examples {
            self.add(format_args!("<pre>{}</pre>", escape(&example.to_string())));
        }
        self.0.push_str("</td></tr>");
    }

    fn example(&mut self, title: &str, example: &Value) {
        let text = serde_json::to_string_pretty(example).unwrap_or_default();
        self.add(format_args!(
            "<details><summary>{title}</summary><pre>{}</pre></details>",
            escape(&text)
        ));
    }

    fn entries(&mut self) {
        self.0.push_str("<h2 id=\"entries\">Entries</h2>");
        for (name, description, example) in examples::entries() {
            self.add(format_args!(
                "<article><h3>{name}</h3><p>{}</p>",
                prose(description)
            ));
            self.example("Example", &example);
            self.0.push_str("</article>");
        }
    }
}

/// Returns the id of the heading of a section.
fn anchor(section: &str) -> String {
    section
        .to_lowercase()
        .replace(|letter: char| !letter.is_ascii_alphanumeric(), "-")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// Returns a text as HTML, with the parts in backticks as code.
fn prose(text: &str) -> String {
    let parts = text.split('`').enumerate();
    parts
        .map(|(index, part)| {
            if index % 2 == 0 {
                escape(part)
            } else {
                format!("<code>{}</code>", escape(part))
            }
        })
        .collect()
}
