//! `doorward project`.

use doorward_directory::{Actor, Directory};
use doorward_domain::{Gid, ProjectStatus, Timezone};

use super::find_user::find_user;
use crate::commands::list_output::{Column, ListOutput};
use crate::{
    cli::{CreateProject, ProjectCommand},
    json,
    settings::Settings,
    stdout,
    wiring::{self, Preparation},
};

const COLUMNS: &[Column] = &[
    ("GID", "/gid"),
    ("NAME", "/name"),
    ("OWNER", "/owner"),
    ("STATUS", "/status"),
];

pub(super) async fn run(command: ProjectCommand, settings: &Settings) -> anyhow::Result<()> {
    wiring::prepare_directory(settings, Preparation::MigrateIfEmpty).await?;
    let directory = wiring::new_directory(settings);
    match command {
        ProjectCommand::Create(create) => print_created(&directory, create).await,
        ProjectCommand::Show { project } => Ok(stdout::print_json(&json::project_to_json(
            &directory.get_project(project).await?,
        ))?),
        ProjectCommand::List(format) => list(&directory, ListOutput::new(format, COLUMNS)).await,
        ProjectCommand::Delete { project } => {
            set_status(&directory, project, ProjectStatus::Deleted).await
        }
        ProjectCommand::Undelete { project } => {
            set_status(&directory, project, ProjectStatus::Active).await
        }
        ProjectCommand::Transfer { project, to } => {
            let recipient = find_user(&directory, to).await?;
            let (full, _) = directory
                .transfer_project(Actor::Administrator, project, recipient.gid)
                .await?;
            Ok(stdout::print_json(&json::project_to_json(&full.project))?)
        }
    }
}

async fn print_created(directory: &Directory, create: CreateProject) -> anyhow::Result<()> {
    let owner = find_user(directory, create.owner).await?;
    Ok(stdout::print_json(&json::project_to_json(
        &directory
            .create_project_for(owner.gid, create.name, Timezone::default())
            .await?,
    ))?)
}

async fn set_status(
    directory: &Directory,
    project: Gid,
    status: ProjectStatus,
) -> anyhow::Result<()> {
    let full = directory
        .set_project_status(Actor::Administrator, project, status)
        .await?;
    Ok(stdout::print_json(&json::project_to_json(&full.project))?)
}

async fn list(directory: &Directory, mut listing: ListOutput) -> anyhow::Result<()> {
    let mut after = None;
    loop {
        let page = directory.list_projects(after, ListOutput::PAGE).await?;
        after = page.last().map(|project| project.gid);
        if !listing.push_page(page.iter().map(json::project_to_json))? {
            return Ok(());
        }
    }
}
