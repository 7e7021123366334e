//! An answer as it came, and what the contract says of every answer of its kind.

use http::{HeaderMap, HeaderValue};
use hyper::body::Bytes;
use serde_json::{Value, json};

#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("no JSON: {error}\n{self:?}"))
    }

    /// A header that is there at most once.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let values: Vec<&HeaderValue> = self.headers.get_all(name).iter().collect();
        assert!(values.len() <= 1, "{name} comes {} times", values.len());
        values.first().map(|value| value.to_str().expect("ASCII"))
    }

    /// The bare token of a login-like answer.
    pub fn token(&self) -> String {
        assert_eq!(self.status, 200, "{self:?}");
        let token = self
            .header("authorization")
            .unwrap_or_else(|| panic!("no token: {self:?}"));
        assert_eq!(
            token
                .split('.')
                .filter(|part| !part.is_empty() && !part.contains(' '))
                .count(),
            3,
            "{token} is no bare token"
        );
        token.to_owned()
    }

    /// A success in the envelope: its `result` and `data`.
    pub fn success(&self) -> (Value, Value) {
        assert_eq!(self.status, 200, "{self:?}");
        self.assert_envelope();
        let json = self.json();
        assert_eq!(json["success"], json!(true));
        (json["result"].clone(), json["data"].clone())
    }

    /// An error: the whole answer.
    pub fn assert_error(&self, status: u16, message: &str, info: &Value) {
        self.assert_error_result(
            status,
            &json!({"code": status, "message": message, "info": info}),
        );
    }

    fn assert_error_result(&self, status: u16, result: &Value) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(
            self.json(),
            json!({"success": false, "result": result, "data": {}})
        );
        self.assert_envelope();
        assert_eq!(self.header("authorization"), None);
        if [429, 503].contains(&status) {
            let wait = self
                .header("retry-after")
                .unwrap_or_else(|| panic!("no Retry-After: {self:?}"));
            assert!(wait.parse::<u32>().is_ok(), "Retry-After: {wait}");
        }
    }

    /// 400 for a body that is no JSON object; the reason is free.
    pub fn assert_invalid_body(&self) {
        let json = self.json();
        let reason = json["result"]["info"]["Invalid body"]
            .as_str()
            .unwrap_or_else(|| panic!("no reason: {self:?}"));
        assert!(!reason.is_empty());
        self.assert_error(400, "Bad request", &json!({"Invalid body": reason}));
    }

    /// 401 as every refusal of a token looks.
    pub fn assert_unauthenticated(&self) {
        self.assert_error(401, "Permission denied", &json!({}));
        assert_eq!(
            self.header("www-authenticate"),
            Some(r#"Bearer realm="JWT access to Doorward.""#)
        );
    }

    /// 403 as every failed login looks.
    pub fn assert_unknown_user(&self) {
        self.assert_error(403, "Unknown user", &json!({}));
    }

    /// 403 for somebody who is known.
    pub fn assert_forbidden(&self) {
        self.assert_error(403, "Forbidden", &json!({}));
    }

    /// 422 for what can't be done with what was named.
    pub fn assert_unprocessable(&self, reason: &str) {
        self.assert_error(422, "Unprocessable entity", &json!({"reason": reason}));
    }

    /// 1004 for an invitation that is not open any more.
    pub fn assert_invite_invalid(&self) {
        self.assert_error_result(
            422,
            &json!({"code": 1004, "message": "Invite invalid", "info": {}}),
        );
    }

    /// 1001 for a field's data.
    pub fn assert_validation_error(&self, field: &str, reason: &str) {
        self.assert_error_result(
            422,
            &json!({"code": 1001, "message": "Validation error", "info": {field: reason}}),
        );
    }

    /// 1001 for a password that would be guessed soon, with what helps to choose a better one.
    pub fn assert_weak(&self, field: &str) {
        let feedback = self.json()["result"]["info"]["feedback"].clone();
        let suggestions = feedback["suggestions"]
            .as_array()
            .unwrap_or_else(|| panic!("no suggestions: {self:?}"));
        assert!(
            suggestions
                .iter()
                .all(|suggestion| suggestion.as_str().is_some_and(|text| !text.is_empty()))
        );
        assert!(feedback["warning"].is_string(), "{feedback}");
        assert_eq!(
            feedback.as_object().map(serde_json::Map::len),
            Some(2),
            "{feedback}"
        );
        let info = json!({field: "weak", "feedback": feedback});
        self.assert_error_result(
            422,
            &json!({"code": 1001, "message": "Validation error", "info": info}),
        );
    }

    /// 1001 for a code that is wrong, used or too old, or comes with something else than before.
    pub fn assert_code_rejected(&self) {
        self.assert_validation_error("verification_code", "incorrect");
    }

    /// 400 for the first parameter that is not as it should be.
    pub fn assert_bad_parameter(&self, reason: &str, name: &str) {
        self.assert_error(400, "Bad request", &json!({reason: name}));
    }

    /// 429 as every attempt during a wait of the throttle looks: the seconds to wait.
    pub fn assert_throttled(&self) -> u32 {
        self.assert_error(429, "Too many requests", &json!({}));
        let wait = self
            .header("retry-after")
            .and_then(|wait| wait.parse().ok());
        wait.filter(|wait| *wait > 0)
            .unwrap_or_else(|| panic!("Retry-After: {self:?}"))
    }

    /// 503, with a time to come back.
    pub fn assert_unavailable(&self) {
        self.assert_error(503, "Service unavailable", &json!({}));
    }

    /// What every answer of `/api` has.
    fn assert_envelope(&self) {
        let media_type = self.header("content-type").unwrap_or_default();
        assert!(
            media_type.split(';').next() == Some("application/json"),
            "Content-Type: {media_type}"
        );
        assert_eq!(self.header("cache-control"), Some("no-store"), "{self:?}");
        assert!(
            self.header("x-request-id").is_some_and(|id| !id.is_empty()),
            "no x-request-id: {self:?}"
        );
        let json = self.json();
        let members: Vec<&String> = json.as_object().expect("an object").keys().collect();
        assert_eq!(members, ["success", "result", "data"]);
    }
}
