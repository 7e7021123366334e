//! `doorward project`.

use doorward_directory::Directory;
use doorward_domain::Timezone;

use super::Listing;
use crate::{
    cli::{CreateProject, ProjectCommand},
    json,
    settings::Settings,
    stdout,
    wiring::{self, Preparation},
};

pub(super) async fn run(command: ProjectCommand, settings: &Settings) -> anyhow::Result<()> {
    wiring::prepare_directory(settings, Preparation::Prepare).await?;
    let directory = wiring::directory(settings);
    match command {
        ProjectCommand::Create(create) => print_created(&directory, create).await,
        ProjectCommand::Show { project } => Ok(stdout::json(&json::project(&directory.get_project(project).await?))?),
        ProjectCommand::List => list(&directory).await,
    }
}

async fn print_created(directory: &Directory, create: CreateProject) -> anyhow::Result<()> {
    let owner = directory.get_user(&create.owner).await?;
    Ok(stdout::json(&json::project(&directory.create_project(owner.gid, create.name, Timezone::default()).await?))?)
}

async fn list(directory: &Directory) -> anyhow::Result<()> {
    let mut listing = Listing::default();
    let mut after = None;
    loop {
        let page = directory.list_projects(after, Listing::PAGE).await?;
        after = page.last().map(|project| project.gid);
        if !listing.add(page.iter().map(json::project))? {
            return Ok(());
        }
    }
}
