//! `/api/users/get`, `/api/members/get`.

use crate::openapi::{
    call::Call,
    entries::Entries,
    examples,
    field::{Shape, required},
};

use crate::openapi::calls::{OTHER_USER, PROJECT};

pub(crate) fn calls() -> Vec<Call> {
    let member = required("member", Shape::Gid(examples::OTHER_USER), "The user.");
    vec![
        Call::post(
            "/api/users/get",
            "Get a user",
            "Complete for the caller, short for those whom they share a project with.",
        )
        .with_token()
        .with_parameters(&[OTHER_USER])
        .with_result(&[OTHER_USER], &[Entries::Users])
        .with_reasons(&["user_not_found"]),
        Call::post(
            "/api/members/get",
            "Get a member",
            "Of a project that the caller sees.",
        )
        .with_token()
        .with_parameters(&[PROJECT, member])
        .with_result(&[OTHER_USER], &[Entries::Users, Entries::Memberships])
        .with_reasons(&["member_not_found"]),
    ]
}
