//! `doorward member`.

use anyhow::bail;
use doorward_directory::{Actor, Directory};
use doorward_domain::{Gid, Role};
use serde_json::json;

use super::find_user::find_user;
use crate::commands::list_output::{Column, ListOutput};
use crate::{
    cli::MemberCommand,
    json,
    settings::Settings,
    stdout,
    wiring::{self, Preparation},
};

const COLUMNS: &[Column] = &[
    ("USER", "/user_gid"),
    ("ROLES", "/roles"),
    ("STATUS", "/status"),
    ("LIMIT", "/options/rate_limit_per_second"),
];

pub(super) async fn run(command: MemberCommand, settings: &Settings) -> anyhow::Result<()> {
    wiring::prepare_directory(settings, Preparation::MigrateIfEmpty).await?;
    let directory = wiring::new_directory(settings);
    match command {
        MemberCommand::Add {
            project,
            user,
            role,
        } => {
            if role != Role::Member {
                bail!(
                    "only the role `member` can be given: use `project transfer` for an owner and \
                     `apikey create` for an API user"
                );
            }
            let user = find_user(&directory, user).await?;
            Ok(stdout::print_json(&json::membership_to_json(
                &directory.add_member(project, user.gid).await?,
            ))?)
        }
        MemberCommand::List { project, format } => {
            list(&directory, project, ListOutput::new(format, COLUMNS)).await
        }
        MemberCommand::Remove { project, user } => {
            let user = find_user(&directory, user).await?;
            directory
                .remove_member(Actor::Administrator, project, user.gid)
                .await?;
            Ok(stdout::print_json(
                &json!({"project_gid": project.to_string(), "user_gid": user.gid.to_string()}),
            )?)
        }
    }
}

async fn list(directory: &Directory, project: Gid, mut listing: ListOutput) -> anyhow::Result<()> {
    let mut after = None;
    loop {
        let page = directory
            .list_members(project, after, ListOutput::PAGE)
            .await?;
        after = page.last().map(|membership| membership.user);
        if !listing.push_page(page.iter().map(json::membership_to_json))? {
            return Ok(());
        }
    }
}
