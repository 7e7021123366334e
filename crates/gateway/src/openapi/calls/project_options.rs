//! `/api/p/{project}/languages/...`, `/channels/...`, `/orderings/...`, `/fieldlists/...`: the
//! languages and items of a project.

use crate::openapi::{
    call::Call,
    entries::Entries,
    error_response::ErrorResponse,
    examples,
    field::{Field, Shape, optional, required},
};

use super::fields::{BAD_NAME, NAME, PROJECT};

const ITEM_NAME: Field = Field {
    shape: Shape::Text("Web shop"),
    ..NAME
};

/// One of the lists of a project, with the words of its calls.
struct ProjectList {
    /// Paths of `create`, `update`, `move` and `delete`.
    paths: [&'static str; 4],
    summaries: [&'static str; 4],
    name: &'static str,
    plural: &'static str,
    before: &'static str,
    /// Reasons for which a deletion fails: the last ordering and the last fieldlist cannot be
    /// deleted.
    delete_reasons: &'static [&'static str],
}

const CHANNELS: ProjectList = ProjectList {
    paths: [
        "/api/p/{project}/channels/create",
        "/api/p/{project}/channels/update",
        "/api/p/{project}/channels/move",
        "/api/p/{project}/channels/delete",
    ],
    summaries: [
        "Create a channel",
        "Rename a channel",
        "Move a channel",
        "Delete channels",
    ],
    name: "channel",
    plural: "channels",
    before: "before_channel",
    delete_reasons: &["not_there"],
};

const ORDERINGS: ProjectList = ProjectList {
    paths: [
        "/api/p/{project}/orderings/create",
        "/api/p/{project}/orderings/update",
        "/api/p/{project}/orderings/move",
        "/api/p/{project}/orderings/delete",
    ],
    summaries: [
        "Create an ordering",
        "Rename an ordering",
        "Move an ordering",
        "Delete orderings",
    ],
    name: "ordering",
    plural: "orderings",
    before: "before_ordering",
    delete_reasons: &["not_there", "last_one"],
};

const FIELDLISTS: ProjectList = ProjectList {
    paths: [
        "/api/p/{project}/fieldlists/create",
        "/api/p/{project}/fieldlists/update",
        "/api/p/{project}/fieldlists/move",
        "/api/p/{project}/fieldlists/delete",
    ],
    summaries: [
        "Create a fieldlist",
        "Rename a fieldlist",
        "Move a fieldlist",
        "Delete fieldlists",
    ],
    name: "fieldlist",
    plural: "fieldlists",
    before: "before_fieldlist",
    delete_reasons: &["not_there", "last_one"],
};

pub(super) fn calls() -> Vec<Call> {
    let mut calls = languages();
    calls.extend(
        [CHANNELS, ORDERINGS, FIELDLISTS]
            .iter()
            .flat_map(list_calls),
    );
    calls
}

fn languages() -> Vec<Call> {
    let language = required(
        "language",
        Shape::Text("nl"),
        "The language: a code of `languages/get`.",
    );
    let data = [
        Entries::FullProject,
        Entries::Nothing("definitions"),
        Entries::Nothing("classes"),
        Entries::Nothing("fields"),
        Entries::Nothing("layouts"),
    ];
    let call = |path, summary, description| {
        Call::post(path, summary, description)
            .with_token()
            .with_parameters(&[language])
            .with_result(&[PROJECT], &data)
            .with_errors(&[ErrorResponse::Forbidden])
    };
    vec![
        call(
            "/api/p/{project}/languages/add",
            "Add a language",
            "Adds a language at the end of the list.",
        )
        .with_reasons(&["unknown_language", "already_there"]),
        call(
            "/api/p/{project}/languages/remove",
            "Remove a language",
            "Removes a language. The last language of a project cannot be removed.",
        )
        .with_reasons(&["not_there", "last_one"]),
    ]
}

/// Returns the four calls of a list.
fn list_calls(list: &ProjectList) -> [Call; 4] {
    let item = |description| required(list.name, Shape::Item(examples::ITEM), description);
    let created = required(
        list.name,
        Shape::Gid(examples::ITEM),
        "The gid of the new item.",
    );
    let before = optional(
        list.before,
        Shape::Item(examples::ITEM),
        "The item before which to move it; the end of the list when absent.",
    );
    let one = optional(
        list.name,
        Shape::Item(examples::ITEM),
        "The gid of one item. If both are given, the list is ignored.",
    );
    let several = optional(
        list.plural,
        Shape::Items(examples::ITEM),
        "The gids of several items. One of the two parameters is required.",
    );
    let [create, rename, reorder, delete] = list.paths;
    let [
        create_summary,
        rename_summary,
        reorder_summary,
        delete_summary,
    ] = list.summaries;
    let call = |path, summary, description| {
        Call::post(path, summary, description)
            .with_token()
            .with_result(&[PROJECT], &[Entries::FullProject])
            .with_errors(&[ErrorResponse::Forbidden])
    };
    [
        call(
            create,
            create_summary,
            "Adds an item at the end of the list.",
        )
        .with_parameters(&[ITEM_NAME])
        .with_result(&[created, PROJECT], &[Entries::FullProject])
        .with_reasons(&["too_many"])
        .with_validation(&BAD_NAME),
        call(
            rename,
            rename_summary,
            "Changes the name of an item. `__all__` cannot be renamed.",
        )
        .with_parameters(&[item("The gid of the item."), ITEM_NAME])
        .with_reasons(&["not_there"])
        .with_validation(&BAD_NAME),
        call(
            reorder,
            reorder_summary,
            "Moves an item to another position. `__all__` cannot be moved, and no item can be \
             moved before it.",
        )
        .with_parameters(&[item("The gid of the item."), before])
        .with_reasons(&["not_there"]),
        call(
            delete,
            delete_summary,
            "Deletes one or several items: all of them, or none if one does not exist. `__all__`, \
             the last ordering and the last fieldlist cannot be deleted.",
        )
        .with_parameters(&[one, several])
        .with_reasons(list.delete_reasons),
    ]
}
