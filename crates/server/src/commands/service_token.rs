//! `doorward service-token`. A token has a row in each of the two databases. The row in auth's
//! database is written first and decides whether the name is taken; the token is printed when both
//! databases have it. `revoke` also removes a row that an interrupted command has left.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use doorward_auth::{audit::Origin, service_tokens};
use doorward_directory::Directory;
use doorward_domain::{Clock, SystemClock};
use doorward_service_tokens::{ClientName, InsertOutcome, NamedToken, Secret};
use doorward_storage::Database;
use serde_json::json;

use crate::commands::list_output::{Column, ListOutput};
use crate::{
    cli::{CreateServiceToken, ServiceTokenCommand},
    json,
    settings::Settings,
    stdout,
    wiring::{self, Preparation},
};

const COLUMNS: &[Column] = &[
    ("NAME", "/name"),
    ("SCOPES", "/scopes"),
    ("PROJECTS", "/projects"),
    ("CREATED", "/created_at"),
];

pub(super) async fn run(command: ServiceTokenCommand, settings: &Settings) -> anyhow::Result<()> {
    wiring::prepare_databases(settings, Preparation::MigrateIfEmpty).await?;
    let auth = wiring::new_auth_database(settings);
    let directory = wiring::new_directory(settings);
    match command {
        ServiceTokenCommand::Create(create) => print_created(&auth, &directory, create).await,
        ServiceTokenCommand::List(format) => {
            let mut listing = ListOutput::new(format, COLUMNS);
            let tokens = list(&auth, &directory).await?;
            // An empty page has already ended the list.
            if listing.push_page(tokens.values().map(json::service_token_to_json))? {
                listing.finish()?;
            }
            Ok(())
        }
        ServiceTokenCommand::Revoke { name } => revoke(&auth, &directory, name).await,
    }
}

async fn print_created(
    auth: &Database,
    directory: &Directory,
    create: CreateServiceToken,
) -> anyhow::Result<()> {
    let CreateServiceToken {
        name,
        scopes,
        projects,
    } = create;
    for project in &projects {
        directory
            .get_project(*project)
            .await
            .with_context(|| format!("project {project}"))?;
    }
    let secret = Secret::generate().context("no random numbers")?;
    let token = NamedToken::new(name, &secret, &scopes, &projects, SystemClock.now());
    let name = &token.name;
    check(
        name,
        service_tokens::create(auth, token.clone(), Origin::command_line()).await?,
    )?;
    let left =
        || format!("{name} was not created completely: run `doorward service-token revoke {name}`");
    check(
        name,
        directory
            .insert_service_token(token.clone())
            .await
            .with_context(left)?,
    )
    .with_context(left)?;
    // A concurrent `revoke` may have deleted the row of auth before the row of the directory was
    // written.
    let is_kept = service_tokens::list(auth)
        .await
        .with_context(left)?
        .iter()
        .any(|kept| kept.hash == token.hash);
    if !is_kept {
        directory
            .delete_exact_service_token(token.clone())
            .await
            .with_context(left)?;
        bail!("{name} was revoked while it was created");
    }
    let mut shown = json::service_token_to_json(&token);
    if let Some(shown) = shown.as_object_mut() {
        shown.remove("created_at");
        shown.insert("token".to_owned(), json!(secret.expose()));
    }
    Ok(stdout::print_json(&shown)?)
}

fn check(name: &ClientName, insertion: InsertOutcome) -> anyhow::Result<()> {
    match insertion {
        InsertOutcome::Inserted => Ok(()),
        InsertOutcome::NameTaken => {
            bail!("there is a service token with the name {name}: revoke it, or use another name")
        }
        InsertOutcome::TooMany => {
            bail!("the maximum number of service tokens is reached: revoke one")
        }
    }
}

/// Returns the tokens of both databases by name. An interrupted command leaves a token in one of
/// them only.
async fn list(
    auth: &Database,
    directory: &Directory,
) -> anyhow::Result<BTreeMap<String, NamedToken>> {
    let tokens = [
        directory.list_service_tokens().await?,
        service_tokens::list(auth).await?,
    ];
    Ok(tokens
        .into_iter()
        .flatten()
        .map(|token| (token.name.to_string(), token))
        .collect())
}

/// Deletes the rows in the order in which they are created, so that a concurrent `create` detects
/// it.
async fn revoke(auth: &Database, directory: &Directory, name: ClientName) -> anyhow::Result<()> {
    let Some(token) = list(auth, directory).await?.remove(name.as_str()) else {
        bail!("there is no service token with the name {name}");
    };
    let again = || format!("{name} is not revoked completely: run the command again");
    let now = SystemClock.now();
    service_tokens::revoke(auth, name.clone(), Origin::command_line(), now)
        .await
        .with_context(again)?;
    directory
        .delete_service_token(name.clone())
        .await
        .with_context(again)?;
    Ok(stdout::print_json(&json::service_token_to_json(&token))?)
}
