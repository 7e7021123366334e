//! The error responses of calls, except 422. Codes and messages come from the envelope of the API,
//! so they cannot differ from what the server sends.

use doorward_domain::ErrorCode;
use doorward_rpc::RpcError;
use serde_json::{Value, json};
use utoipa::openapi::{
    ContentBuilder, Object, Ref, RefOr, Response, ResponseBuilder, Schema, Type,
};

use super::{
    builders::{map, object, of, success, text},
    headers::reference as header_reference,
};
use crate::http::envelope::ApiError;

/// Error response, in the order of the codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ErrorResponse {
    BadRequest,
    Unauthenticated,
    UnknownUser,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    PayloadTooLarge,
    UnsupportedMediaType,
    RangeNotSatisfiable,
    Throttled,
    Internal,
    Unavailable,
}

impl ErrorResponse {
    pub(super) const ALL: [Self; 12] = [
        Self::BadRequest,
        Self::Unauthenticated,
        Self::UnknownUser,
        Self::Forbidden,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::PayloadTooLarge,
        Self::UnsupportedMediaType,
        Self::RangeNotSatisfiable,
        Self::Throttled,
        Self::Internal,
        Self::Unavailable,
    ];

    /// Returns an error that has this response.
    fn api_error(self) -> ApiError {
        let rpc_error = |code| RpcError::new(code).into();
        match self {
            Self::BadRequest => rpc_error(ErrorCode::InvalidRequest),
            Self::Unauthenticated => rpc_error(ErrorCode::Unauthenticated),
            Self::UnknownUser => rpc_error(ErrorCode::UnknownUser),
            Self::Forbidden => rpc_error(ErrorCode::Forbidden),
            Self::NotFound => rpc_error(ErrorCode::NotFound),
            Self::MethodNotAllowed => ApiError::MethodNotAllowed(""),
            Self::PayloadTooLarge => ApiError::PayloadTooLarge,
            Self::UnsupportedMediaType => ApiError::UnsupportedMediaType,
            Self::RangeNotSatisfiable => ApiError::RangeNotSatisfiable(0),
            Self::Throttled => rpc_error(ErrorCode::Throttled),
            Self::Internal => rpc_error(ErrorCode::Internal),
            Self::Unavailable => rpc_error(ErrorCode::Unavailable),
        }
    }

    pub(super) fn code(self) -> u16 {
        self.api_error().code_and_message().0
    }

    pub(super) fn message(self) -> &'static str {
        self.api_error().code_and_message().1
    }

    /// Returns the name of the component: the message without spaces.
    pub(super) fn component(self) -> String {
        self.message().split(' ').map(capitalized).collect()
    }

    pub(super) const fn description(self) -> &'static str {
        match self {
            Self::BadRequest => {
                "A parameter is missing, or has the wrong type or value; only the first such \
                 parameter is reported. Or the body is not a JSON object or not a form."
            }
            Self::Unauthenticated => {
                "The token is missing, malformed, expired or revoked, or its user is no longer \
                 active."
            }
            Self::UnknownUser => {
                "The login failed: unknown user, wrong password, a user who is not active, or an \
                 unknown or inactive API key. For a project login also: the user is not an active \
                 member, or the project does not exist. All these cases have the same response."
            }
            Self::Forbidden => {
                "The caller is not allowed to do this. The response is the same if the entry does \
                 not exist."
            }
            Self::NotFound => "The path or the picture does not exist.",
            Self::MethodNotAllowed => "The path exists with other methods, which `Allow` lists.",
            Self::PayloadTooLarge => {
                "The body has more than 1 MiB, or the file more than 10,000,000 bytes. The \
                 connection is closed."
            }
            Self::UnsupportedMediaType => {
                "The body is not `application/json` or, for files, not `multipart/form-data`; or \
                 it has a content coding other than `identity`."
            }
            Self::RangeNotSatisfiable => {
                "The picture does not have the requested range. `Content-Range` has its size."
            }
            Self::Throttled => {
                "Too many failed logins, anonymous calls, codes or mails; more requests per second \
                 than the member is allowed to make in the project; or the write budget of the \
                 user is used up. `Retry-After` says when to try again."
            }
            Self::Internal => {
                "An error in the server. Its log has the cause, under the `x-request-id` of the \
                 response."
            }
            Self::Unavailable => {
                "A part of the server is unavailable or overloaded, or no mail server is \
                 configured. `Retry-After` says when to try again."
            }
        }
    }

    fn info(self) -> Value {
        if self == Self::BadRequest {
            json!({"Missing parameter": "username"})
        } else {
            json!({})
        }
    }

    pub(super) fn example(self) -> Value {
        example(self.code(), self.message(), &self.info())
    }

    pub(super) fn reference(self) -> Ref {
        Ref::from_response_name(self.component())
    }

    /// Returns the component.
    pub(super) fn response(self) -> Response {
        let names: &[&str] = if self == Self::BadRequest {
            &["Missing parameter", "Invalid parameter", "Invalid body"]
        } else {
            &[]
        };
        let info = names.iter().map(|name| (*name, false, text().into()));
        let schema = schema(&[self.code()], &[self.message()], object(info, true).into());
        let mut response = described(self.description(), schema, self.example());
        let header = match self {
            Self::Unauthenticated => Some("WWW-Authenticate"),
            Self::MethodNotAllowed => Some("Allow"),
            Self::Throttled | Self::Unavailable => Some("Retry-After"),
            Self::RangeNotSatisfiable => Some("Content-Range"),
            Self::BadRequest
            | Self::UnknownUser
            | Self::Forbidden
            | Self::NotFound
            | Self::PayloadTooLarge
            | Self::UnsupportedMediaType
            | Self::Internal => None,
        };
        if let Some(header) = header {
            response = response.header_ref(header, header_reference(header));
        }
        response.build()
    }
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .chain(letters)
        .collect()
}

/// Starts a response with a description, a schema and an example.
pub(super) fn described(description: &str, schema: Object, example: Value) -> ResponseBuilder {
    ResponseBuilder::new()
        .description(description)
        .header_ref("x-request-id", header_reference("x-request-id"))
        .content(
            "application/json",
            ContentBuilder::new()
                .schema(Some(schema))
                .example(Some(example))
                .build(),
        )
}

/// Returns the envelope of an error.
pub(super) fn example(code: u16, message: &str, info: &Value) -> Value {
    json!({
        "success": false,
        "result": {"code": code, "message": message, "info": info},
        "data": {}
    })
}

/// Returns the schema of the envelope of errors with these codes and messages.
pub(super) fn schema(codes: &[u16], messages: &[&str], info: RefOr<Schema>) -> Object {
    let result = object(
        [
            (
                "code",
                true,
                of(Type::Integer)
                    .enum_values(Some(codes.iter().copied()))
                    .into(),
            ),
            (
                "message",
                true,
                text().enum_values(Some(messages.iter().copied())).into(),
            ),
            ("info", true, info),
        ],
        true,
    );
    object(
        [
            ("success", true, success(false)),
            ("result", true, result.into()),
            ("data", true, object([], true).into()),
        ],
        true,
    )
}

/// Returns the schema of any error, for client generators.
pub(super) fn any_error() -> Object {
    let result = object(
        [
            ("code", true, of(Type::Integer).into()),
            ("message", true, text().into()),
            (
                "info",
                true,
                map(RefOr::T(utoipa::openapi::schema::empty())).into(),
            ),
        ],
        true,
    );
    object(
        [
            ("success", true, success(false)),
            ("result", true, result.into()),
            ("data", true, object([], true).into()),
        ],
        true,
    )
}
