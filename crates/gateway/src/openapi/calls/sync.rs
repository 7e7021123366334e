//! `/sync/get`, `/sync/cursors`.

use crate::openapi::{
    call::Call,
    error_response::Refusal,
    examples,
    field::{Field, Shape, optional, required},
};

pub(super) fn calls() -> Vec<Call> {
    let project = optional(
        "project",
        Shape::Gid(examples::PROJECT),
        "A project, of which the caller is a member.",
    );
    let position: Field = required("cc.cursor", Shape::Cursor(4132), "Of the global feed.");
    let of_project = optional(
        "cursor",
        Shape::Cursor(4132),
        "Of the project's feed, when a project was named.",
    );
    vec![
        Call::post(
            "/sync/get",
            "Get what has changed",
            "The rows after the cursors, in order, at most 1,000. The last row of each `type` has the cursor to go on from; \
             only where there are no rows, `cc.cursor` and `cursor` say it.",
        )
        .with_token()
        .with_parameters(&[
            optional("cc_cursor", Shape::Cursor(4132), "The last cursor of the global feed; none of its rows when absent."),
            project,
            optional("cursor", Shape::Cursor(4132), "The last cursor of the project's feed; none of its rows when absent."),
        ])
        .with_result(
            &[
                required("sync", Shape::Rows, "The rows."),
                optional("warning", Shape::Text("more data"), "There are more rows: ask again."),
                Field { is_required: false, ..position },
                of_project,
            ],
            &[],
        )
        .with_errors(&[Refusal::Forbidden])
        .with_reasons(&["cursor_expired"]),
        Call::post("/sync/cursors", "Get the cursors", "The positions of the feeds at this moment.")
            .with_token()
            .with_parameters(&[project])
            .with_result(&[position, of_project], &[])
            .with_errors(&[Refusal::Forbidden]),
    ]
}
