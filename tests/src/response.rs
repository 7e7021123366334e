//! An unchanged HTTP response, with assertions for each kind of response in the contract of the
//! HTTP API: the envelope, headers, error codes and messages.

use http::{HeaderMap, HeaderValue};
use hyper::body::Bytes;
use serde_json::{Value, json};

/// A complete response.
#[derive(Debug, Clone)]
pub struct Response {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Response {
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("the body is not JSON: {error}\n{self:?}"))
    }

    /// Returns a header, which must not be repeated.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let values: Vec<&HeaderValue> = self.headers.get_all(name).iter().collect();
        assert!(values.len() <= 1, "{name} is sent {} times", values.len());
        values.first().map(|value| value.to_str().expect("ASCII"))
    }

    /// Returns the token of a login. The header has no `Bearer` prefix in responses.
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
            "{token} is not a bare token"
        );
        token.to_owned()
    }

    /// Asserts a success in the envelope and returns its `result` and `data`.
    pub fn success(&self) -> (Value, Value) {
        assert_eq!(self.status, 200, "{self:?}");
        self.assert_envelope();
        let json = self.json();
        assert_eq!(json["success"], json!(true));
        (json["result"].clone(), json["data"].clone())
    }

    /// Asserts the complete response of an error.
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

    /// Asserts a 400 for a body that is not a JSON object. The text of the reason is not part of
    /// the contract.
    pub fn assert_invalid_body(&self) {
        let json = self.json();
        let reason = json["result"]["info"]["Invalid body"]
            .as_str()
            .unwrap_or_else(|| panic!("no reason: {self:?}"));
        assert!(!reason.is_empty());
        self.assert_error(400, "Bad request", &json!({"Invalid body": reason}));
    }

    /// Asserts the 401 that is the same for every rejected token.
    pub fn assert_unauthenticated(&self) {
        self.assert_error(401, "Permission denied", &json!({}));
        assert_eq!(
            self.header("www-authenticate"),
            Some(r#"Bearer realm="JWT access to Doorward.""#)
        );
    }

    /// Asserts the 403 that is the same for every failed login.
    pub fn assert_unknown_user(&self) {
        self.assert_error(403, "Unknown user", &json!({}));
    }

    /// Asserts the 403 of an authenticated caller without access.
    pub fn assert_forbidden(&self) {
        self.assert_error(403, "Forbidden", &json!({}));
    }

    /// Asserts a 422 for a rule that the call breaks.
    pub fn assert_unprocessable(&self, reason: &str) {
        self.assert_error(422, "Unprocessable entity", &json!({"reason": reason}));
    }

    /// Asserts error 1004 for an invitation that is no longer open.
    pub fn assert_invite_invalid(&self) {
        self.assert_error_result(
            422,
            &json!({"code": 1004, "message": "Invite invalid", "info": {}}),
        );
    }

    /// Asserts error 1001 for the value of a field.
    pub fn assert_validation_error(&self, field: &str, reason: &str) {
        self.assert_error_result(
            422,
            &json!({"code": 1001, "message": "Validation error", "info": {field: reason}}),
        );
    }

    /// Asserts error 1001 for a weak password, with a warning and suggestions.
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

    /// Asserts error 1001 for a code that is wrong, used, expired or sent with other data than in
    /// the first step.
    pub fn assert_code_rejected(&self) {
        self.assert_validation_error("verification_code", "incorrect");
    }

    /// Asserts a 400 for the first parameter that is missing or invalid.
    pub fn assert_bad_parameter(&self, reason: &str, name: &str) {
        self.assert_error(400, "Bad request", &json!({reason: name}));
    }

    /// Asserts the 429 of an attempt during a wait of the throttle and returns the seconds to wait.
    pub fn assert_throttled(&self) -> u32 {
        self.assert_error(429, "Too many requests", &json!({}));
        let wait = self
            .header("retry-after")
            .and_then(|wait| wait.parse().ok());
        wait.filter(|wait| *wait > 0)
            .unwrap_or_else(|| panic!("Retry-After: {self:?}"))
    }

    /// Asserts a 503 with a `Retry-After`.
    pub fn assert_unavailable(&self) {
        self.assert_error(503, "Service unavailable", &json!({}));
    }

    /// Asserts the headers and members of every response of `/api`.
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
