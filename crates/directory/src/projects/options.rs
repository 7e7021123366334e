//! Options of a project: languages, channels, orderings and fieldlists. Each of them is a row, and
//! the lock of the feed serializes changes, so that concurrent changes by two members both survive.

use std::collections::HashSet;

use doorward_domain::{Clock, DisplayName, Gid, languages};
use doorward_storage::AnyConnection;

use crate::{
    Caller, Directory, Error,
    feed::{self, NewChange},
    members::access,
    model::{ItemKind, Project, ProjectItem, ProjectOptions},
    policy::Permission,
    store,
};

/// Maximum number of items in one list of a project.
const MAX_ITEMS: i64 = 1000;

/// A project with its options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FullProject {
    pub project: Project,
    pub options: ProjectOptions,
}

/// A change of the languages of a project, with a code of the global list.
#[derive(Debug, Clone)]
pub enum LanguageChange {
    Add(String),
    Remove(String),
}

/// The list of a project to change, and the caller who changes it.
#[derive(Debug, Clone, Copy)]
pub struct ListRef {
    pub caller: Caller,
    pub project: Gid,
    pub kind: ItemKind,
}

impl Directory {
    /// Adds or removes a language of a project.
    ///
    /// # Errors
    /// [`Error::CallerNotActive`], [`Error::Forbidden`], [`Error::UnknownLanguage`],
    /// [`Error::AlreadyInList`], [`Error::NotInList`], [`Error::LastInList`], and database errors.
    pub async fn change_languages(
        &self,
        caller: Caller,
        project: Gid,
        change: LanguageChange,
    ) -> Result<FullProject, Error> {
        self.change_options(caller, project, move |connection| {
            change_languages(connection, project, &change)
        })
        .await
    }

    /// Appends an item to a list, and returns its gid with the full project.
    ///
    /// # Errors
    /// [`Error::CallerNotActive`], [`Error::Forbidden`], [`Error::Malformed`],
    /// [`Error::TooManyItems`], and database errors.
    pub async fn create_item(
        &self,
        list: ListRef,
        name: String,
    ) -> Result<(Gid, FullProject), Error> {
        let gid = self.ids.new_gid();
        let ListRef { project, kind, .. } = list;
        let create = move |connection: &mut AnyConnection| {
            let (count, position) = store::project_options::list_end(connection, project, kind)?;
            if count >= MAX_ITEMS {
                return Err(Error::TooManyItems);
            }
            let item = ProjectItem {
                gid,
                name: parse_display_name(&name)?.to_string(),
            };
            Ok(store::project_options::insert_item(
                connection, project, kind, &item, position,
            )?)
        };
        Ok((
            gid,
            self.change_options(list.caller, project, create).await?,
        ))
    }

    /// Changes the name of an item.
    ///
    /// # Errors
    /// [`Error::CallerNotActive`], [`Error::Forbidden`], [`Error::NotInList`],
    /// [`Error::Malformed`], and database errors.
    pub async fn rename_item(
        &self,
        list: ListRef,
        item: Gid,
        name: String,
    ) -> Result<FullProject, Error> {
        let rename = move |connection: &mut AnyConnection| {
            let gids = store::project_options::list_gids(connection, list.project, list.kind)?;
            check_item_exists(&gids, item)?;
            let name = parse_display_name(&name)?;
            Ok(store::project_options::rename_item(
                connection,
                list.project,
                list.kind,
                item,
                name.as_str(),
            )?)
        };
        self.change_options(list.caller, list.project, rename).await
    }

    /// Moves an item before another item, or to the end of its list if `before` is `None`.
    ///
    /// # Errors
    /// [`Error::CallerNotActive`], [`Error::Forbidden`], [`Error::NotInList`], and database errors.
    pub async fn move_item(
        &self,
        list: ListRef,
        item: Gid,
        before: Option<Gid>,
    ) -> Result<FullProject, Error> {
        let reorder = move |connection: &mut AnyConnection| {
            let gids = store::project_options::list_gids(connection, list.project, list.kind)?;
            check_item_exists(&gids, item)?;
            before.map_or(Ok(()), |before| check_item_exists(&gids, before))?;
            // An item that is moved before itself keeps its position.
            if before == Some(item) {
                return Ok(());
            }
            Ok(store::project_options::move_item(
                connection,
                list.project,
                list.kind,
                item,
                before,
            )?)
        };
        self.change_options(list.caller, list.project, reorder)
            .await
    }

    /// Deletes items from a list: all of them, or none if one of them is not in the list.
    ///
    /// # Errors
    /// [`Error::CallerNotActive`], [`Error::Forbidden`], [`Error::NotInList`],
    /// [`Error::LastInList`], and database errors.
    pub async fn delete_items(&self, list: ListRef, items: Vec<Gid>) -> Result<FullProject, Error> {
        let delete = move |connection: &mut AnyConnection| {
            let gids = store::project_options::list_gids(connection, list.project, list.kind)?;
            // A gid that is listed twice counts once.
            let items: HashSet<Gid> = items.into_iter().collect();
            items
                .iter()
                .try_for_each(|item| check_item_exists(&gids, *item))?;
            let is_emptied = items.len() == gids.len();
            // The list of channels can be empty: every project has an implicit channel of all
            // records.
            if is_emptied && list.kind != ItemKind::Channel {
                return Err(Error::LastInList);
            }
            Ok(store::project_options::delete_items(
                connection,
                list.project,
                list.kind,
                items,
            )?)
        };
        self.change_options(list.caller, list.project, delete).await
    }

    /// Runs a change of the options with the permission `EditProject`.
    async fn change_options<F>(
        &self,
        caller: Caller,
        project: Gid,
        change: F,
    ) -> Result<FullProject, Error>
    where
        F: FnOnce(&mut AnyConnection) -> Result<(), Error> + Send + 'static,
    {
        let clock = self.clock.clone();
        self.write(move |connection| {
            feed::lock(connection)?;
            let caller = caller.active(connection)?;
            access::authorize(connection, project, &caller, Permission::EditProject)?;
            let before = store::project_options::get(connection, project)?;
            change(connection)?;
            finish_change(connection, project, &before, &*clock)
        })
        .await
    }
}

/// Returns the project after a change. A change without an effect adds no row to the feed.
fn finish_change(
    connection: &mut AnyConnection,
    project: Gid,
    before: &ProjectOptions,
    clock: &dyn Clock,
) -> Result<FullProject, Error> {
    let project = store::project::find(connection, project)?.ok_or(Error::Forbidden)?;
    let options = store::project_options::get(connection, project.gid)?;
    if options != *before {
        let changes = vec![NewChange::project_updated(&project)];
        feed::append(connection, changes, clock)?;
    }
    Ok(FullProject { project, options })
}

fn change_languages(
    connection: &mut AnyConnection,
    project: Gid,
    change: &LanguageChange,
) -> Result<(), Error> {
    let (LanguageChange::Add(language) | LanguageChange::Remove(language)) = change;
    let (count, is_there) = store::project_options::count_languages(connection, project, language)?;
    match change {
        LanguageChange::Add(_) if !languages::is_known(language) => Err(Error::UnknownLanguage),
        LanguageChange::Add(_) if is_there => Err(Error::AlreadyInList),
        LanguageChange::Add(_) => Ok(store::project_options::add_language(
            connection, project, language,
        )?),
        LanguageChange::Remove(_) if !is_there => Err(Error::NotInList),
        LanguageChange::Remove(_) if count == 1 => Err(Error::LastInList),
        LanguageChange::Remove(_) => Ok(store::project_options::remove_language(
            connection, project, language,
        )?),
    }
}

fn parse_display_name(text: &str) -> Result<DisplayName, Error> {
    DisplayName::parse(text).map_err(|malformed| Error::Malformed("name", malformed))
}

fn check_item_exists(gids: &[Gid], item: Gid) -> Result<(), Error> {
    if gids.contains(&item) {
        Ok(())
    } else {
        Err(Error::NotInList)
    }
}
