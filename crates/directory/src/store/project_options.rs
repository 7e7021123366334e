//! The options of projects: items (channels, orderings, fieldlists) and languages, each list with
//! an order. The rules of `projects/options.rs` decide which changes are allowed.

use diesel::prelude::*;
use doorward_domain::Gid;
use doorward_storage::{AnyConnection, Error, Result};

use super::schema::{project_items, project_languages, projects};
use crate::model::{ItemKind, ProjectItem, ProjectOptions};

/// Returns the options of a project, each list in its order.
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
    let timezone = projects::table
        .find(project.to_string())
        .select(projects::timezone)
        .get_result(connection)?;
    let mut options = ProjectOptions {
        channels: Vec::new(),
        orderings: Vec::new(),
        fieldlists: Vec::new(),
        languages,
        timezone,
    };
    for (kind, gid, name) in items {
        let item = ProjectItem {
            gid: gid.parse()?,
            name,
        };
        match kind.parse::<ItemKind>()? {
            ItemKind::Channel => options.channels.push(item),
            ItemKind::Ordering => options.orderings.push(item),
            ItemKind::Fieldlist => options.fieldlists.push(item),
        }
    }
    Ok(options)
}

/// Returns the number of languages of a project, and whether `language` is one of them.
pub(crate) fn count_languages(
    connection: &mut AnyConnection,
    project: Gid,
    language: &str,
) -> Result<(i64, bool)> {
    let all: Vec<String> = project_languages::table
        .filter(project_languages::project_gid.eq(project.to_string()))
        .select(project_languages::language)
        .load(connection)?;
    Ok((
        i64::try_from(all.len()).unwrap_or(i64::MAX),
        all.iter().any(|other| other == language),
    ))
}

/// Adds a language at the end of the list.
pub(crate) fn add_language(
    connection: &mut AnyConnection,
    project: Gid,
    language: &str,
) -> Result<()> {
    let last: Option<i64> = project_languages::table
        .filter(project_languages::project_gid.eq(project.to_string()))
        .select(diesel::dsl::max(project_languages::position))
        .get_result(connection)?;
    insert_language(connection, project, language, last.unwrap_or(0) + 1)
}

pub(crate) fn remove_language(
    connection: &mut AnyConnection,
    project: Gid,
    language: &str,
) -> Result<()> {
    diesel::delete(project_languages::table.find((project.to_string(), language)))
        .execute(connection)?;
    Ok(())
}

/// Returns the gids of one list of items, in its order.
pub(crate) fn list_gids(
    connection: &mut AnyConnection,
    project: Gid,
    kind: ItemKind,
) -> Result<Vec<Gid>> {
    let gids: Vec<String> = project_items::table
        .filter(project_items::project_gid.eq(project.to_string()))
        .filter(project_items::kind.eq(kind.as_str()))
        .order((project_items::position, project_items::gid))
        .select(project_items::gid)
        .load(connection)?;
    gids.into_iter().map(|gid| Ok(gid.parse()?)).collect()
}

pub(crate) fn insert_item(
    connection: &mut AnyConnection,
    project: Gid,
    kind: ItemKind,
    item: &ProjectItem,
    position: i64,
) -> Result<()> {
    diesel::insert_into(project_items::table)
        .values((
            project_items::project_gid.eq(project.to_string()),
            project_items::kind.eq(kind.as_str()),
            project_items::gid.eq(item.gid.to_string()),
            project_items::name.eq(&item.name),
            project_items::position.eq(position),
        ))
        .execute(connection)?;
    Ok(())
}

pub(crate) fn rename_item(
    connection: &mut AnyConnection,
    project: Gid,
    kind: ItemKind,
    gid: Gid,
    name: &str,
) -> Result<()> {
    diesel::update(project_items::table.find((
        project.to_string(),
        kind.as_str(),
        gid.to_string(),
    )))
    .set(project_items::name.eq(name))
    .execute(connection)?;
    Ok(())
}

/// Returns the number of items in a list, and the position after the last one.
pub(crate) fn list_end(
    connection: &mut AnyConnection,
    project: Gid,
    kind: ItemKind,
) -> Result<(i64, i64)> {
    let (count, last): (i64, Option<i64>) = project_items::table
        .filter(project_items::project_gid.eq(project.to_string()))
        .filter(project_items::kind.eq(kind.as_str()))
        .select((
            diesel::dsl::count_star(),
            diesel::dsl::max(project_items::position),
        ))
        .get_result(connection)?;
    Ok((count, last.unwrap_or(0) + 1))
}

/// Moves an item to the position of the item `before`, or to the end. The item `before` and all
/// after it move by one position.
pub(crate) fn move_item(
    connection: &mut AnyConnection,
    project: Gid,
    kind: ItemKind,
    gid: Gid,
    before: Option<Gid>,
) -> Result<()> {
    let row =
        |gid: Gid| project_items::table.find((project.to_string(), kind.as_str(), gid.to_string()));
    // Positions need not be consecutive, so the gap that the item leaves is not closed.
    let position = match before {
        None => list_end(connection, project, kind)?.1,
        Some(before) => {
            let position: i64 = row(before)
                .select(project_items::position)
                .get_result(connection)?;
            diesel::update(
                project_items::table
                    .filter(project_items::project_gid.eq(project.to_string()))
                    .filter(project_items::kind.eq(kind.as_str()))
                    .filter(project_items::position.ge(position)),
            )
            .set(project_items::position.eq(project_items::position + 1))
            .execute(connection)?;
            position
        }
    };
    diesel::update(row(gid))
        .set(project_items::position.eq(position))
        .execute(connection)?;
    Ok(())
}

pub(crate) fn delete_items(
    connection: &mut AnyConnection,
    project: Gid,
    kind: ItemKind,
    gids: impl IntoIterator<Item = Gid>,
) -> Result<()> {
    let gids: Vec<String> = gids.into_iter().map(|gid| gid.to_string()).collect();
    diesel::delete(
        project_items::table
            .filter(project_items::project_gid.eq(project.to_string()))
            .filter(project_items::kind.eq(kind.as_str()))
            .filter(project_items::gid.eq_any(gids)),
    )
    .execute(connection)?;
    Ok(())
}

/// Deletes all options of a project.
pub(crate) fn delete_all(connection: &mut AnyConnection, project: Gid) -> Result<()> {
    let gid = project.to_string();
    diesel::delete(project_items::table.filter(project_items::project_gid.eq(&gid)))
        .execute(connection)?;
    diesel::delete(project_languages::table.filter(project_languages::project_gid.eq(&gid)))
        .execute(connection)?;
    Ok(())
}

/// Inserts the options of a new project.
pub(crate) fn insert(
    connection: &mut AnyConnection,
    project: Gid,
    items: &[(ItemKind, ProjectItem)],
    languages: &[String],
) -> Result<()> {
    for (position, (kind, item)) in (1_i64..).zip(items) {
        insert_item(connection, project, *kind, item, position)?;
    }
    for (position, language) in (1_i64..).zip(languages) {
        insert_language(connection, project, language, position)?;
    }
    Ok(())
}

fn insert_language(
    connection: &mut AnyConnection,
    project: Gid,
    language: &str,
    position: i64,
) -> Result<()> {
    diesel::insert_into(project_languages::table)
        .values((
            project_languages::project_gid.eq(project.to_string()),
            project_languages::language.eq(language),
            project_languages::position.eq(position),
        ))
        .execute(connection)
        .map(drop)
        .map_err(Error::from)
}
