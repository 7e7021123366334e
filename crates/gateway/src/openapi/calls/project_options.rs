//! `/api/p/{project}/languages/...`, `/channels/...`, `/orderings/...`, `/fieldlists/...`.

use crate::openapi::{
    call::Call,
    entries::Entries,
    error_response::Refusal,
    examples,
    field::{Field, Shape, optional, required},
};

use crate::openapi::calls::{BAD_NAME, NAME, PROJECT};

const ITEM_NAME: Field = Field {
    shape: Shape::Text("Web shop"),
    ..NAME
};

/// One of a project's lists, as its calls name it.
struct ProjectList {
    /// `create`, `update`, `move`, `delete`.
    paths: [&'static str; 4],
    summaries: [&'static str; 4],
    name: &'static str,
    plural: &'static str,
    before: &'static str,
    /// What stands against a deletion: of orderings and fieldlists one must stay.
    undeletable: &'static [&'static str],
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
    undeletable: &["not_there"],
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
    undeletable: &["not_there", "last_one"],
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
    undeletable: &["not_there", "last_one"],
};

pub(crate) fn calls() -> Vec<Call> {
    let mut calls = languages();
    calls.extend(
        [CHANNELS, ORDERINGS, FIELDLISTS]
            .iter()
            .flat_map(list_calls),
    );
    calls
}

fn languages() -> Vec<Call> {
    let language = required("language", Shape::Text("nl"), "A code of the global list.");
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
            .with_errors(&[Refusal::Forbidden])
    };
    vec![
        call(
            "/api/p/{project}/languages/add",
            "Add a language",
            "It comes last.",
        )
        .with_reasons(&["unknown_language", "already_there"]),
        call(
            "/api/p/{project}/languages/remove",
            "Remove a language",
            "One must stay.",
        )
        .with_reasons(&["not_there", "last_one"]),
    ]
}

fn list_calls(list: &ProjectList) -> [Call; 4] {
    let item = |description| required(list.name, Shape::Item(examples::ITEM), description);
    let made = required(list.name, Shape::Gid(examples::ITEM), "What was made.");
    let before = optional(
        list.before,
        Shape::Item(examples::ITEM),
        "Where to; the end when absent.",
    );
    let one = optional(
        list.name,
        Shape::Item(examples::ITEM),
        "One; it wins over several.",
    );
    let several = optional(
        list.plural,
        Shape::Items(examples::ITEM),
        "Several; one of the two is required.",
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
            .with_errors(&[Refusal::Forbidden])
    };
    [
        call(create, create_summary, "It comes last.")
            .with_parameters(&[ITEM_NAME])
            .with_result(&[made, PROJECT], &[Entries::FullProject])
            .with_reasons(&["too_many"])
            .with_validation(&BAD_NAME),
        call(rename, rename_summary, "But not `__all__`.")
            .with_parameters(&[item("Which."), ITEM_NAME])
            .with_reasons(&["not_there"])
            .with_validation(&BAD_NAME),
        call(
            reorder,
            reorder_summary,
            "But not `__all__`, nor before it.",
        )
        .with_parameters(&[item("Which."), before])
        .with_reasons(&["not_there"]),
        call(
            delete,
            delete_summary,
            "One, or several. `__all__` stays, and so do the last ordering and fieldlist.",
        )
        .with_parameters(&[one, several])
        .with_reasons(list.undeletable),
    ]
}
