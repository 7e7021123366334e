//! The response with status 422: code 422 with a reason, and the codes from 1000 up.

use doorward_domain::ErrorCode;
use doorward_rpc::RpcError;
use serde_json::{Map, Value, json};
use utoipa::openapi::Response;

use super::{
    builders::{object, reference, text},
    error_response::{described, example, schema},
};
use crate::http::envelope::ApiError;

/// Reasons for which a call is answered with status 422.
#[derive(Default)]
pub(super) struct Unprocessable {
    pub(super) reasons: Vec<&'static str>,
    /// Fields and their reasons (1001).
    pub(super) validations: Vec<(&'static str, &'static str)>,
    /// Whether the call can fail with 1004.
    pub(super) invite_invalid: bool,
}

impl Unprocessable {
    /// Returns an example of each code, with its info.
    pub(super) fn examples(&self) -> Vec<Value> {
        let new = |code, info: Value| {
            let (code, message) = ApiError::from(RpcError::new(code)).code_and_message();
            example(code, message, &info)
        };
        let mut all = Vec::new();
        if let Some(reason) = self.reasons.first() {
            all.push(new(ErrorCode::Unprocessable, json!({"reason": reason})));
        }
        if let Some((field, reason)) = self.validations.first() {
            let mut info = Map::from_iter([((*field).to_owned(), json!(reason))]);
            if *reason == "weak" {
                info.insert(
                    "feedback".to_owned(),
                    json!({"warning": "This is a top-10 common password.", "suggestions": []}),
                );
            }
            all.push(new(ErrorCode::Validation, info.into()));
        }
        if self.invite_invalid {
            all.push(new(ErrorCode::InviteInvalid, json!({})));
        }
        all
    }

    /// Returns a description of all codes.
    pub(super) fn description(&self) -> String {
        let mut parts = Vec::new();
        if !self.reasons.is_empty() {
            let reasons: Vec<String> = self
                .reasons
                .iter()
                .map(|reason| format!("`{reason}`"))
                .collect();
            parts.push(format!(
                "422 with one of these as `reason`: {}",
                reasons.join(", ")
            ));
        }
        if !self.validations.is_empty() {
            let fields: Vec<String> = self
                .validations
                .iter()
                .map(|(field, reason)| format!("`{field}`: `{reason}`"))
                .collect();
            parts.push(format!(
                "1001 with the reason by field: {}",
                fields.join(", ")
            ));
        }
        if self.invite_invalid {
            parts.push(
                "1004: the invitation was declined, or the membership was deactivated".to_owned(),
            );
        }
        format!("{}.", parts.join(". "))
    }

    /// Returns the response, or `None` if the call is never answered with 422.
    pub(super) fn response(&self) -> Option<Response> {
        let examples = self.examples();
        let first = examples.first()?.clone();
        let codes: Vec<u16> = examples
            .iter()
            .filter_map(|one| one.pointer("/result/code")?.as_u64()?.try_into().ok())
            .collect();
        let messages: Vec<&str> = examples
            .iter()
            .filter_map(|one| one.pointer("/result/message")?.as_str())
            .collect();
        let mut info = Vec::new();
        if !self.reasons.is_empty() {
            info.push((
                "reason",
                false,
                text()
                    .enum_values(Some(self.reasons.iter().copied()))
                    .into(),
            ));
        }
        for (index, (field, _)) in self.validations.iter().enumerate() {
            if self
                .validations
                .iter()
                .take(index)
                .all(|(earlier, _)| earlier != field)
            {
                let reasons = self
                    .validations
                    .iter()
                    .filter(|(other, _)| other == field)
                    .map(|(_, reason)| *reason);
                info.push((*field, false, text().enum_values(Some(reasons)).into()));
            }
        }
        if self.validations.iter().any(|(_, reason)| *reason == "weak") {
            info.push(("feedback", false, reference("Feedback")));
        }
        let schema = schema(&codes, &messages, object(info, true).into());
        Some(described(&self.description(), schema, first).build())
    }
}
