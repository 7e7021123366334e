//! Calls of the invitee: `/api/account/accept_invite`, `/decline_invite` and `/leave_project`;
//! `/api/init_invite` and `/api/decline_invite`.

use crate::openapi::{
    call::{Call, Renewal},
    entries::Entries,
    error_response::ErrorResponse,
    examples,
    field::{Shape, required},
};

use super::fields::{OTHER_USER, PROJECT};

pub(super) fn calls() -> Vec<Call> {
    let invitee = required(
        "invitee",
        Shape::Gid(examples::OTHER_USER),
        "The random UUID of the invitation, from the link in the email.",
    );
    let has_account = required(
        "has_account",
        Shape::Switch(false),
        "Whether the invitee has an account. If not, the invitee must sign up before accepting.",
    );
    vec![
        Call::post(
            "/api/init_invite",
            "See an invitation",
            "Returns the invitation that the link in the email names, for the page that the link \
             opens.",
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
        .with_errors(&[ErrorResponse::Unavailable])
        .with_reasons(&["not_invited", "already_member"])
        .with_invite_invalid(),
        Call::post(
            "/api/decline_invite",
            "Decline an invitation by its link",
            "Declines an invitation with the link in the email, without an account.",
        )
        .with_parameters(&[invitee, PROJECT])
        .with_result(&[PROJECT], &[Entries::ShortMemberships])
        .with_errors(&[ErrorResponse::Unavailable])
        .with_reasons(&["not_invited", "already_member"]),
        Call::post(
            "/api/account/accept_invite",
            "Accept an invitation",
            "Accepts an invitation of the caller, who becomes an active member.",
        )
        .changes_data()
        .with_parameters(&[PROJECT])
        .with_result(&[PROJECT], &[Entries::FullProject, Entries::Memberships])
        .renewal(Renewal::Always)
        .with_errors(&[ErrorResponse::Forbidden])
        .with_reasons(&["not_invited", "already_member"])
        .with_invite_invalid(),
        Call::post(
            "/api/account/decline_invite",
            "Decline an invitation",
            "Declines an invitation of the caller. The membership stays with the status \
             `declined`, and the owner can invite again.",
        )
        .changes_data()
        .with_parameters(&[PROJECT])
        .with_result(&[PROJECT], &[Entries::Memberships])
        .with_errors(&[ErrorResponse::Forbidden])
        .with_reasons(&["not_invited", "already_member"]),
        Call::post(
            "/api/account/leave_project",
            "Leave a project",
            "Ends the membership of the caller in the project. The owner of a project cannot leave \
             it.",
        )
        .changes_data()
        .with_parameters(&[PROJECT])
        .renewal(Renewal::Always)
        .with_errors(&[ErrorResponse::Forbidden])
        .with_reasons(&["owner", "not_a_member"]),
    ]
}
