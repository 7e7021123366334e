//! `/api/account/accept_invite` and its like; `/api/init_invite` and `/api/decline_invite`.

use crate::openapi::{
    call::{Call, Renewal},
    entries::Entries,
    error_response::Refusal,
    examples,
    field::{Shape, required},
};

use super::{OTHER_USER, PROJECT};

pub(super) fn calls() -> Vec<Call> {
    let invitee = required(
        "invitee",
        Shape::Gid(examples::OTHER_USER),
        "The random UUID of the invitation, from the link in the email.",
    );
    let has_account = required(
        "has_account",
        Shape::Switch(false),
        "Whether they can log in, or have to sign up first.",
    );
    vec![
        Call::post(
            "/api/init_invite",
            "See an invitation",
            "What the link in the mail leads to.",
        )
        .with_parameters(&[invitee, PROJECT])
        .with_result(
            &[OTHER_USER, PROJECT, has_account],
            &[
                Entries::ShortUsers,
                Entries::ShortProjects,
                Entries::ShortMemberships,
            ],
        )
        .with_errors(&[Refusal::Unavailable])
        .with_reasons(&["not_invited", "already_member"])
        .with_invite_invalid(),
        Call::post(
            "/api/decline_invite",
            "Decline an invitation by its link",
            "Without an account.",
        )
        .with_parameters(&[invitee, PROJECT])
        .with_result(&[PROJECT], &[Entries::ShortMemberships])
        .with_errors(&[Refusal::Unavailable])
        .with_reasons(&["not_invited", "already_member"]),
        Call::post(
            "/api/account/accept_invite",
            "Accept an invitation",
            "The caller is an active member at once.",
        )
        .changes_data()
        .with_parameters(&[PROJECT])
        .with_result(&[PROJECT], &[Entries::FullProject, Entries::Memberships])
        .renewal(Renewal::Always)
        .with_errors(&[Refusal::Forbidden])
        .with_reasons(&["not_invited", "already_member"])
        .with_invite_invalid(),
        Call::post(
            "/api/account/decline_invite",
            "Decline an invitation",
            "The membership stays, declined.",
        )
        .changes_data()
        .with_parameters(&[PROJECT])
        .with_result(&[PROJECT], &[Entries::Memberships])
        .with_errors(&[Refusal::Forbidden])
        .with_reasons(&["not_invited", "already_member"]),
        Call::post(
            "/api/account/leave_project",
            "Leave a project",
            "Its owner can't.",
        )
        .changes_data()
        .with_parameters(&[PROJECT])
        .renewal(Renewal::Always)
        .with_errors(&[Refusal::Forbidden])
        .with_reasons(&["owner", "not_a_member"]),
    ]
}
