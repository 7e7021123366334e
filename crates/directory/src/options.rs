//! What a project has besides its name: languages, channels, orderings, fieldlists. Each is a row, and changes come one after
//! the other, so that two members at once never undo each other's.

use doorward_domain::{Clock, DisplayName, Gid, languages};
use doorward_storage::AnyConnection;

use crate::{
    Directory, Error, members,
    model::{Action, ItemKind, Project, ProjectItem, ProjectOptions},
    policy::Deed,
    projects,
    store::{self, feed},
};

/// Of each list.
const MAX_ITEMS: usize = 1000;

/// A project with what it has besides.
pub type FullProject = (Project, ProjectOptions);

#[derive(Debug, Clone)]
pub enum LanguageChange {
    Add(String),
    Remove(String),
}

/// The list of a project that a change is about, and who makes it.
#[derive(Debug, Clone, Copy)]
pub struct List {
    pub caller: Gid,
    pub project: Gid,
    pub kind: ItemKind,
}

impl Directory {
    /// # Errors
    /// [`Error::Forbidden`]; [`Error::UnknownLanguage`], [`Error::AlreadyThere`], [`Error::NotThere`], [`Error::LastOne`];
    /// those of the database.
    pub async fn change_languages(
        &self,
        caller: Gid,
        project: Gid,
        change: LanguageChange,
    ) -> Result<FullProject, Error> {
        self.change_options(caller, project, move |connection| change_languages(connection, project, &change)).await
    }

    /// # Errors
    /// [`Error::Forbidden`], [`Error::Malformed`], [`Error::TooMany`], and those of the database.
    pub async fn create_item(&self, list: List, name: String) -> Result<(Gid, FullProject), Error> {
        let (gid, List { project, kind, .. }) = (self.ids.gid(), list);
        let create = move |connection: &mut AnyConnection| {
            let item = ProjectItem { gid, name: display_name(&name)?.to_string() };
            let gids = store::project_options::list_gids(connection, project, kind)?;
            if gids.len() >= MAX_ITEMS {
                return Err(Error::TooMany);
            }
            let position = i64::try_from(gids.len()).unwrap_or(i64::MAX) + 1;
            // Without gaps, so that the new one is the last.
            store::project_options::set_order(connection, project, kind, &gids)?;
            Ok(store::project_options::insert_item(connection, project, kind, &item, position)?)
        };
        Ok((gid, self.change_options(list.caller, project, create).await?))
    }

    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotThere`], [`Error::Malformed`], and those of the database.
    pub async fn rename_item(&self, list: List, item: Gid, name: String) -> Result<FullProject, Error> {
        let rename = move |connection: &mut AnyConnection| {
            let gids = store::project_options::list_gids(connection, list.project, list.kind)?;
            find(&gids, item)?;
            let name = display_name(&name)?;
            Ok(store::project_options::rename_item(connection, list.project, list.kind, item, name.as_str())?)
        };
        self.change_options(list.caller, list.project, rename).await
    }

    /// Before another, or to the end.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotThere`], and those of the database.
    pub async fn move_item(&self, list: List, item: Gid, before: Option<Gid>) -> Result<FullProject, Error> {
        let reorder = move |connection: &mut AnyConnection| {
            let gids = store::project_options::list_gids(connection, list.project, list.kind)?;
            let gids = moved(gids, item, before)?;
            Ok(store::project_options::set_order(connection, list.project, list.kind, &gids)?)
        };
        self.change_options(list.caller, list.project, reorder).await
    }

    /// All of them or none.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotThere`], [`Error::LastOne`], and those of the database.
    pub async fn delete_items(&self, list: List, items: Vec<Gid>) -> Result<FullProject, Error> {
        let delete = move |connection: &mut AnyConnection| {
            let gids = store::project_options::list_gids(connection, list.project, list.kind)?;
            items.iter().try_for_each(|item| find(&gids, *item).map(drop))?;
            let is_emptied = gids.iter().all(|gid| items.contains(gid));
            // There is always the channel of all records.
            if is_emptied && list.kind != ItemKind::Channel {
                return Err(Error::LastOne);
            }
            Ok(store::project_options::delete_items(connection, list.project, list.kind, &items)?)
        };
        self.change_options(list.caller, list.project, delete).await
    }

    async fn change_options<F>(&self, caller: Gid, project: Gid, change: F) -> Result<FullProject, Error>
    where
        F: FnOnce(&mut AnyConnection) -> Result<(), Error> + Send + 'static,
    {
        let clock = self.clock.clone();
        self.database
            .write(move |connection| {
                feed::lock(connection)?;
                members::authorise(connection, project, caller, Deed::ChangeProject)?;
                let before = store::project_options::get(connection, project)?;
                change(connection)?;
                full_changed(connection, project, &before, &*clock)
            })
            .await
    }
}

/// The project after a change, which the feed tells of if it was one.
fn full_changed(
    connection: &mut AnyConnection,
    project: Gid,
    before: &ProjectOptions,
    clock: &dyn Clock,
) -> Result<FullProject, Error> {
    let project = store::project::find(connection, project)?.ok_or(Error::Forbidden)?;
    let options = store::project_options::get(connection, project.gid)?;
    if options != *before {
        let changes = vec![projects::change(Action::Update, project.gid, project.status.as_str())];
        feed::append(connection, changes, clock)?;
    }
    Ok((project, options))
}

fn change_languages(connection: &mut AnyConnection, project: Gid, change: &LanguageChange) -> Result<(), Error> {
    let (LanguageChange::Add(language) | LanguageChange::Remove(language)) = change;
    let (count, is_there) = store::project_options::count_languages(connection, project, language)?;
    match change {
        LanguageChange::Add(_) if !languages::is_known(language) => Err(Error::UnknownLanguage),
        LanguageChange::Add(_) if is_there => Err(Error::AlreadyThere),
        LanguageChange::Add(_) => Ok(store::project_options::add_language(connection, project, language)?),
        LanguageChange::Remove(_) if !is_there => Err(Error::NotThere),
        LanguageChange::Remove(_) if count == 1 => Err(Error::LastOne),
        LanguageChange::Remove(_) => Ok(store::project_options::remove_language(connection, project, language)?),
    }
}

fn display_name(text: &str) -> Result<DisplayName, Error> {
    DisplayName::parse(text).map_err(|malformed| Error::Malformed("name", malformed))
}

fn find(gids: &[Gid], item: Gid) -> Result<usize, Error> {
    gids.iter().position(|gid| *gid == item).ok_or(Error::NotThere)
}

fn moved(mut gids: Vec<Gid>, item: Gid, before: Option<Gid>) -> Result<Vec<Gid>, Error> {
    let from = find(&gids, item)?;
    // Before itself it stays where it is.
    if before == Some(item) {
        return Ok(gids);
    }
    gids.remove(from);
    let to = before.map_or(Ok(gids.len()), |before| find(&gids, before))?;
    gids.insert(to, item);
    Ok(gids)
}

#[cfg(test)]
mod tests {
    use doorward_domain::{Ids, RandomIds};

    use super::*;

    #[test]
    fn an_item_moves_before_another_or_to_the_end() {
        let [a, b, c] = [RandomIds.gid(), RandomIds.gid(), RandomIds.gid()];
        assert_eq!(moved(vec![a, b, c], a, None).unwrap(), [b, c, a]);
        assert_eq!(moved(vec![a, b, c], c, Some(a)).unwrap(), [c, a, b]);
        assert_eq!(moved(vec![a, b, c], a, Some(c)).unwrap(), [b, a, c]);
        assert_eq!(moved(vec![a, b, c], b, Some(b)).unwrap(), [a, b, c]);
        assert!(moved(vec![a, b], c, None).is_err() && moved(vec![a, b], a, Some(c)).is_err());
    }
}
