//! `/api/p/{project}/members/...`.

use crate::openapi::{
    call::Call,
    entries::Entries,
    error_response::Refusal,
    examples,
    field::{Field, Shape, optional, required},
};

use super::OTHER_USER;

const ONE_OR_SEVERAL: [Field; 2] = [
    optional(
        "user",
        Shape::Gid(examples::OTHER_USER),
        "When `member` was asked for.",
    ),
    optional(
        "users",
        Shape::Gids(examples::OTHER_USER),
        "When `members` were asked for.",
    ),
];

pub(super) fn calls() -> Vec<Call> {
    let data = [Entries::Users, Entries::Memberships];
    let call = |path, summary, description| {
        Call::post(path, summary, description)
            .with_token()
            .with_parameters(&[OTHER_USER])
            .with_errors(&[Refusal::Forbidden])
    };
    let member = optional(
        "member",
        Shape::Gid(examples::OTHER_USER),
        "One; it wins over `members`.",
    );
    let members = optional(
        "members",
        Shape::Gids(examples::OTHER_USER),
        "Several, at most 1000; one of the two is required.",
    );
    let invited = required(
        "username_or_email",
        Shape::Text("ben@example.org"),
        "Of a user; who is new has an email only.",
    );
    let options = required(
        "options",
        Shape::MemberOptions,
        "What is to be changed; the rest stays.",
    );
    vec![
        call("/api/p/{project}/members/get", "Get members", "One, or several.")
            .with_parameters(&[member, members])
            .with_result(&ONE_OR_SEVERAL, &data)
            .with_reasons(&["member_not_found"]),
        call(
            "/api/p/{project}/members/invite",
            "Invite somebody",
            "The owner may. Mails a link. Who is invited already, or has declined, is invited again.",
        )
        .with_parameters(&[invited])
        .with_result(&[OTHER_USER], &data)
        .with_reasons(&["user_not_found", "already_member", "inactive", "limit_reached"]),
        call("/api/p/{project}/members/resend_invite", "Mail an invitation again", "The owner may.")
            .with_result(&[OTHER_USER], &data)
            .with_reasons(&["not_a_member", "user_not_found", "already_member", "inactive", "api_user"]),
        call("/api/p/{project}/members/remove", "Remove a member", "The owner may, and the member; the owner stays.")
            .with_reasons(&["not_a_member", "owner", "api_user"]),
        call(
            "/api/p/{project}/members/deactivate",
            "Deactivate a member",
            "The owner may. It ends the member's access to the project.",
        )
        .with_result(&[OTHER_USER], &data)
        .with_reasons(&["not_a_member", "owner", "not_active", "api_user"]),
        call("/api/p/{project}/members/activate", "Activate a member", "The owner may.")
            .with_result(&[OTHER_USER], &data)
            .with_reasons(&["not_a_member", "owner", "not_active", "api_user"]),
        call(
            "/api/p/{project}/members/update",
            "Change a membership",
            "The owner may set `rate_limit_per_second`, and the member `notifications`.",
        )
        .with_parameters(&[OTHER_USER, options])
        .with_result(&[OTHER_USER], &[Entries::Memberships])
        .with_reasons(&["not_a_member"])
        .with_validation(&[("email", "invalid")]),
    ]
}
