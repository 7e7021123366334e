//! `doorward user import`: imports users of another system, with their password hashes.

use std::{
    fs::File,
    io::{BufRead, BufReader, IsTerminal, Read, Write},
    path::Path,
};

use anyhow::{Context, bail};
use doorward_auth::{Credentials, StoredHash};
use doorward_directory::{Directory, NewUser};
use doorward_domain::{
    DisplayName, Email, Gid, IdGenerator, RandomIdGenerator, UserStatus, Username, languages,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::stdout;

/// Number of lines in one transaction.
const BATCH: usize = 500;
const MAX_LINE_BYTES: u64 = 64 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UserLine {
    username: String,
    email: Option<String>,
    name: Option<String>,
    password_hash: Option<String>,
    gid: Option<String>,
    status: Option<String>,
    language: Option<String>,
    timezone: Option<String>,
}

struct ImportCandidate {
    number: usize,
    user: NewUser,
    hash: Option<String>,
}

#[derive(Default)]
struct ImportReport {
    lines: usize,
    imported: usize,
    failed: Vec<FailedLine>,
}

#[derive(Serialize)]
struct FailedLine {
    line: usize,
    error: String,
}

impl ImportReport {
    fn fail(&mut self, line: usize, error: String) {
        self.failed.push(FailedLine { line, error });
    }
}

/// Imports each line completely or not at all. Prints the report to stdout, also after an error;
/// fails if a line was not imported.
pub(crate) async fn run(
    directory: &Directory,
    credentials: &Credentials,
    path: &Path,
) -> anyhow::Result<()> {
    let file = File::open(path).with_context(|| format!("can't read {}", path.display()))?;
    let mut report = ImportReport::default();
    let done = import_lines(directory, credentials, BufReader::new(file), &mut report).await;
    report.failed.sort_unstable_by_key(|failed| failed.line);
    let failed = report.failed.len();
    stdout::print_json(&json!({"imported": report.imported, "failed": report.failed}))?;
    done.with_context(|| format!("the import ended early, after {} lines", report.lines))?;
    if failed > 0 {
        bail!("{failed} lines were not imported");
    }
    Ok(())
}

async fn import_lines(
    directory: &Directory,
    credentials: &Credentials,
    mut reader: BufReader<File>,
    report: &mut ImportReport,
) -> anyhow::Result<()> {
    let mut batch = Vec::with_capacity(BATCH);
    while let Some(line) = next_line(&mut reader)? {
        report.lines += 1;
        if !is_too_long(&line) && line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        match parse(&line) {
            Ok((user, hash)) => batch.push(ImportCandidate {
                number: report.lines,
                user,
                hash,
            }),
            Err(error) => report.fail(report.lines, format!("{error:#}")),
        }
        if batch.len() == BATCH {
            import(directory, credentials, std::mem::take(&mut batch), report).await?;
            show_progress(report);
        }
    }
    import(directory, credentials, batch, report).await
}

/// Reads the next line with its line end. Returns only the beginning of a line that is too long,
/// which the caller reports.
fn next_line(reader: &mut BufReader<File>) -> anyhow::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let read = reader
        .by_ref()
        .take(MAX_LINE_BYTES)
        .read_until(b'\n', &mut line)?;
    let mut is_whole = (read as u64) < MAX_LINE_BYTES || line.last() == Some(&b'\n');
    while !is_whole {
        let mut rest = Vec::new();
        let read = reader
            .by_ref()
            .take(MAX_LINE_BYTES)
            .read_until(b'\n', &mut rest)?;
        is_whole = read == 0 || rest.last() == Some(&b'\n');
    }
    Ok((read > 0).then_some(line))
}

fn is_too_long(line: &[u8]) -> bool {
    line.len() as u64 >= MAX_LINE_BYTES
}

fn parse(line: &[u8]) -> anyhow::Result<(NewUser, Option<String>)> {
    if is_too_long(line) {
        bail!("has more than {MAX_LINE_BYTES} bytes");
    }
    let line: UserLine = serde_json::from_slice(line).context("not the expected JSON object")?;
    let gid: Gid = line
        .gid
        .map_or_else(|| Ok(RandomIdGenerator.new_gid()), |gid| gid.parse())
        .context("gid")?;
    let username = Username::parse(&line.username).context("username")?;
    let email = line
        .email
        .as_deref()
        .map(Email::parse)
        .transpose()
        .context("email")?;
    let name =
        DisplayName::parse_or_empty(line.name.as_deref().unwrap_or_default()).context("name")?;
    let mut user = NewUser::new(gid, username, email, name);
    match line
        .status
        .as_deref()
        .map(str::parse)
        .transpose()
        .context("status")?
    {
        None | Some(UserStatus::Active) => {}
        Some(UserStatus::Inactive) => user.status = UserStatus::Inactive,
        Some(UserStatus::Invited | UserStatus::Deleted) => {
            bail!("status: only active and inactive users are imported")
        }
    }
    if let Some(language) = line.language {
        if !languages::is_known(&language) {
            bail!("language: is not in the global list");
        }
        user.language = language;
    }
    if let Some(timezone) = line.timezone {
        user.timezone = timezone.parse().context("timezone")?;
    }
    line.password_hash
        .as_deref()
        .map(StoredHash::parse)
        .transpose()
        .context("password_hash")?;
    Ok((user, line.password_hash))
}

/// Imports a batch. The credentials are written first: a crash in between leaves credentials
/// without users, and the lines can be imported again.
async fn import(
    directory: &Directory,
    credentials: &Credentials,
    batch: Vec<ImportCandidate>,
    report: &mut ImportReport,
) -> anyhow::Result<()> {
    let users: Vec<NewUser> = batch
        .iter()
        .map(|candidate| candidate.user.clone())
        .collect();
    let refusals = directory.check_users(users).await?;
    let mut users = Vec::new();
    let mut hashes = Vec::new();
    for (candidate, refusal) in batch.into_iter().zip(refusals) {
        match refusal {
            Some(refusal) => report.fail(candidate.number, refusal.to_string()),
            None => {
                hashes.extend(candidate.hash.map(|hash| (candidate.user.gid, hash)));
                users.push((candidate.number, candidate.user));
            }
        }
    }
    if users.is_empty() {
        return Ok(());
    }
    credentials.insert_hashes(hashes).await?;
    let (numbers, users): (Vec<usize>, Vec<NewUser>) = users.into_iter().unzip();
    let gids: Vec<Gid> = users.iter().map(|user| user.gid).collect();
    let mut orphans = Vec::new();
    for ((number, gid), made) in numbers
        .into_iter()
        .zip(gids)
        .zip(directory.create_users(users).await?)
    {
        match made {
            Ok(_) => report.imported += 1,
            Err(error) => {
                report.fail(number, error.to_string());
                orphans.push(gid);
            }
        }
    }
    if orphans.is_empty() {
        Ok(())
    } else {
        Ok(credentials.delete_all(orphans).await?)
    }
}

fn show_progress(report: &ImportReport) {
    let mut stderr = std::io::stderr();
    if stderr.is_terminal() {
        // Ignored: if stderr is closed, no one reads the messages.
        let _ = write!(
            stderr,
            "\r{} lines, {} imported",
            report.lines, report.imported
        );
    }
}
