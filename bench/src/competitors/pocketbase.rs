//! PocketBase with a collection of members that every logged-in user can list.

use std::{net::SocketAddr, path::Path, process::Command};

use anyhow::{Context, ensure};
use hyper::header::AUTHORIZATION;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::competitor::{Competitor, Memory, USERS, installed};
use crate::{
    client::{Call, Connection},
    fill::PASSWORD,
    process::{Server, free_address},
};

const PROGRAM: &str = ".tools/venv/bin/pocketbase";
const SUPERUSER: &str = "root@example.org";
const USER: &str = "user-0@example.org";
/// Number of members, the same as in an init of Doorward (5 projects of 10 members).
const MEMBERS: usize = 50;
/// Lists the members. `skipTotal` leaves out the number of all records, which would cost another
/// query.
const LIST: &str = "/api/collections/members/records?perPage=50&skipTotal=1";

pub(super) async fn start() -> anyhow::Result<Competitor> {
    installed(Path::new(PROGRAM))?;
    let directory = tempfile::tempdir()?;
    run(&directory, &["superuser", "upsert", SUPERUSER, PASSWORD])?;
    let filled = serve(&directory).await?;
    fill(filled.address).await?;
    // The memory is measured in a new process that starts with existing data, not in the one that
    // has written it.
    drop(filled);
    let server = serve(&directory).await?;
    let idle = Memory::when_idle(&server).await?;
    let login = log_in("/api/collections/users/auth-with-password", USER);
    let token = token(&mut Connection::open(server.address).await?, &login).await?;
    let version = run(&directory, &["--version"])?;
    Ok(Competitor {
        name: version
            .trim()
            .replacen("pocketbase version", "PocketBase", 1),
        password_hash: "bcrypt, cost 10",
        server,
        idle,
        login,
        start: Call::get(LIST).header(AUTHORIZATION, token),
        start_means: "list of 50 records",
        _files: Box::new(directory),
    })
}

fn command(directory: &TempDir, words: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .args(words)
        .arg(format!("--dir={}", directory.path().join("data").display()))
        .env_clear();
    command
}

fn run(directory: &TempDir, words: &[&str]) -> anyhow::Result<String> {
    let output = command(directory, words)
        .output()
        .context("can't run pocketbase")?;
    ensure!(
        output.status.success(),
        "pocketbase {}: {}",
        words.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}

async fn serve(directory: &TempDir) -> anyhow::Result<Server> {
    let address = free_address()?;
    let command = command(directory, &["serve", "--http", &address.to_string()]);
    Server::start(command, directory.path(), address, address, "/api/health").await
}

fn log_in(path: &'static str, email: &str) -> Call {
    Call::post(path, &json!({"identity": email, "password": PASSWORD}))
}

async fn token(connection: &mut Connection, login: &Call) -> anyhow::Result<String> {
    let answer = connection.ask(login).await?.json()?;
    Ok(answer
        .pointer("/token")
        .and_then(Value::as_str)
        .context("a login without a token")?
        .to_owned())
}

/// Creates the users, and the members of five projects.
async fn fill(address: SocketAddr) -> anyhow::Result<()> {
    let mut connection = Connection::open(address).await?;
    let token = token(
        &mut connection,
        &log_in("/api/collections/_superusers/auth-with-password", SUPERUSER),
    )
    .await?;
    let post = |path, body: Value| Call::post(path, &body).header(AUTHORIZATION, token.clone());
    let relation = json!({"name": "user", "type": "relation", "collectionId": "_pb_users_auth_", "maxSelect": 1, "required": true});
    let members = json!({
        "name": "members",
        "type": "base",
        "listRule": "@request.auth.id != \"\"",
        "fields": [
            relation,
            {"name": "project", "type": "text"},
            {"name": "role", "type": "text"},
            {"name": "status", "type": "text"},
        ],
    });
    connection
        .ask(&post("/api/collections", members))
        .await?
        .json()?;
    for number in 0..USERS {
        let user = json!({
            "email": format!("user-{number}@example.org"), "name": "Ann Other",
            "password": PASSWORD, "passwordConfirm": PASSWORD,
        });
        let user = connection
            .ask(&post("/api/collections/users/records", user))
            .await?
            .json()?;
        if number < MEMBERS {
            let project = format!("00000000-0000-4000-8000-{:012}", number / 10);
            let user = user.get("id").context("PocketBase answered no id")?;
            let member =
                json!({"user": user, "project": project, "role": "member", "status": "active"});
            connection
                .ask(&post("/api/collections/members/records", member))
                .await?
                .json()?;
        }
    }
    Ok(())
}
