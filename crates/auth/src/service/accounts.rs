//! The calls of people about their own access.

use doorward_domain::{Email, Username};
use doorward_proto::{Failure, auth::v1 as pb, server::request_id};
use tonic::{Request, Response};

use super::{Answer, Service, gid, stranger};
use crate::{
    accounts::{From, NewPassword, Person, SignupRequest, SignupTry},
    codes::Pair,
};

pub(super) async fn count_question(
    service: &Service,
    request: Request<pb::CountQuestionRequest>,
) -> Answer<pb::CountQuestionResponse> {
    let from = from(&request, &request.get_ref().client_address)?;
    service.accounts.count_question(&from).await.map_err(Failure::from)?;
    Ok(Response::new(pb::CountQuestionResponse {}))
}

pub(super) async fn count_invitation(
    service: &Service,
    request: Request<pb::CountInvitationRequest>,
) -> Answer<pb::CountInvitationResponse> {
    let inviter = gid(&request.get_ref().inviter_gid, "inviter_gid")?;
    service.accounts.count_invitation(inviter).await.map_err(Failure::from)?;
    Ok(Response::new(pb::CountInvitationResponse {}))
}

pub(super) async fn request_signup(
    service: &Service,
    request: Request<pb::RequestSignupRequest>,
) -> Answer<pb::RequestSignupResponse> {
    let from = from(&request, &request.get_ref().client_address)?;
    let request = request.into_inner();
    let signup = SignupRequest {
        username: Username::comparable(&request.username),
        password: request.password,
        email: request.email,
        owners: request.owners.into_iter().map(person).collect::<Result<_, _>>()?,
        language: request.language,
    };
    let validation_code = service.accounts.request_signup(signup, &from).await.map_err(Failure::from)?;
    Ok(Response::new(pb::RequestSignupResponse { validation_code }))
}

pub(super) async fn check_signup(
    service: &Service,
    request: Request<pb::CheckSignupRequest>,
) -> Answer<pb::CheckSignupResponse> {
    let from = from(&request, &request.get_ref().client_address)?;
    let request = request.into_inner();
    let signup = SignupTry {
        username: Username::comparable(&request.username),
        password: request.password,
        email: request.email,
        typed: Pair { validation: request.validation_code, verification: request.verification_code },
    };
    let signup_gid = service.accounts.check_signup(signup, &from).await.map_err(Failure::from)?.to_string();
    Ok(Response::new(pb::CheckSignupResponse { signup_gid }))
}

pub(super) async fn finish_signup(
    service: &Service,
    request: Request<pb::FinishSignupRequest>,
) -> Answer<pb::FinishSignupResponse> {
    let from = from(&request, &request.get_ref().client_address)?;
    let request = request.into_inner();
    let user = gid(&request.user_gid, "user_gid")?;
    let token = service.accounts.finish_signup(request.validation_code, user, &from).await.map_err(Failure::from)?;
    Ok(Response::new(pb::FinishSignupResponse { token }))
}

pub(super) async fn request_password_reset(
    service: &Service,
    request: Request<pb::RequestPasswordResetRequest>,
) -> Answer<pb::RequestPasswordResetResponse> {
    let from = from(&request, &request.get_ref().client_address)?;
    let users = request.into_inner().users.into_iter().map(person).collect::<Result<_, _>>()?;
    let validation_code = service.accounts.request_reset(users, &from).await.map_err(Failure::from)?;
    Ok(Response::new(pb::RequestPasswordResetResponse { validation_code }))
}

pub(super) async fn reset_password(
    service: &Service,
    request: Request<pb::ResetPasswordRequest>,
) -> Answer<pb::ResetPasswordResponse> {
    let from = from(&request, &request.get_ref().client_address)?;
    let request = request.into_inner();
    let user = required_person(request.user)?;
    let typed = Pair { validation: request.validation_code, verification: request.verification_code };
    let token = service.accounts.reset(user, &request.new_password, typed, &from).await;
    let token = token.map_err(|error| Failure::from(error).with_renamed("password", "new_password"))?;
    Ok(Response::new(pb::ResetPasswordResponse { token }))
}

pub(super) async fn change_password(
    service: &Service,
    request: Request<pb::ChangePasswordRequest>,
) -> Answer<pb::ChangePasswordResponse> {
    let from = from(&request, &request.get_ref().client_address)?;
    let request = request.into_inner();
    let new = NewPassword {
        user: required_person(request.user)?,
        hints: request.hints,
        current: request.current_password,
        password: request.password,
        is_check_only: request.check_only,
    };
    let token = service.accounts.change_password(new, &from).await.map_err(Failure::from)?;
    Ok(Response::new(pb::ChangePasswordResponse { token }))
}

pub(super) async fn request_email_change(
    service: &Service,
    request: Request<pb::RequestEmailChangeRequest>,
) -> Answer<pb::RequestEmailChangeResponse> {
    let from = from(&request, &request.get_ref().client_address)?;
    let request = request.into_inner();
    let user = required_person(request.user)?;
    let asked = service.accounts.request_email_change(user, &request.email, &from).await;
    Ok(Response::new(pb::RequestEmailChangeResponse { validation_code: asked.map_err(Failure::from)? }))
}

pub(super) async fn check_email_change(
    service: &Service,
    request: Request<pb::CheckEmailChangeRequest>,
) -> Answer<pb::CheckEmailChangeResponse> {
    let from = from(&request, &request.get_ref().client_address)?;
    let request = request.into_inner();
    let user = gid(&request.user_gid, "user_gid")?;
    let typed = Pair { validation: request.validation_code, verification: request.verification_code };
    service.accounts.check_email_change(user, &request.email, typed, &from).await.map_err(Failure::from)?;
    Ok(Response::new(pb::CheckEmailChangeResponse {}))
}

pub(super) async fn finish_email_change(
    service: &Service,
    request: Request<pb::FinishEmailChangeRequest>,
) -> Answer<pb::FinishEmailChangeResponse> {
    let from = from(&request, &request.get_ref().client_address)?;
    let request = request.into_inner();
    let user = gid(&request.user_gid, "user_gid")?;
    service.accounts.finish_email_change(user, request.validation_code, &from).await.map_err(Failure::from)?;
    Ok(Response::new(pb::FinishEmailChangeResponse {}))
}

pub(super) async fn note_user_deleted(
    service: &Service,
    request: Request<pb::NoteUserDeletedRequest>,
) -> Answer<pb::NoteUserDeletedResponse> {
    let from = from(&request, &request.get_ref().client_address)?;
    let user = gid(&request.get_ref().user_gid, "user_gid")?;
    service.accounts.forget(user, &from.origin).await.map_err(Failure::from)?;
    Ok(Response::new(pb::NoteUserDeletedResponse {}))
}

fn from<T>(request: &Request<T>, client_address: &str) -> Result<From, Failure> {
    let (address, origin) = stranger(client_address, request_id(request))?;
    Ok(From { address, origin })
}

fn required_person(person: Option<pb::Person>) -> Result<Person, Failure> {
    self::person(person.ok_or_else(|| Failure::invalid("user"))?)
}

fn person(person: pb::Person) -> Result<Person, Failure> {
    Ok(Person {
        gid: gid(&person.user_gid, "user.user_gid")?,
        username: person.username,
        // An address that an earlier release accepted and this one does not gets no email.
        email: person.email.as_deref().and_then(|email| Email::parse(email).ok()),
        name: person.name,
        language: person.language,
    })
}
