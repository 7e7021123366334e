//! The channels, orderings, fieldlists and languages of projects.

use diesel::prelude::*;
use doorward_domain::Gid;
use doorward_storage::{AnyConnection, Error, Result};

use super::schema::{project_items, project_languages, projects};
use crate::model::{ItemKind, ProjectItem, ProjectOptions};

/// Of one project, each list in its order.
pub(crate) fn get(connection: &mut AnyConnection, project: Gid) -> Result<ProjectOptions> {
    let items: Vec<(String, String, String)> = project_items::table
        .filter(project_items::project_gid.eq(project.to_string()))
        .order((project_items::position, project_items::gid))
        .select((project_items::kind, project_items::gid, project_items::name))
        .load(connection)?;
    let languages = project_languages::table
        .filter(project_languages::project_gid.eq(project.to_string()))
        .order((project_languages::position, project_languages::language))
        .select(project_languages::language)
        .load(connection)?;
    let timezone = projects::table.find(project.to_string()).select(projects::timezone).get_result(connection)?;
    let mut options =
        ProjectOptions { channels: Vec::new(), orderings: Vec::new(), fieldlists: Vec::new(), languages, timezone };
    for (kind, gid, name) in items {
        let item = ProjectItem { gid: gid.parse()?, name };
        match kind.parse::<ItemKind>()? {
            ItemKind::Channel => options.channels.push(item),
            ItemKind::Ordering => options.orderings.push(item),
            ItemKind::Fieldlist => options.fieldlists.push(item),
        }
    }
    Ok(options)
}

/// Those of a new project.
pub(crate) fn insert(
    connection: &mut AnyConnection,
    project: Gid,
    items: &[(ItemKind, ProjectItem)],
    language: &str,
) -> Result<()> {
    for (position, (kind, item)) in (1_i64..).zip(items) {
        diesel::insert_into(project_items::table)
            .values((
                project_items::project_gid.eq(project.to_string()),
                project_items::kind.eq(kind.as_str()),
                project_items::gid.eq(item.gid.to_string()),
                project_items::name.eq(&item.name),
                project_items::position.eq(position),
            ))
            .execute(connection)?;
    }
    diesel::insert_into(project_languages::table)
        .values((
            project_languages::project_gid.eq(project.to_string()),
            project_languages::language.eq(language),
            project_languages::position.eq(1_i64),
        ))
        .execute(connection)
        .map(drop)
        .map_err(Error::from)
}
