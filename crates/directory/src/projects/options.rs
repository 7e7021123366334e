//! What a project has besides its name: languages, channels, orderings, fieldlists. Each is a row, and changes come one after
//! the other, so that two members at once never undo each other's.

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

/// Of each list.
const MAX_ITEMS: i64 = 1000;

/// A project with what it has besides.
pub type FullProject = (Project, ProjectOptions);

#[derive(Debug, Clone)]
pub enum LanguageChange {
    Add(String),
    Remove(String),
}

/// The list of a project that a change is about, and who makes it.
#[derive(Debug, Clone, Copy)]
pub struct ListRef {
    pub caller: Caller,
    pub project: Gid,
    pub kind: ItemKind,
}

impl Directory {
    /// # Errors
    /// [`Error::CallerNotActive`], [`Error::Forbidden`]; [`Error::UnknownLanguage`], [`Error::AlreadyInList`], [`Error::NotInList`], [`Error::LastInList`];
    /// those of the database.
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

    /// # Errors
    /// [`Error::CallerNotActive`], [`Error::Forbidden`], [`Error::Malformed`], [`Error::TooManyItems`], and database errors.
    pub async fn create_item(
        &self,
        list: ListRef,
        name: String,
    ) -> Result<(Gid, FullProject), Error> {
        let (gid, ListRef { project, kind, .. }) = (self.ids.new_gid(), list);
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

    /// # Errors
    /// [`Error::CallerNotActive`], [`Error::Forbidden`], [`Error::NotInList`], [`Error::Malformed`], and database errors.
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

    /// Before another, or to the end.
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
            // Before itself it stays where it is.
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

    /// All of them or none.
    ///
    /// # Errors
    /// [`Error::CallerNotActive`], [`Error::Forbidden`], [`Error::NotInList`], [`Error::LastInList`], and database errors.
    pub async fn delete_items(&self, list: ListRef, items: Vec<Gid>) -> Result<FullProject, Error> {
        let delete = move |connection: &mut AnyConnection| {
            let gids = store::project_options::list_gids(connection, list.project, list.kind)?;
            // Whoever names one twice means it once.
            let items: HashSet<Gid> = items.into_iter().collect();
            items
                .iter()
                .try_for_each(|item| check_item_exists(&gids, *item))?;
            let is_emptied = items.len() == gids.len();
            // There is always the channel of all records.
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
            access::authorise(connection, project, &caller, Permission::EditProject)?;
            let before = store::project_options::get(connection, project)?;
            change(connection)?;
            finish_change(connection, project, &before, &*clock)
        })
        .await
    }
}

/// The project after a change, which the feed tells of if it was one.
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
    Ok((project, options))
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
