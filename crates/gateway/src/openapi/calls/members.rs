//! `/api/p/{project}/members/...`: the members of a project.

use crate::openapi::{
    call::Call,
    entries::Entries,
    error_response::ErrorResponse,
    examples,
    field::{Field, Shape, optional, required},
};

use super::fields::OTHER_USER;

const ONE_OR_SEVERAL: [Field; 2] = [
    optional(
        "user",
        Shape::Gid(examples::OTHER_USER),
        "The user, if the request has `member`.",
    ),
    optional(
        "users",
        Shape::Gids(examples::OTHER_USER),
        "The users in the order of the request, if it has `members`.",
    ),
];

const MEMBER: Field = optional(
    "member",
    Shape::Gid(examples::OTHER_USER),
    "The gid of one member. If both are given, `members` is ignored.",
);
const MEMBERS: Field = optional(
    "members",
    Shape::Gids(examples::OTHER_USER),
    "The gids of at most 1000 members. One of `member` and `members` is required.",
);
const INVITED: Field = required(
    "username_or_email",
    Shape::Text("ben@example.org"),
    "The username or email address of the user. A person without an account is invited by \
     email address.",
);
const OPTIONS: Field = required(
    "options",
    Shape::MemberOptions,
    "The options to change; absent ones stay unchanged.",
);

pub(super) fn calls() -> Vec<Call> {
    let data = [Entries::Users, Entries::Memberships];
    let call = |path, summary, description| {
        Call::post(path, summary, description)
            .with_token()
            .with_parameters(&[OTHER_USER])
            .with_errors(&[ErrorResponse::Forbidden])
    };
    vec![
        call(
            "/api/p/{project}/members/get",
            "Get members",
            "Returns one or several members, in any status.",
        )
        .with_parameters(&[MEMBER, MEMBERS])
        .with_result(&ONE_OR_SEVERAL, &data)
        .with_reasons(&["member_not_found"]),
        call(
            "/api/p/{project}/members/invite",
            "Invite a user",
            "Invites a user or an email address to the project, and mails a link. A user who is \
             invited already, or who has declined, can be invited again. Only for the owner.",
        )
        .with_parameters(&[INVITED])
        .with_result(&[OTHER_USER], &data)
        .with_reasons(&[
            "user_not_found",
            "already_member",
            "inactive",
            "limit_reached",
        ]),
        call(
            "/api/p/{project}/members/resend_invite",
            "Mail an invitation again",
            "Mails the link of an invitation again. Only for the owner.",
        )
        .with_result(&[OTHER_USER], &data)
        .with_reasons(&[
            "not_a_member",
            "user_not_found",
            "already_member",
            "inactive",
            "api_user",
        ]),
        call(
            "/api/p/{project}/members/remove",
            "Remove a member",
            "Ends the membership of a user. Only for the owner and for the member themself; the \
             owner cannot be removed.",
        )
        .with_reasons(&["not_a_member", "owner", "api_user"]),
        call(
            "/api/p/{project}/members/deactivate",
            "Deactivate a member",
            "Removes the access of a member and keeps the membership. Only for the owner.",
        )
        .with_result(&[OTHER_USER], &data)
        .with_reasons(&["not_a_member", "owner", "not_active", "api_user"]),
        call(
            "/api/p/{project}/members/activate",
            "Activate a member",
            "Restores the access of a deactivated member. Only for the owner.",
        )
        .with_result(&[OTHER_USER], &data)
        .with_reasons(&["not_a_member", "owner", "not_active", "api_user"]),
        call(
            "/api/p/{project}/members/update",
            "Change a membership",
            "Changes the options of a membership. Only the owner can set `rate_limit_per_second`, \
             and only the member `notifications`.",
        )
        .with_parameters(&[OTHER_USER, OPTIONS])
        .with_result(&[OTHER_USER], &[Entries::Memberships])
        .with_reasons(&["not_a_member"])
        .with_validation(&[("email", "invalid")]),
    ]
}
