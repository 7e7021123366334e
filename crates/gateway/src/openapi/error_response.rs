//! What a call may be refused with. Codes and messages are those of the envelope.

use doorward_domain::ErrorCode;
use doorward_rpc::RpcError;
use serde_json::{Value, json};
use utoipa::openapi::{
    ContentBuilder, Object, Ref, RefOr, Response, ResponseBuilder, Schema, Type,
};

use crate::http::envelope::ApiError;
use crate::openapi::{
    entries::success,
    field::{map, object, of, text},
    headers::reference as header_reference,
};

/// In the order of the codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Refusal {
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

impl Refusal {
    pub(crate) const ALL: [Self; 12] = [
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

    fn problem(self) -> ApiError {
        let failure = |code| RpcError::new(code).into();
        match self {
            Self::BadRequest => failure(ErrorCode::InvalidRequest),
            Self::Unauthenticated => failure(ErrorCode::Unauthenticated),
            Self::UnknownUser => failure(ErrorCode::UnknownUser),
            Self::Forbidden => failure(ErrorCode::Forbidden),
            Self::NotFound => failure(ErrorCode::NotFound),
            Self::MethodNotAllowed => ApiError::MethodNotAllowed(""),
            Self::PayloadTooLarge => ApiError::PayloadTooLarge,
            Self::UnsupportedMediaType => ApiError::UnsupportedMediaType,
            Self::RangeNotSatisfiable => ApiError::RangeNotSatisfiable(0),
            Self::Throttled => failure(ErrorCode::Throttled),
            Self::Internal => failure(ErrorCode::Internal),
            Self::Unavailable => failure(ErrorCode::Unavailable),
        }
    }

    pub(crate) fn code(self) -> u16 {
        self.problem().code_and_message().0
    }

    pub(crate) fn message(self) -> &'static str {
        self.problem().code_and_message().1
    }

    /// Among the components, without blanks.
    pub(crate) fn component(self) -> String {
        self.message().split(' ').map(capitalised).collect()
    }

    pub(crate) const fn description(self) -> &'static str {
        match self {
            Self::BadRequest => {
                "A parameter is missing, or has the wrong type or value; only the first is named. Or the body is no JSON object \
                or no form."
            }
            Self::Unauthenticated => "The token is missing, malformed, expired or revoked.",
            Self::UnknownUser => {
                "Unknown user, wrong password, a user who is not active, an unknown or inactive API key; at a project's door \
                also no active member, or no such project. Nothing tells these apart."
            }
            Self::Forbidden => "The caller may not do this, whether or not there is such a thing.",
            Self::NotFound => "Nothing is there.",
            Self::MethodNotAllowed => "This path has other methods: `Allow` lists them.",
            Self::PayloadTooLarge => {
                "A body of more than 1 MiB, or a file of more than 10,000,000 bytes. The connection is closed."
            }
            Self::UnsupportedMediaType => {
                "The body is neither `application/json` nor, for files, `multipart/form-data`; or it has a content coding other \
                than `identity`."
            }
            Self::RangeNotSatisfiable => {
                "A part that the picture doesn't have; `Content-Range` has its size."
            }
            Self::Throttled => {
                "Too many failed logins, more requests a second than the member may make, or the user's write budget is used up."
            }
            Self::Internal => "A fault of the server; its log has more, found by `x-request-id`.",
            Self::Unavailable => {
                "A part of the server is away or overloaded, or mails can't be sent."
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

    pub(crate) fn example(self) -> Value {
        example(self.code(), self.message(), &self.info())
    }

    pub(crate) fn reference(self) -> Ref {
        Ref::from_response_name(self.component())
    }

    /// The component.
    pub(crate) fn response(self) -> Response {
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

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .chain(letters)
        .collect()
}

pub(crate) fn described(description: &str, schema: Object, example: Value) -> ResponseBuilder {
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

pub(crate) fn example(code: u16, message: &str, info: &Value) -> Value {
    json!({"success": false, "result": {"code": code, "message": message, "info": info}, "data": {}})
}

pub(crate) fn schema(codes: &[u16], messages: &[&str], info: RefOr<Schema>) -> Object {
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

/// Any refusal, for generators of clients.
pub(crate) fn any_error() -> Object {
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
