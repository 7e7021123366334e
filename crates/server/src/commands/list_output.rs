//! Prints lists to stdout, page by page: on a terminal as a table, otherwise as one JSON array with
//! one entry per line.

use std::io::{self, IsTerminal};

use serde_json::Value;
use unicode_width::UnicodeWidthStr;

use crate::{cli::ListFormat, stdout};

/// Number of spaces between two columns.
const COLUMN_GAP: usize = 2;
/// Text of an empty cell.
const EMPTY_CELL: &str = "-";

/// A column of a table: its title, and a JSON pointer (RFC 6901) to its value in an entry.
pub(crate) type Column = (&'static str, &'static str);

pub(crate) enum ListOutput {
    Json {
        has_entries: bool,
    },
    /// Holds all rows until the end, because a column is as wide as its widest cell.
    Table {
        columns: &'static [Column],
        rows: Vec<Vec<String>>,
    },
}

impl ListOutput {
    pub(crate) const PAGE: i64 = 1000;

    pub(crate) fn new(format: ListFormat, columns: &'static [Column]) -> Self {
        if format.json || !io::stdout().is_terminal() {
            Self::json()
        } else {
            Self::Table {
                columns,
                rows: Vec::new(),
            }
        }
    }

    pub(crate) const fn json() -> Self {
        Self::Json { has_entries: false }
    }

    /// Adds a page, and returns whether there may be more. An empty page ends the list.
    pub(crate) fn push_page(
        &mut self,
        entries: impl ExactSizeIterator<Item = Value>,
    ) -> io::Result<bool> {
        if entries.len() == 0 {
            return self.finish().map(|()| false);
        }
        for entry in entries {
            match self {
                Self::Json { has_entries } => {
                    let before = if std::mem::replace(has_entries, true) {
                        ",\n"
                    } else {
                        "[\n"
                    };
                    stdout::print_text(&format!("{before}{entry}"))?;
                }
                Self::Table { columns, rows } => {
                    rows.push(
                        columns
                            .iter()
                            .map(|(_, at)| format_cell(entry.pointer(at)))
                            .collect(),
                    );
                }
            }
        }
        Ok(true)
    }

    pub(crate) fn finish(&self) -> io::Result<()> {
        match self {
            Self::Json { has_entries } => {
                stdout::print_text(if *has_entries { "\n]\n" } else { "[]\n" })
            }
            Self::Table { columns, rows } => stdout::print_text(&format_table(columns, rows)),
        }
    }
}

fn format_cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => EMPTY_CELL.to_owned(),
        Some(Value::String(text)) if text.is_empty() => EMPTY_CELL.to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(values)) => values
            .iter()
            .map(|value| format_cell(Some(value)))
            .collect::<Vec<_>>()
            .join(", "),
        Some(value @ (Value::Bool(_) | Value::Number(_) | Value::Object(_))) => value.to_string(),
    }
}

fn format_table(columns: &[Column], rows: &[Vec<String>]) -> String {
    let title: Vec<String> = columns
        .iter()
        .map(|(title, _)| (*title).to_owned())
        .collect();
    let lines = || std::iter::once(&title).chain(rows);
    let widths: Vec<usize> = (0..columns.len())
        .map(|column| {
            lines()
                .filter_map(|line| line.get(column))
                .map(|cell| cell.width())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for line in lines() {
        let mut padded = String::new();
        for (cell, width) in line.iter().zip(&widths) {
            padded.push_str(cell);
            padded.push_str(&" ".repeat(width.saturating_sub(cell.width()) + COLUMN_GAP));
        }
        text.push_str(padded.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_aligned_by_display_width() {
        let columns: [Column; 3] = [
            ("NAME", "/name"),
            ("ROLES", "/roles"),
            ("LIMIT", "/options/limit"),
        ];
        let entries = [
            json!({"name": "Ann", "roles": ["owner", "api"], "options": {"limit": 5}}),
            json!({"name": "\u{6f22}\u{5b57}", "roles": [], "options": {"limit": null}}),
            json!({"name": ""}),
        ];
        let rows: Vec<Vec<String>> = entries
            .iter()
            .map(|entry| {
                columns
                    .iter()
                    .map(|(_, at)| format_cell(entry.pointer(at)))
                    .collect()
            })
            .collect();
        let expected = [
            "NAME  ROLES       LIMIT",
            "Ann   owner, api  5",
            "\u{6f22}\u{5b57}              -",
            "-     -           -",
            "",
        ];
        assert_eq!(format_table(&columns, &rows), expected.join("\n"));
        assert_eq!(format_table(&columns, &[]), "NAME  ROLES  LIMIT\n");
    }
}
