//! The format of an export: JSON lines. The first line is the [`Header`], the last is `{"sha256":
//! ...}`, the hash of all bytes before it. The lines between them are rows, and pictures in base64
//! (null if the object store has no such picture):
//!
//! ```text
//! {"table":"auth.credentials","row":{"user_gid":"183c5157-...","password_hash":"$argon2id$..."}}
//! {"picture":"avatars/0191f2a0-....png","bytes":"iVBORw0..."}
//! ```

use std::{
    collections::BTreeMap,
    io::{BufRead, Read, Write},
};

use anyhow::{Context, bail, ensure};
use aws_lc_rs::digest;
use doorward_storage::transfer::Row;
use serde::{Deserialize, Serialize};
use serde_json::Value;

const FORMAT: &str = "doorward-export";
const VERSION: u64 = 1;
/// Maximum length of a line: [`MAX_PICTURE_BYTES`] in base64, and the JSON around it.
const MAX_LINE_BYTES: u64 = 24 * 1024 * 1024;
/// Maximum size of a picture. The gateway accepts no larger ones from users.
pub(crate) const MAX_PICTURE_BYTES: u64 = 16 * 1024 * 1024;
/// Name of the pictures in [`Header::counts`].
pub(crate) const PICTURES: &str = "pictures";

pub(crate) type Counts = BTreeMap<String, u64>;

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Header {
    format: String,
    version: u64,
    /// The release that wrote the export, for information only: `migrations` decides whether it can
    /// be read.
    pub(crate) release: String,
    /// The migrations of each database.
    pub(crate) migrations: BTreeMap<String, Vec<String>>,
    /// The rows of each table, such as `auth.credentials`, and the pictures.
    pub(crate) counts: Counts,
}

impl Header {
    pub(crate) fn new(migrations: BTreeMap<String, Vec<String>>, counts: Counts) -> Self {
        let release = doorward_domain::version::current_release();
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            release,
            migrations,
            counts,
        }
    }
}

#[derive(Serialize)]
pub(crate) struct RowLine<'a> {
    pub(crate) table: &'a str,
    pub(crate) row: &'a Row,
}

#[derive(Serialize)]
pub(crate) struct PictureLine<'a> {
    pub(crate) picture: &'a str,
    pub(crate) bytes: Option<String>,
}

/// Output of a command that has written or read an export.
#[derive(Serialize)]
pub(crate) struct ImportReport {
    pub(crate) counts: Counts,
    pub(crate) sha256: String,
}

#[derive(Serialize)]
struct EndLine<'a> {
    sha256: &'a str,
}

pub(crate) struct Writer<W> {
    out: W,
    digest: digest::Context,
}

impl<W: Write> Writer<W> {
    pub(crate) fn new(out: W) -> Self {
        Self {
            out,
            digest: digest::Context::new(&digest::SHA256),
        }
    }

    pub(crate) fn line(&mut self, line: &impl Serialize) -> anyhow::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.digest.update(&text);
        self.out.write_all(&text).context("can't write the export")
    }

    /// Writes the last line, and returns the hash in it.
    pub(crate) fn end(&mut self) -> anyhow::Result<String> {
        let sha256 = encode_hex(self.digest.clone());
        self.line(&EndLine { sha256: &sha256 })?;
        self.out.flush().context("can't write the export")?;
        Ok(sha256)
    }
}

/// A line after the header.
pub(crate) enum ExportLine {
    Row { table: String, row: Row },
    Picture { name: String, bytes: Option<String> },
    End { sha256: String },
}

pub(crate) struct Reader<R> {
    input: R,
    digest: digest::Context,
    line: Vec<u8>,
    number: u64,
}

impl<R: BufRead> Reader<R> {
    pub(crate) fn new(input: R) -> Self {
        Self {
            input,
            digest: digest::Context::new(&digest::SHA256),
            line: Vec::new(),
            number: 0,
        }
    }

    pub(crate) fn header(&mut self) -> anyhow::Result<Header> {
        self.read_line()?;
        let header: Value = serde_json::from_slice(&self.line)
            .ok()
            .context("this is not an export of Doorward")?;
        ensure!(
            header.get("format").and_then(Value::as_str) == Some(FORMAT),
            "this is not an export of Doorward"
        );
        let version = header.get("version").unwrap_or(&Value::Null);
        ensure!(
            version.as_u64() == Some(VERSION),
            "the export has the format version {version}; this release reads version {VERSION}"
        );
        let header =
            serde_json::from_value(header).context("the header of the export is not valid")?;
        self.digest.update(&self.line);
        Ok(header)
    }

    /// Reads the next line. At the last one, checks the hash, and that nothing follows.
    pub(crate) fn next(&mut self) -> anyhow::Result<ExportLine> {
        self.read_line()?;
        let line = parse(&self.line)
            .with_context(|| format!("line {} of the export is not valid", self.number))?;
        match &line {
            ExportLine::Row { .. } | ExportLine::Picture { .. } => self.digest.update(&self.line),
            ExportLine::End { sha256 } => {
                ensure!(
                    *sha256 == encode_hex(self.digest.clone()),
                    "the checksum of the export is wrong: the stream was altered, or a part of it is missing"
                );
                let rest = self.input.fill_buf().context("can't read the export")?;
                ensure!(
                    rest.is_empty(),
                    "something follows the last line of the export"
                );
            }
        }
        Ok(line)
    }

    fn read_line(&mut self) -> anyhow::Result<()> {
        self.line.clear();
        self.number += 1;
        let mut input = (&mut self.input).take(MAX_LINE_BYTES);
        let read = input
            .read_until(b'\n', &mut self.line)
            .context("can't read the export")?;
        if self.line.ends_with(b"\n") {
            return Ok(());
        }
        ensure!(
            u64::try_from(read)? < MAX_LINE_BYTES,
            "line {} of the export is too long",
            self.number
        );
        bail!(
            "the export is truncated: it ends in line {}, before the checksum",
            self.number
        )
    }
}

/// Parses a line. None instead of an error, because an error could repeat the content, which may be
/// secret.
fn parse(line: &[u8]) -> Option<ExportLine> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct AnyLine {
        table: Option<String>,
        row: Option<Row>,
        picture: Option<String>,
        /// None: absent. `Some(None)`: null.
        #[serde(default, deserialize_with = "deserialize_present")]
        bytes: Option<Option<String>>,
        sha256: Option<String>,
    }
    let AnyLine {
        table,
        row,
        picture,
        bytes,
        sha256,
    } = serde_json::from_slice(line).ok()?;
    match (table, row, picture, bytes, sha256) {
        (Some(table), Some(row), None, None, None) => Some(ExportLine::Row { table, row }),
        (None, None, Some(name), Some(bytes), None) => Some(ExportLine::Picture { name, bytes }),
        (None, None, None, None, Some(sha256)) => Some(ExportLine::End { sha256 }),
        _ => None,
    }
}

fn deserialize_present<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

fn encode_hex(digest: digest::Context) -> String {
    digest
        .finish()
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn export() -> String {
        let mut writer = Writer::new(Vec::new());
        writer
            .line(&Header::new(
                BTreeMap::new(),
                Counts::from([("auth.a".to_owned(), 1)]),
            ))
            .unwrap();
        let row = json!({"id": i64::MAX, "name": "É\n\"", "none": null})
            .as_object()
            .unwrap()
            .clone();
        writer
            .line(&RowLine {
                table: "auth.a",
                row: &row,
            })
            .unwrap();
        writer
            .line(&PictureLine {
                picture: "icons/a.png",
                bytes: None,
            })
            .unwrap();
        writer.end().unwrap();
        String::from_utf8(writer.out).unwrap()
    }

    fn read(text: &str) -> anyhow::Result<usize> {
        let mut reader = Reader::new(text.as_bytes());
        reader.header()?;
        let mut lines = 1;
        loop {
            lines += 1;
            if let ExportLine::End { .. } = reader.next()? {
                return Ok(lines);
            }
        }
    }

    #[test]
    fn export_stream_round_trips() {
        let text = export();
        assert_eq!(read(&text).unwrap(), 4);
        let mut reader = Reader::new(text.as_bytes());
        assert_eq!(
            reader.header().unwrap(),
            Header::new(BTreeMap::new(), Counts::from([("auth.a".to_owned(), 1)]))
        );
        let ExportLine::Row { table, row } = reader.next().unwrap() else {
            panic!("a row")
        };
        assert_eq!((table.as_str(), &row["id"]), ("auth.a", &json!(i64::MAX)));
        assert!(
            matches!(reader.next().unwrap(), ExportLine::Picture { name, bytes: None } if name == "icons/a.png")
        );
    }

    #[test]
    fn truncated_stream_is_rejected() {
        let text = export();
        for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
            assert!(read(&text[..end]).is_err(), "{}", &text[..end]);
        }
        assert!(read(&format!("{text}{{}}\n")).is_err());
    }

    #[test]
    fn altered_stream_is_rejected() {
        let text = export();
        for at in (0..text.len()).filter(|at| text.as_bytes()[*at].is_ascii_alphanumeric()) {
            let mut altered = text.clone().into_bytes();
            altered[at] = if altered[at] == b'x' { b'y' } else { b'x' };
            assert!(
                read(&String::from_utf8(altered).unwrap()).is_err(),
                "byte {at}"
            );
        }
    }

    #[test]
    fn unknown_formats_versions_and_lines_are_named() {
        let text = export();
        let message = |text: String| format!("{:#}", read(&text).unwrap_err());
        assert!(message(text.replace(FORMAT, "x")).contains("not an export"));
        assert!(message("\n".to_owned()).contains("not an export"));
        assert!(message(text.replace("\"version\":1", "\"version\":2")).contains("version 2"));
        assert!(message(text.replace("\"release\"", "\"releases\"")).contains("header"));
        assert!(message(text.replace("\"picture\"", "\"pictures\"")).contains("line 3"));
    }
}
