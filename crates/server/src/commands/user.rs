//! `doorward user`.

use std::io::Read;

use anyhow::{Context, bail};
use doorward_auth::{
    Credentials, Password, StoredHash,
    audit::{self, Action, Origin},
};
use doorward_directory::{
    Directory, NewUser,
    model::{Project, User},
};
use doorward_domain::{
    Clock, DisplayName, Gid, IdGenerator, ProjectStatus, RandomIdGenerator, SystemClock, UserStatus,
};
use secrecy::ExposeSecret;

use super::find_user::find_user;
use crate::commands::{
    import_users,
    list_output::{Column, ListOutput},
};
use crate::{
    cli::{CreateUser, NewPassword, PasswordOptions, UserCommand, UserName},
    json,
    settings::Settings,
    stdout,
    wiring::{self, Preparation},
};

/// Maximum number of bytes read from standard input for a password.
const MAX_PASSWORD_BYTES: u64 = 4096;
/// Maximum number of projects that the error of a rejected deletion names.
const MAX_NAMED_PROJECTS: i64 = 20;

const COLUMNS: &[Column] = &[
    ("GID", "/gid"),
    ("USERNAME", "/username"),
    ("NAME", "/name"),
    ("EMAIL", "/email"),
    ("STATUS", "/status"),
];

pub(super) async fn run(command: UserCommand, settings: &Settings) -> anyhow::Result<()> {
    wiring::prepare_databases(settings, Preparation::MigrateIfEmpty).await?;
    let directory = wiring::new_directory(settings);
    match command {
        UserCommand::Create(create) => {
            let user = create_user(&directory, &wiring::new_credentials(settings)?, create).await?;
            record_action(settings, Action::UserCreated, &user).await?;
            print(&user)
        }
        UserCommand::List(format) => list(&directory, ListOutput::new(format, COLUMNS)).await,
        UserCommand::Show { user } => print(&find_user(&directory, user).await?),
        UserCommand::Update { user, edit } => {
            let user = find_user(&directory, user).await?;
            let user = directory.edit_user(user.gid, edit.into()).await?;
            record_action(settings, Action::UserUpdated, &user).await?;
            print(&user)
        }
        UserCommand::SetPassword { user, password } => {
            let user = find_user(&directory, user).await?;
            let credentials = wiring::new_credentials(settings)?;
            set_password(&credentials, user.gid, password).await?;
            clear_throttle(&credentials, &user).await?;
            print(&user)
        }
        UserCommand::Unblock { user } => {
            let user = find_user(&directory, user).await?;
            clear_throttle(&wiring::new_credentials(settings)?, &user).await?;
            record_action(settings, Action::UserUnblocked, &user).await?;
            print(&user)
        }
        UserCommand::Deactivate { user } => {
            let user = set_status(&directory, user, UserStatus::Inactive).await?;
            record_action(settings, Action::UserDeactivated, &user).await?;
            print(&user)
        }
        UserCommand::Activate { user } => {
            let user = set_status(&directory, user, UserStatus::Active).await?;
            record_action(settings, Action::UserActivated, &user).await?;
            print(&user)
        }
        UserCommand::Delete { user } => {
            let user = find_user(&directory, user).await?;
            delete(&directory, &user).await?;
            wiring::new_credentials(settings)?
                .delete_all(vec![user.gid])
                .await?;
            record_action(settings, Action::UserDeleted, &user).await?;
            print(&User {
                status: UserStatus::Deleted,
                ..user
            })
        }
        UserCommand::Import { file } => {
            import_users::run(&directory, &wiring::new_credentials(settings)?, &file).await
        }
    }
}

fn print(user: &User) -> anyhow::Result<()> {
    Ok(stdout::print_json(&json::user_to_json(user))?)
}

/// Creates a user. The credential is written first: a crash in between leaves a credential without
/// a user, and not a user who cannot log in.
async fn create_user(
    directory: &Directory,
    credentials: &Credentials,
    create: CreateUser,
) -> anyhow::Result<User> {
    let name = create
        .name
        .map_or_else(|| DisplayName::parse_or_empty(""), Ok)?;
    let mut new = NewUser::new(
        RandomIdGenerator.new_gid(),
        create.username,
        create.email,
        name,
    );
    if let Some(language) = create.language {
        new.language = language;
    }
    if let Some(timezone) = create.timezone {
        new.timezone = timezone;
    }
    let hash = match create.password.into() {
        NewPassword::Stdin => credentials.hash_new_password(read_password()?).await?,
        NewPassword::Hash(hash) => hash.expose_secret().to_owned(),
    };
    StoredHash::parse(&hash)?;
    if let Some(Some(refusal)) = directory
        .check_users(vec![new.clone()])
        .await?
        .into_iter()
        .next()
    {
        return Err(refusal.into());
    }
    credentials.insert_hashes(vec![(new.gid, hash)]).await?;
    let gid = new.gid;
    match directory.create_user(new).await {
        Ok(user) => Ok(user),
        Err(error) => {
            credentials.delete_all(vec![gid]).await?;
            Err(error.into())
        }
    }
}

async fn set_password(
    credentials: &Credentials,
    user: Gid,
    source: PasswordOptions,
) -> anyhow::Result<()> {
    match source.into() {
        NewPassword::Stdin => {
            credentials
                .set_password(user, read_password()?, Origin::command_line())
                .await?;
        }
        NewPassword::Hash(hash) => {
            credentials
                .set_hash(
                    user,
                    hash.expose_secret().to_owned(),
                    Origin::command_line(),
                )
                .await?;
        }
    }
    Ok(())
}

async fn clear_throttle(credentials: &Credentials, user: &User) -> anyhow::Result<()> {
    match &user.username {
        Some(username) => Ok(credentials.clear_throttle(username.clone()).await?),
        None => Ok(()),
    }
}

/// Deletes a user, or fails and names the projects that the user owns.
async fn delete(directory: &Directory, user: &User) -> anyhow::Result<()> {
    match directory.delete_user(user.gid).await {
        Err(doorward_directory::Error::OwnsProjects) => {
            let projects = directory
                .list_owned_projects(user.gid, MAX_NAMED_PROJECTS + 1)
                .await?;
            let named = projects.iter().take(usize::try_from(MAX_NAMED_PROJECTS)?);
            let named: Vec<String> = named.map(describe_project).collect();
            let more = if projects.len() > named.len() {
                ", and more"
            } else {
                ""
            };
            bail!(
                "the user owns projects, which must be transferred or permanently deleted first: {}{more}",
                named.join(", ")
            )
        }
        done => Ok(done?),
    }
}

/// Names are limited to one line of plain text, so they cannot disturb the message.
fn describe_project(project: &Project) -> String {
    let deleted = if project.status == ProjectStatus::Deleted {
        ", deleted"
    } else {
        ""
    };
    format!("{} ({}{deleted})", project.gid, project.name)
}

async fn set_status(
    directory: &Directory,
    user: impl Into<UserName>,
    status: UserStatus,
) -> anyhow::Result<User> {
    let user = find_user(directory, user).await?;
    Ok(directory.set_user_status(user.gid, status).await?)
}

/// Writes an audit record.
async fn record_action(settings: &Settings, action: Action, user: &User) -> anyhow::Result<()> {
    let now = SystemClock.now();
    Ok(audit::record_action(
        &wiring::new_auth_database(settings),
        action,
        user.gid,
        Origin::command_line(),
        now,
    )
    .await?)
}

/// Reads a password from standard input, without a byte order mark before it and a line end after
/// it: shells and editors add them.
fn read_password() -> anyhow::Result<Password> {
    let mut text = String::new();
    std::io::stdin()
        .take(MAX_PASSWORD_BYTES)
        .read_to_string(&mut text)
        .context("can't read the password from stdin")?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let text = ["\r\n", "\n", "\r"]
        .iter()
        .find_map(|end| text.strip_suffix(end))
        .unwrap_or(text);
    if text.is_empty() {
        bail!("there is no password on stdin");
    }
    Ok(Password::parse(text)?)
}

async fn list(directory: &Directory, mut listing: ListOutput) -> anyhow::Result<()> {
    let mut after = None;
    loop {
        let page = directory.list_users(after, ListOutput::PAGE).await?;
        after = page.last().map(|user| user.gid);
        if !listing.push_page(page.iter().map(json::user_to_json))? {
            return Ok(());
        }
    }
}
