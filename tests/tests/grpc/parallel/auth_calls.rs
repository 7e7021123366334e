//! Calls of all RPCs of auth.

use doorward_domain::{Clock, IdGenerator, RandomIdGenerator, SystemClock};
use doorward_rpc::{
    Rpc,
    auth::v1::{
        Actor, ApiUserChange, ChangePasswordRequest, CompleteEmailChangeRequest,
        CompleteSignupRequest, CountAnonymousCallRequest, CountInvitationRequest,
        FindApiKeyRequest, GetApiKeyRequest, GetPublicKeysRequest, RenewTokenRequest,
        ReportApiUserChangeRequest, ReportInvitationDeclinedRequest, ReportUserDeletedRequest,
        ResetPasswordRequest, RevokeTokenRequest, RotateApiKeyRequest, VerifyApiKeyRequest,
        VerifyEmailChangeRequest, VerifyPasswordRequest, VerifySignupRequest, VerifyTokenRequest,
        WatchTrustRequest,
    },
};
use doorward_tests::PASSWORD;

use crate::grpc::parallel::{
    row::{Row, row},
    scene::{
        ADDRESS, Fixture, NEW_ADDRESS, email_change_request, person, reset_request, signup_request,
    },
};

fn actor(gid: &str) -> Option<Actor> {
    Some(Actor {
        user_gid: Some(gid.to_owned()),
        client_address: ADDRESS.to_owned(),
    })
}

fn now() -> i64 {
    SystemClock.now().as_micros()
}

fn verify_password(gid: &str, password: &str) -> VerifyPasswordRequest {
    VerifyPasswordRequest {
        user_gid: Some(gid.to_owned()),
        password: password.to_owned(),
        client_address: ADDRESS.to_owned(),
        user_checked_at: now(),
        username: "ben".to_owned(),
        is_login_allowed: true,
        ..VerifyPasswordRequest::default()
    }
}

pub(super) fn logins(scene: &Fixture) -> Vec<Row> {
    let ben = scene.ben.clone();
    let ben_again = scene.ben.clone();
    let project = scene.project.clone();
    let api_user = scene.api_user.clone();
    let key = scene.api_key.clone();
    let verify_key = move |key: String| VerifyApiKeyRequest {
        api_key: key,
        project_gid: project.clone(),
        user_gid: Some(api_user.clone()),
        user_checked_at: now(),
        client_address: ADDRESS.to_owned(),
    };
    let verify_wrong_key = verify_key.clone();
    let find = FindApiKeyRequest {
        api_key: key.clone(),
        client_address: ADDRESS.to_owned(),
    };
    let token = scene.token.clone();
    let renew = RenewTokenRequest {
        token: token.clone(),
    };
    let verify = VerifyTokenRequest { token };
    let get = GetApiKeyRequest {
        user_gid: scene.api_user.clone(),
        project_gid: scene.project.clone(),
        actor: actor(&scene.ann),
    };
    vec![
        row(Rpc::AuthVerifyPassword, move |_| {
            verify_password(&ben, PASSWORD)
        }),
        row(Rpc::AuthVerifyPassword, move |_| {
            verify_password(&ben_again, "a wrong password")
        }),
        row(Rpc::AuthFindApiKey, move |_| find.clone()),
        row(Rpc::AuthVerifyApiKey, move |_| verify_key(key.clone())),
        row(Rpc::AuthVerifyApiKey, move |_| {
            verify_wrong_key("dw_none".to_owned())
        }),
        row(Rpc::AuthGetApiKey, move |_| get.clone()),
        row(Rpc::AuthRenewToken, move |_| renew.clone()),
        row(Rpc::AuthVerifyToken, move |_| verify.clone()),
        row(Rpc::AuthGetPublicKeys, |_| GetPublicKeysRequest {}),
        row(Rpc::AuthWatchTrust, |_| WatchTrustRequest {}),
        row(Rpc::AuthCountAnonymousCall, |_| CountAnonymousCallRequest {
            client_address: ADDRESS.to_owned(),
        }),
    ]
}

pub(super) fn accounts(scene: &Fixture) -> Vec<Row> {
    let ben = person(&scene.ben, "ben");
    let signup = signup_request();
    let check_signup = VerifySignupRequest {
        username: signup.username,
        password: signup.password,
        email: signup.email,
        validation_code: scene.signup.validation.clone(),
        verification_code: scene.signup.verification.clone(),
        client_address: ADDRESS.to_owned(),
    };
    let wrong_signup = VerifySignupRequest {
        verification_code: "000000".to_owned(),
        ..check_signup.clone()
    };
    let finish_signup = CompleteSignupRequest {
        validation_code: scene.signup.validation.clone(),
        user_gid: RandomIdGenerator.new_gid().to_string(),
        client_address: ADDRESS.to_owned(),
    };
    let check_email = VerifyEmailChangeRequest {
        user_gid: scene.ben.clone(),
        email: NEW_ADDRESS.to_owned(),
        validation_code: scene.email_change.validation.clone(),
        verification_code: scene.email_change.verification.clone(),
        client_address: ADDRESS.to_owned(),
    };
    let finish_email = CompleteEmailChangeRequest {
        user_gid: scene.ben.clone(),
        validation_code: scene.email_change.validation.clone(),
        client_address: ADDRESS.to_owned(),
    };
    let reset = ResetPasswordRequest {
        user: Some(ben.clone()),
        new_password: PASSWORD.to_owned(),
        validation_code: scene.reset.validation.clone(),
        verification_code: scene.reset.verification.clone(),
        client_address: ADDRESS.to_owned(),
    };
    let change = ChangePasswordRequest {
        user: Some(ben),
        current_password: Some(PASSWORD.to_owned()),
        password: Some(PASSWORD.to_owned()),
        client_address: ADDRESS.to_owned(),
        ..ChangePasswordRequest::default()
    };
    let inviter = scene.ann.clone();
    let ask_reset = reset_request(&scene.ben, "ben");
    let ask_email = email_change_request(&scene.ben, "ben");
    vec![
        row(Rpc::AuthVerifySignup, move |_| wrong_signup.clone()),
        row(Rpc::AuthVerifySignup, move |_| check_signup.clone()),
        row(Rpc::AuthCompleteSignup, move |_| finish_signup.clone()),
        row(Rpc::AuthVerifyEmailChange, move |_| check_email.clone()),
        row(Rpc::AuthCompleteEmailChange, move |_| finish_email.clone()),
        row(Rpc::AuthResetPassword, move |_| reset.clone()),
        row(Rpc::AuthChangePassword, move |_| change.clone()),
        row(Rpc::AuthRequestSignup, |_| signup_request()),
        row(Rpc::AuthRequestPasswordReset, move |_| ask_reset.clone()),
        row(Rpc::AuthRequestEmailChange, move |_| ask_email.clone()),
        row(Rpc::AuthCountInvitation, move |_| CountInvitationRequest {
            inviter_gid: inviter.clone(),
        }),
    ]
}

pub(super) fn removals(scene: &Fixture) -> Vec<Row> {
    let user = scene.api_user.clone();
    let project = scene.project.clone();
    let owner = scene.ann.clone();
    let rotate = RotateApiKeyRequest {
        user_gid: user.clone(),
        project_gid: project.clone(),
        actor: actor(&scene.ann),
    };
    let report = move |number: usize| {
        let event = if number.is_multiple_of(2) {
            ApiUserChange::Deactivated
        } else {
            ApiUserChange::Deleted
        };
        ReportApiUserChangeRequest {
            user_gid: user.clone(),
            project_gid: project.clone(),
            actor: actor(&owner),
            change: event.into(),
        }
    };
    let token = scene.token.clone();
    let revoke = move |number: usize| RevokeTokenRequest {
        token: token.clone(),
        all_logins: number.is_multiple_of(2),
        client_address: ADDRESS.to_owned(),
    };
    let declined = ReportInvitationDeclinedRequest {
        user_gid: scene.ann.clone(),
        project_gid: scene.project.clone(),
        actor: actor(&scene.ann),
    };
    let deleted = ReportUserDeletedRequest {
        user_gid: scene.dan.clone(),
        client_address: ADDRESS.to_owned(),
    };
    vec![
        row(Rpc::AuthRotateApiKey, move |_| rotate.clone()),
        row(Rpc::AuthReportApiUserChange, report),
        row(Rpc::AuthRevokeToken, revoke),
        row(Rpc::AuthReportInvitationDeclined, move |_| declined.clone()),
        row(Rpc::AuthReportUserDeleted, move |_| deleted.clone()),
    ]
}
