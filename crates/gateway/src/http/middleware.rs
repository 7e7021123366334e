//! What happens around every request: an id, a span, a measurement, headers, and a panic that stays its own.

use std::{
    panic::AssertUnwindSafe,
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
            WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
        },
    },
    middleware::Next,
    web::Data,
};
use doorward_domain::ErrorCode;
use doorward_rpc::{
    RpcError,
    channel::{CURRENT_REQUEST_IDS, RequestIds},
};
use futures_util::FutureExt;
use opentelemetry::propagation::Extractor;
use tracing::{Instrument, Span, field::Empty};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::{
    Gateway,
    http::{denials, envelope::ApiError},
    peers::Peers,
    session::caller::{self, RenewalDueToken},
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const MAX_ID_BYTES: usize = 128;
/// How long an answer that is ready waits for a new token.
const RENEWAL_TIMEOUT: Duration = Duration::from_millis(500);

pub(crate) async fn handle_request(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let started = Instant::now();
    let gateway = request
        .app_data::<Data<Gateway>>()
        .cloned()
        .ok_or_else(ApiError::internal)?;
    let method = request.method().clone();
    let own = gateway.ids.new_gid().to_string();
    let client = client_request_id(request.headers());
    let span = request_span(&request, &own, client.as_deref());
    // The response repeats the client's id; records that the server must be able to trust have its own.
    let id = client.clone().unwrap_or_else(|| own.clone());
    let work = async {
        Ok::<_, Error>(
            renew_if_due(next.call(request).await?.map_into_boxed_body(), &gateway).await,
        )
    };
    let answer = AssertUnwindSafe(work)
        .catch_unwind()
        .instrument(span.clone());
    let Ok(answer) = CURRENT_REQUEST_IDS
        .scope(
            RequestIds {
                request_id: Some(own),
                client_request_id: client,
            },
            answer,
        )
        .await
    else {
        span.in_scope(|| tracing::error!("a request panicked"));
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
            &gateway,
        );
        return Err(InternalError::from_response("panic", response).into());
    };
    let mut response = wrap_cors_error(answer?);
    let status = response.status();
    add_headers(response.headers_mut(), status, &id, &gateway);
    if status == StatusCode::FORBIDDEN {
        let user = caller::find_user(response.request(), &gateway);
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

/// What the CORS library refuses, it refuses in plain text.
fn wrap_cors_error(response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    if !response.status().is_client_error() || response.headers().contains_key(CONTENT_TYPE) {
        return response;
    }
    let problem: ApiError = RpcError::new(ErrorCode::InvalidRequest).into();
    let (request, refused) = response.into_parts();
    let mut answer = problem.error_response();
    for (name, value) in refused.headers() {
        answer.headers_mut().append(name.clone(), value.clone());
    }
    ServiceResponse::new(request, answer)
}

/// Adds a new token to the answer of whoever came with one that is due. Without, the old one does for a while longer.
async fn renew_if_due(
    mut response: ServiceResponse<BoxBody>,
    gateway: &Gateway,
) -> ServiceResponse<BoxBody> {
    let status = response.status();
    if status == StatusCode::UNAUTHORIZED
        || status.is_server_error()
        || response.headers().contains_key(AUTHORIZATION)
    {
        return response;
    }
    let due = response
        .request()
        .extensions_mut()
        .remove::<RenewalDueToken>();
    let (Some(RenewalDueToken(token)), Some(peers)) =
        (due, response.request().app_data::<Data<Peers>>())
    else {
        return response;
    };
    let renewal = gateway
        .renewals
        .renew(peers, token, gateway.trust.keys_generation());
    let Ok(renewed) = tokio::time::timeout(RENEWAL_TIMEOUT, renewal).await else {
        return response;
    };
    match renewed {
        Ok(token) => {
            if let Ok(token) = HeaderValue::from_str(&token) {
                response.headers_mut().insert(AUTHORIZATION, token);
            }
        }
        Err(failure) => {
            tracing::debug!(code = %failure.code, "a token that is due was not renewed")
        }
    }
    response
}

struct RequestOutcome<'a> {
    method: &'a str,
    /// As it stands in the list of routes: labels must be few.
    path: &'a str,
    status: u16,
}

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
    metrics::histogram!("doorward_http_request_duration_seconds", "path" => outcome.path.to_owned()).record(elapsed);
    // Not by `record`, for which the log writes all fields of the span anew.
    span.set_attribute("http.response.status_code", i64::from(outcome.status));
    let milliseconds = elapsed.as_secs_f64() * 1000.0;
    span.in_scope(|| {
        if outcome.status >= 500 && outcome.status != 501 {
            tracing::warn!(status = outcome.status, milliseconds, "answered");
        } else {
            tracing::debug!(status = outcome.status, milliseconds, "answered");
        }
    });
}

fn add_headers(headers: &mut HeaderMap, status: StatusCode, id: &str, gateway: &Gateway) {
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, gateway.challenge.clone());
    }
}

/// Returns the id that the client sent, if it is well-formed.
fn client_request_id(headers: &HeaderMap) -> Option<String> {
    let is_sane = |id: &&str| {
        (1..=MAX_ID_BYTES).contains(&id.len())
            && id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(&byte))
    };
    headers
        .get(REQUEST_ID)
        .and_then(|id| id.to_str().ok())
        .filter(is_sane)
        .map(str::to_owned)
}

fn request_span(request: &ServiceRequest, id: &str, client_id: Option<&str>) -> Span {
    let parent = opentelemetry::global::get_text_map_propagator(|propagator| {
        propagator.extract(&HeaderExtractor(request.headers()))
    });
    let span = tracing::info_span!(
        "request", otel.kind = "server", method = %request.method(), path = request.path(), request_id = id,
        client_request_id = client_id, trace_id = Empty,
    );
    if let Err(error) = span.set_parent(parent) {
        tracing::trace!(%error, "no trace context");
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
