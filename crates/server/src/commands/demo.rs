//! `doorward demo`: all services in one process, with demo users and projects.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use anyhow::Context;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use doorward_auth::{Credentials, Password, audit::Origin};
use doorward_directory::{Directory, Error, NewUser, model::User};
use doorward_domain::{DisplayName, Email, IdGenerator, RandomIdGenerator, Username};

use super::serve;
use crate::{demo_page, settings::Settings, wiring};

/// File with the password of all demo users. It is generated at the first start, so that no demo
/// has a known password.
const PASSWORD_FILE: &str = "demo-password";
const PEOPLE: [(&str, &str); 4] = [
    ("ann", "Ann Smit"),
    ("ben", "Ben de Vries"),
    ("carla", "Carla Jansen"),
    ("dmitri", "Дмитрий Орлов"),
];
/// Name, owner and other members of each demo project.
const PROJECTS: [(&str, &str, &[&str]); 3] = [
    ("Spring catalogue", "ann", &["ben", "carla"]),
    ("Webshop", "ben", &["ann", "dmitri"]),
    ("Archive", "carla", &[]),
];

pub(super) async fn run(settings: Settings) -> anyhow::Result<()> {
    let Some(running) = serve::start(&settings).await? else {
        return Ok(());
    };
    let path = settings.data_dir.join(PASSWORD_FILE);
    let kept = fs::read_to_string(&path)
        .map(|text| text.trim_end().to_owned())
        .unwrap_or_default();
    let password = if kept.is_empty() {
        let password = generate_password()?;
        create_demo_data(
            &wiring::new_directory(&settings),
            &wiring::new_credentials(&settings)?,
            &password,
        )
        .await?;
        save_password(&path, &password)
            .with_context(|| format!("can't write {}", path.display()))?;
        password
    } else {
        kept
    };
    let introduction = welcome_text(&settings, &password);
    // This is not awaited, so that the service continues if stderr is closed or its reader slow.
    tokio::task::spawn_blocking(move || std::io::stderr().write_all(introduction.as_bytes()));
    running.finish().await
}

fn generate_password() -> anyhow::Result<String> {
    let mut random = [0; 12];
    aws_lc_rs::rand::fill(&mut random)
        .ok()
        .context("the system has no random numbers")?;
    Ok(format!("demo-{}", URL_SAFE_NO_PAD.encode(random)))
}

/// Writes the password file, completely or not at all. It is written last, so an interrupted first
/// start is repeated, and keeps what it has already created.
fn save_password(path: &Path, password: &str) -> std::io::Result<()> {
    let draft = path.with_extension("draft");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)?;
    writeln!(file, "{password}")?;
    file.sync_all()?;
    fs::rename(draft, path)
}

async fn create_demo_data(
    directory: &Directory,
    credentials: &Credentials,
    password: &str,
) -> anyhow::Result<()> {
    for (username, name) in PEOPLE {
        let user = match directory.get_user_by_username(username).await {
            Err(Error::UserNotFound) => create_user(directory, username, name).await?,
            found => found?,
        };
        credentials
            .set_password(user.gid, Password::parse(password)?, Origin::command_line())
            .await?;
    }
    let known = directory.list_projects(None, 100).await?;
    for (name, owner, members) in PROJECTS {
        let project = match known.iter().find(|project| project.name == name) {
            Some(project) => project.clone(),
            None => {
                let owner = directory.get_user_by_username(owner).await?;
                directory
                    .create_project_for(
                        owner.gid,
                        DisplayName::parse(name)?,
                        doorward_domain::Timezone::default(),
                    )
                    .await?
            }
        };
        for member in members {
            match directory
                .add_member(
                    project.gid,
                    directory.get_user_by_username(member).await?.gid,
                )
                .await
            {
                Ok(_) | Err(Error::AlreadyMember) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

async fn create_user(directory: &Directory, username: &str, name: &str) -> anyhow::Result<User> {
    let email = Email::parse(&format!("{username}@example.org"))?;
    let new = NewUser::new(
        RandomIdGenerator.new_gid(),
        Username::parse(username)?,
        Some(email),
        DisplayName::parse(name)?,
    );
    Ok(directory.create_user(new).await?)
}

fn welcome_text(settings: &Settings, password: &str) -> String {
    let listen = settings.gateway.listen;
    let ops = settings.ops_listen;
    let page = demo_page::PATH;
    let people = PEOPLE.map(|(username, _)| username).join(", ");
    format!(
        "\nDoorward is running, with demo data in {}.\n\n  live page     http://{listen}{page}\n  HTTP API      http://{listen}\n  operations    \
         http://{ops}/health/ready, http://{ops}/metrics\n  users         {people}\n  password      {password}\n  mails         \
         in this log\n\nLog in:\n\n  \
         curl -i http://{listen}/api/login -H 'Content-Type: application/json' -d \
         '{{\"username\": \"ann\", \"password\": \"{password}\"}}'\n\nStop with Ctrl-C.\n\n",
        settings.data_dir.display(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demo_page_lists_the_demo_users() {
        let page = demo_page::PAGES
            .iter()
            .find(|page| page.path == demo_page::PATH)
            .unwrap();
        for (username, _) in PEOPLE {
            assert!(
                page.body.contains(&format!("data-person=\"{username}\"")),
                "{username}"
            );
        }
    }
}
