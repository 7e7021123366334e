//! Middleware around every request: it assigns an id, opens a span, renews a token that is due,
//! adds headers, records metrics, and turns a panic into a 500. It knows no call of the API.

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::{
    Error, HttpMessage, ResponseError,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    error::InternalError,
    http::{
        StatusCode,
        header::{
            AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
            InvalidHeaderValue, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
        },
    },
    middleware::Next,
};
use doorward_domain::{ErrorCode, IdGenerator};
use doorward_rpc::{
    RpcError,
    channel::{CURRENT_REQUEST_IDS, RequestIds},
};
use futures_util::FutureExt;
use opentelemetry::propagation::Extractor;
use tracing::{Instrument, Span, field::Empty};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::{
    http::{app_data::app_data, denials, envelope::ApiError},
    peers::Peers,
    session::{
        caller::{self, RenewalDueToken},
        sessions::Sessions,
    },
};

/// Target of the access log. Operators filter by it (`docs/operations.md`), so it is no module path.
const LOG_TARGET: &str = "doorward_gateway::request";
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Maximum length of a request id of a client.
const MAX_ID_BYTES: usize = 128;
/// Maximum time that a response waits for the renewal of a token.
const RENEWAL_TIMEOUT: Duration = Duration::from_millis(500);

/// Values that the middleware needs for every request.
pub(crate) struct RequestSettings {
    /// Source of request ids.
    ids: Arc<dyn IdGenerator>,
    /// Value of `WWW-Authenticate`.
    challenge: HeaderValue,
}

impl RequestSettings {
    /// Creates the settings for the realm in `WWW-Authenticate`.
    ///
    /// # Errors
    /// The realm is not a valid header value.
    pub(crate) fn new(realm: &str, ids: Arc<dyn IdGenerator>) -> Result<Self, InvalidHeaderValue> {
        let challenge = HeaderValue::from_str(&format!("Bearer realm=\"{realm}\""))?;
        Ok(Self { ids, challenge })
    }
}

/// Handles a request with everything that is common to all calls.
pub(crate) async fn handle_request(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let started = Instant::now();
    let settings = app_data::<RequestSettings>(request.request())?.clone();
    let method = request.method().clone();
    let own_id = settings.ids.new_gid().to_string();
    let client_id = client_request_id(request.headers());
    let span = request_span(&request, &own_id, client_id.as_deref());
    // The response repeats the client's id. Log and audit trail also have an id of the server,
    // because a client can send the id of another request.
    let id = client_id.clone().unwrap_or_else(|| own_id.clone());
    let work = async {
        Ok::<_, Error>(renew_if_due(next.call(request).await?.map_into_boxed_body()).await)
    };
    // Shared state stays usable after a panic: its locks ignore poisoning.
    let result = AssertUnwindSafe(work)
        .catch_unwind()
        .instrument(span.clone());
    let Ok(result) = CURRENT_REQUEST_IDS
        .scope(
            RequestIds {
                request_id: Some(own_id),
                client_request_id: client_id,
            },
            result,
        )
        .await
    else {
        span.in_scope(|| tracing::error!(target: LOG_TARGET, "a request panicked"));
        record_metrics(
            &RequestOutcome {
                method: method.as_str(),
                path: "panicked",
                status: 500,
            },
            started,
            &span,
        );
        let mut response = ApiError::internal().error_response();
        add_headers(
            response.headers_mut(),
            StatusCode::INTERNAL_SERVER_ERROR,
            &id,
            &settings,
        );
        return Err(InternalError::from_response("panic", response).into());
    };
    let mut response = wrap_cors_error(result?);
    let status = response.status();
    add_headers(response.headers_mut(), status, &id, &settings);
    if status == StatusCode::FORBIDDEN {
        let sessions = app_data::<Sessions>(response.request())?;
        let user = caller::find_user(response.request(), sessions);
        span.in_scope(|| denials::record(user));
    }
    let path = response
        .request()
        .match_pattern()
        .unwrap_or_else(|| "unmatched".to_owned());
    record_metrics(
        &RequestOutcome {
            method: method.as_str(),
            path: &path,
            status: status.as_u16(),
        },
        started,
        &span,
    );
    Ok(response)
}

/// Puts a rejection by the CORS library, which is plain text, into the envelope. It is recognized
/// by its missing `Content-Type`.
fn wrap_cors_error(response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    if !response.status().is_client_error() || response.headers().contains_key(CONTENT_TYPE) {
        return response;
    }
    let error: ApiError = RpcError::new(ErrorCode::InvalidRequest).into();
    let (request, rejection) = response.into_parts();
    let mut response = error.error_response();
    for (name, value) in rejection.headers() {
        response.headers_mut().append(name.clone(), value.clone());
    }
    ServiceResponse::new(request, response)
}

/// Adds a new token to the response if renewal of the request's token is due. If the renewal fails
/// or takes too long, the response has no token: the old one is still valid, and the next call
/// tries again.
///
/// A response with 401 or 5xx gets no token, and neither does one that already has a token.
async fn renew_if_due(mut response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    let status = response.status();
    if status == StatusCode::UNAUTHORIZED
        || status.is_server_error()
        || response.headers().contains_key(AUTHORIZATION)
    {
        return response;
    }
    let request = response.request();
    let due = request.extensions_mut().remove::<RenewalDueToken>();
    let Some(RenewalDueToken(token)) = due else {
        return response;
    };
    let Ok(sessions) = app_data::<Sessions>(request) else {
        return response;
    };
    let Ok(peers) = app_data::<Peers>(request) else {
        return response;
    };
    let renewal = sessions.renew(peers, token);
    let Ok(renewed) = tokio::time::timeout(RENEWAL_TIMEOUT, renewal).await else {
        return response;
    };
    match renewed {
        Ok(token) => {
            if let Ok(token) = HeaderValue::from_str(&token) {
                response.headers_mut().insert(AUTHORIZATION, token);
            }
        }
        Err(error) => {
            tracing::debug!(target: LOG_TARGET, code = %error.code, "could not renew a token that is due");
        }
    }
    response
}

/// Labels of the metrics of a request.
struct RequestOutcome<'a> {
    method: &'a str,
    /// Pattern of the route, not the path of the request, so that the number of labels is bounded.
    path: &'a str,
    status: u16,
}

/// Records the metrics of a request, and logs its result: server errors as a warning, except 501,
/// which is a documented response.
fn record_metrics(outcome: &RequestOutcome<'_>, started: Instant, span: &Span) {
    let elapsed = started.elapsed();
    let method = match outcome.method {
        known @ ("GET" | "POST" | "OPTIONS" | "HEAD" | "PUT" | "DELETE" | "PATCH") => {
            known.to_owned()
        }
        _ => "other".to_owned(),
    };
    let labels = [
        ("method", method),
        ("path", outcome.path.to_owned()),
        ("status", outcome.status.to_string()),
    ];
    metrics::counter!("doorward_http_requests_total", &labels).increment(1);
    metrics::histogram!(
        "doorward_http_request_duration_seconds",
        "path" => outcome.path.to_owned()
    )
    .record(elapsed);
    // `record` would make the log write all fields of the span again.
    span.set_attribute("http.response.status_code", i64::from(outcome.status));
    let milliseconds = elapsed.as_secs_f64() * 1000.0;
    span.in_scope(|| {
        if outcome.status >= 500 && outcome.status != 501 {
            tracing::warn!(target: LOG_TARGET, status = outcome.status, milliseconds, "answered");
        } else {
            tracing::debug!(target: LOG_TARGET, status = outcome.status, milliseconds, "answered");
        }
    });
}

/// Adds the headers that every response has.
fn add_headers(headers: &mut HeaderMap, status: StatusCode, id: &str, settings: &RequestSettings) {
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, settings.challenge.clone());
    }
}

/// Returns the id that the client sent, if it is short and cannot be used to inject text into logs.
fn client_request_id(headers: &HeaderMap) -> Option<String> {
    let is_well_formed = |id: &&str| {
        (1..=MAX_ID_BYTES).contains(&id.len())
            && id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(&byte))
    };
    headers
        .get(REQUEST_ID)
        .and_then(|id| id.to_str().ok())
        .filter(is_well_formed)
        .map(str::to_owned)
}

/// Opens the span of a request, as part of the trace of the client if it sent one.
fn request_span(request: &ServiceRequest, id: &str, client_id: Option<&str>) -> Span {
    let parent = opentelemetry::global::get_text_map_propagator(|propagator| {
        propagator.extract(&HeaderExtractor(request.headers()))
    });
    let span = tracing::info_span!(
        target: LOG_TARGET,
        "request",
        otel.kind = "server",
        method = %request.method(),
        path = request.path(),
        request_id = id,
        client_request_id = client_id,
        trace_id = Empty,
    );
    if let Err(error) = span.set_parent(parent) {
        tracing::trace!(target: LOG_TARGET, %error, "cannot set the trace context of a request");
    }
    if let Some(trace_id) = doorward_rpc::trace_id(&span.context()) {
        span.record("trace_id", trace_id);
    }
    span
}

struct HeaderExtractor<'a>(&'a HeaderMap);

impl Extractor for HeaderExtractor<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}
