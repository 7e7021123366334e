//! Entries as the command line prints them, with the field names of the HTTP API.

use std::time::{Duration, UNIX_EPOCH};

use doorward_auth::{SigningKey, audit::Record};
use doorward_directory::model::{Membership, Project, User};
use doorward_domain::Timestamp;
use doorward_service_tokens::NamedToken;
use serde_json::{Value, json};

pub(crate) fn user_to_json(user: &User) -> Value {
    json!({
        "gid": user.gid.to_string(), "username": user.username, "email": user.email, "name": user.name,
        "avatar": user.avatar, "status": user.status.as_str(),
        "options": {"language": user.language, "timezone": user.timezone},
    })
}

pub(crate) fn project_to_json(project: &Project) -> Value {
    json!({
        "gid": project.gid.to_string(), "name": project.name, "icon": project.icon,
        "owner": project.owner.to_string(), "status": project.status.as_str(),
    })
}

pub(crate) fn membership_to_json(membership: &Membership) -> Value {
    json!({
        "project_gid": membership.project.to_string(), "user_gid": membership.user.to_string(),
        "status": membership.status.as_str(), "roles": [membership.role.as_str()],
        "options": {"rate_limit_per_second": membership.rate_limit_per_second},
    })
}

/// Converts a signing key. All times are in the format of RFC 3339, here and below.
pub(crate) fn signing_key_to_json(key: &SigningKey) -> Value {
    json!({
        "kid": key.kid, "state": key.state.as_str(), "public_key": key.public_key,
        "created_at": format_time(key.created_at), "verify_until": key.verify_until.map(format_time),
    })
}

pub(crate) fn service_token_to_json(token: &NamedToken) -> Value {
    json!({
        "name": token.name.as_str(),
        "scopes": token.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>(),
        "projects": token.projects.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "created_at": format_time(token.created_at),
    })
}

pub(crate) fn audit_record_to_json(record: &Record) -> Value {
    json!({
        "at": format_time(record.at), "action": record.action, "user": record.user.map(|gid| gid.to_string()),
        "by": record.actor, "project": record.project.map(|gid| gid.to_string()), "address": record.address,
        "request_id": record.request_id,
        "client_request_id": record.client_request_id, "detail": record.detail,
    })
}

fn format_time(at: Timestamp) -> String {
    let micros = u64::try_from(at.as_micros()).unwrap_or_default();
    humantime::format_rfc3339_micros(UNIX_EPOCH + Duration::from_micros(micros)).to_string()
}
