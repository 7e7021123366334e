//! `/api/users/get`, `/api/members/get`: single users and members.

use crate::openapi::{
    call::Call,
    entries::Entries,
    examples,
    field::{Shape, required},
};

use super::fields::{OTHER_USER, PROJECT};

pub(super) fn calls() -> Vec<Call> {
    let member = required(
        "member",
        Shape::Gid(examples::OTHER_USER),
        "The gid of the member.",
    );
    vec![
        Call::post(
            "/api/users/get",
            "Get a user",
            "Returns a user: the caller complete, and a user who shares a project with the caller \
             short.",
        )
        .with_token()
        .with_parameters(&[OTHER_USER])
        .with_result(&[OTHER_USER], &[Entries::Users])
        .with_reasons(&["user_not_found"]),
        Call::post(
            "/api/members/get",
            "Get a member",
            "Returns a member of a project that is visible to the caller.",
        )
        .with_token()
        .with_parameters(&[PROJECT, member])
        .with_result(&[OTHER_USER], &[Entries::Users, Entries::Memberships])
        .with_reasons(&["member_not_found"]),
    ]
}
