//! `doorward member`.

use anyhow::bail;
use doorward_directory::Directory;
use doorward_domain::{Gid, Role};

use super::Listing;
use crate::{
    cli::MemberCommand,
    json,
    settings::Settings,
    stdout,
    wiring::{self, Preparation},
};

pub(super) async fn run(command: MemberCommand, settings: &Settings) -> anyhow::Result<()> {
    wiring::prepare_directory(settings, Preparation::Prepare).await?;
    let directory = wiring::directory(settings);
    match command {
        MemberCommand::Add { project, user, role } => {
            if role != Role::Member {
                bail!("only the role `member` can be given: owners come by a transfer, API users with their key");
            }
            let user = directory.get_user(&user).await?;
            Ok(stdout::json(&json::membership(&directory.add_member(project, user.gid).await?))?)
        }
        MemberCommand::List { project } => list(&directory, project).await,
    }
}

async fn list(directory: &Directory, project: Gid) -> anyhow::Result<()> {
    let mut listing = Listing::default();
    let mut after = None;
    loop {
        let page = directory.list_members(project, after, Listing::PAGE).await?;
        after = page.last().map(|membership| membership.user);
        if !listing.add(page.iter().map(json::membership))? {
            return Ok(());
        }
    }
}
