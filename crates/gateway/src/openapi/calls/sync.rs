//! `/sync/get`, `/sync/cursors`: the changes since a cursor.

use crate::openapi::{
    call::Call,
    error_response::ErrorResponse,
    examples,
    field::{Field, Shape, optional, required},
};

pub(super) fn calls() -> Vec<Call> {
    let project = optional(
        "project",
        Shape::Gid(examples::PROJECT),
        "A project of which the caller is an active member, for its own feed.",
    );
    let position: Field = required(
        "cc.cursor",
        Shape::Cursor(4132),
        "The position in the global feed.",
    );
    let project_cursor = optional(
        "cursor",
        Shape::Cursor(4132),
        "The position in the project's feed, if the request has `project`.",
    );
    vec![
        Call::post(
            "/sync/get",
            "Get what has changed",
            "Returns the rows after the cursors, in order, at most 1,000. Continue from the cursor \
             of the last row of each `type`. Only if there are no rows, `cc.cursor` and `cursor` \
             have the positions from which to continue.",
        )
        .with_token()
        .with_parameters(&[
            optional(
                "cc_cursor",
                Shape::Cursor(4132),
                "The last cursor of the global feed that the client has. If it is absent, no rows \
                 of this feed are returned.",
            ),
            project,
            optional(
                "cursor",
                Shape::Cursor(4132),
                "The last cursor of the project's feed that the client has. If it is absent, no \
                 rows of this feed are returned.",
            ),
        ])
        .with_result(
            &[
                required("sync", Shape::Rows, "The changed entries, in order."),
                optional(
                    "warning",
                    Shape::Text("more data"),
                    "Present if there are more rows: call again.",
                ),
                Field {
                    is_required: false,
                    ..position
                },
                project_cursor,
            ],
            &[],
        )
        .with_errors(&[ErrorResponse::Forbidden])
        .with_reasons(&["cursor_expired"]),
        Call::post(
            "/sync/cursors",
            "Get the cursors",
            "Returns the present positions of the feeds.",
        )
        .with_token()
        .with_parameters(&[project])
        .with_result(&[position, project_cursor], &[])
        .with_errors(&[ErrorResponse::Forbidden]),
    ]
}
