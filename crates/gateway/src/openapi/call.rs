//! The description of one call, from which the OpenAPI document and the page are made. It does not
//! route or parse requests.

use super::{
    entries::Entries, error_response::ErrorResponse, field::Field, unprocessable::Unprocessable,
};

/// Call of the API: its parameters, response and errors.
pub(super) struct Call {
    pub(super) methods: Methods,
    pub(super) path: &'static str,
    pub(super) section: &'static str,
    pub(super) summary: &'static str,
    pub(super) description: &'static str,
    pub(super) requires_token: bool,
    /// Whether the call counts against the write budget of the caller.
    pub(super) is_write: bool,
    pub(super) input: Input,
    pub(super) response: ResponseKind,
    /// When a response has a token in its `Authorization` header.
    pub(super) renewal: Renewal,
    /// Errors in addition to those that follow from the other fields ([`Self::all_errors`]).
    pub(super) errors: Vec<ErrorResponse>,
    pub(super) unprocessable: Unprocessable,
}

/// Methods that a call accepts. `HEAD` is accepted wherever `GET` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Methods {
    Get,
    Post,
    GetOrPost,
}

/// Body of a request.
pub(super) enum Input {
    Nothing,
    /// An object without parameters, or an empty body.
    OptionalBody,
    Json(Vec<Field>),
    UploadForm(Vec<Field>),
}

/// Body of a successful response.
pub(super) enum ResponseKind {
    Envelope {
        result: Vec<Field>,
        data: Vec<Entries>,
    },
    Keys,
    Picture {
        caching: &'static str,
    },
    Document,
    Page,
}

/// When a successful response has a new token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Renewal {
    Never,
    WhenDue,
    Always,
}

impl Call {
    fn new(
        methods: Methods,
        path: &'static str,
        summary: &'static str,
        description: &'static str,
    ) -> Self {
        Self {
            methods,
            path,
            section: "",
            summary,
            description,
            requires_token: false,
            is_write: false,
            input: Input::Nothing,
            response: ResponseKind::Envelope {
                result: Vec::new(),
                data: Vec::new(),
            },
            renewal: Renewal::Never,
            errors: Vec::new(),
            unprocessable: Unprocessable::default(),
        }
    }

    pub(super) fn post(
        path: &'static str,
        summary: &'static str,
        description: &'static str,
    ) -> Self {
        Self {
            input: Input::Json(Vec::new()),
            ..Self::new(Methods::Post, path, summary, description)
        }
    }

    pub(super) fn get_or_post(
        path: &'static str,
        summary: &'static str,
        description: &'static str,
    ) -> Self {
        Self {
            input: Input::OptionalBody,
            ..Self::new(Methods::GetOrPost, path, summary, description)
        }
    }

    /// Describes a resource whose response has no envelope.
    pub(super) fn get(
        path: &'static str,
        summary: &'static str,
        description: &'static str,
        response: ResponseKind,
    ) -> Self {
        Self {
            response,
            ..Self::new(Methods::Get, path, summary, description)
        }
    }

    pub(super) fn with_token(self) -> Self {
        Self {
            requires_token: true,
            renewal: Renewal::WhenDue,
            ..self
        }
    }

    /// Requires a token, and counts against the write budget.
    pub(super) fn changes_data(self) -> Self {
        Self {
            is_write: true,
            ..self.with_token()
        }
    }

    pub(super) fn renewal(self, renewal: Renewal) -> Self {
        Self { renewal, ..self }
    }

    pub(super) fn with_parameters(self, fields: &[Field]) -> Self {
        Self {
            input: Input::Json(fields.to_vec()),
            ..self
        }
    }

    pub(super) fn with_form(self, fields: &[Field]) -> Self {
        Self {
            input: Input::UploadForm(fields.to_vec()),
            ..self
        }
    }

    pub(super) fn with_result(self, result: &[Field], data: &[Entries]) -> Self {
        Self {
            response: ResponseKind::Envelope {
                result: result.to_vec(),
                data: data.to_vec(),
            },
            ..self
        }
    }

    pub(super) fn with_errors(mut self, errors: &[ErrorResponse]) -> Self {
        self.errors.extend_from_slice(errors);
        self
    }

    /// Adds reasons of 422: the entry does not exist, or its state does not allow the call.
    pub(super) fn with_reasons(mut self, reasons: &[&'static str]) -> Self {
        self.unprocessable.reasons.extend_from_slice(reasons);
        self
    }

    /// Adds validation errors (1001): the fields and their reasons.
    pub(super) fn with_validation(mut self, fields: &[(&'static str, &'static str)]) -> Self {
        self.unprocessable.validations.extend_from_slice(fields);
        self
    }

    /// Adds the error 1004.
    pub(super) fn with_invite_invalid(mut self) -> Self {
        self.unprocessable.invite_invalid = true;
        self
    }

    pub(super) fn is_in_project(&self) -> bool {
        self.path.starts_with("/api/p/")
    }

    /// Returns all errors of the call except 422, sorted by code and without duplicates.
    pub(super) fn all_errors(&self, method: Method) -> Vec<ErrorResponse> {
        let mut all = self.errors.clone();
        all.extend([ErrorResponse::MethodNotAllowed, ErrorResponse::Internal]);
        if method == Method::Post {
            all.extend([
                ErrorResponse::BadRequest,
                ErrorResponse::PayloadTooLarge,
                ErrorResponse::UnsupportedMediaType,
            ]);
        }
        if self.requires_token {
            all.extend([ErrorResponse::Unauthenticated, ErrorResponse::Unavailable]);
        }
        if self.is_write {
            all.push(ErrorResponse::Throttled);
        }
        if self.is_in_project() {
            all.extend([
                ErrorResponse::BadRequest,
                ErrorResponse::NotFound,
                ErrorResponse::Throttled,
                ErrorResponse::Unavailable,
            ]);
        }
        all.sort_unstable();
        all.dedup();
        all
    }

    pub(super) fn methods(&self) -> &'static [Method] {
        match self.methods {
            Methods::Get => &[Method::Get, Method::Head],
            Methods::Post => &[Method::Post],
            Methods::GetOrPost => &[Method::Get, Method::Head, Method::Post],
        }
    }

    /// Returns the method that the page describes.
    pub(super) fn main_method(&self) -> Method {
        match self.methods {
            Methods::Get => Method::Get,
            Methods::Post | Methods::GetOrPost => Method::Post,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Head,
    Post,
}

impl Method {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
        }
    }
}
