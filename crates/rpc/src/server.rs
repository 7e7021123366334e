//! The parts that every gRPC server shares: health, reflection, a span and a metric for each call,
//! time limits, and a shutdown that lets calls finish. It knows no service.

use std::{
    any::Any,
    convert::Infallible,
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use doorward_domain::ErrorCode;
use futures_util::FutureExt;
use opentelemetry::propagation::Extractor;
use tokio::{
    io::DuplexStream,
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    task::JoinSet,
};
use tokio_stream::{StreamExt, wrappers::ReceiverStream};
use tokio_util::sync::CancellationToken;
use tonic::{
    Status,
    body::Body,
    service::Routes,
    transport::{Server, ServerTlsConfig, server::TcpIncoming},
};
use tower::{Layer, Service};
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::{
    FILE_DESCRIPTOR_SET, RpcError, channel,
    idle_timeout::{ConnectionActivity, IDLE_LIMITS, IdleLimits, IdleTimeoutStream},
};

/// Maximum time for which a shutdown waits for calls in flight. All of them end by their deadline.
const SHUTDOWN_GRACE: Duration = channel::RPC_DEADLINE;
/// Maximum time of one readiness check.
const READINESS_TIMEOUT: Duration = Duration::from_secs(1);
/// Delay after a connection could not be accepted, usually because the process has too many open
/// files. Without it, the loop would use a whole core.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// Listeners of a service; each is optional.
#[derive(Default)]
pub struct Listeners {
    pub tcp: Option<(TcpListener, Option<ServerTlsConfig>)>,
    pub in_memory: Option<mpsc::Receiver<DuplexStream>>,
}

/// Serves until `shutdown`, then lets calls in flight finish. `name` is the full gRPC name of the
/// service, whose health follows `is_ready`.
///
/// # Errors
/// A listener fails, or the TLS settings are invalid.
pub async fn serve(
    name: &'static str,
    routes: Routes,
    listeners: Listeners,
    is_ready: watch::Receiver<bool>,
    shutdown: CancellationToken,
) -> Result<(), tonic::transport::Error> {
    let (reporter, health) = tonic_health::server::health_reporter();
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1();
    let mut routes = routes.add_service(health);
    match reflection {
        Ok(reflection) => routes = routes.add_service(reflection),
        Err(error) => tracing::error!(%error, "cannot set up gRPC reflection; serving without it"),
    }
    let report = report_health(name, reporter, is_ready, shutdown.clone());
    let tcp = serve_tcp(routes.clone(), listeners.tcp, IDLE_LIMITS, shutdown.clone());
    let in_memory = serve_in_memory(routes, listeners.in_memory, shutdown.clone());
    let serving = async {
        let ((), tcp, in_memory) = tokio::join!(report, tcp, in_memory);
        tcp.and(in_memory)
    };
    let grace_is_over = async {
        shutdown.cancelled().await;
        tokio::time::sleep(SHUTDOWN_GRACE).await;
    };
    tokio::select! {
        served = serving => served,
        // A connection that does not end must not keep the process running.
        () = grace_is_over => Ok(()),
    }
}

/// Accepts TCP connections until `shutdown`, then waits until they have ended.
async fn serve_tcp(
    routes: Routes,
    listener: Option<(TcpListener, Option<ServerTlsConfig>)>,
    limits: IdleLimits,
    shutdown: CancellationToken,
) -> Result<(), tonic::transport::Error> {
    let Some((listener, tls)) = listener else {
        return Ok(());
    };
    let mut server = Server::builder();
    if let Some(tls) = tls {
        server = server.tls_config(tls)?;
    }
    let server = configure_server(server);
    let mut incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let mut connections = JoinSet::new();
    while let Some(accepted) = shutdown
        .run_until_cancelled(incoming.next())
        .await
        .flatten()
    {
        match accepted {
            Ok(stream) => {
                connections.spawn(serve_connection(
                    server.clone(),
                    routes.clone(),
                    stream,
                    limits,
                    shutdown.clone(),
                ));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection; retrying");
                tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
    drop(incoming);
    while connections.join_next().await.is_some() {}
    Ok(())
}

/// Serves one connection until it ends, is idle for too long, or the server shuts down. Each
/// connection has a server of its own, because tonic sends GOAWAY only when a server shuts down.
async fn serve_connection(
    server: Server,
    routes: Routes,
    stream: TcpStream,
    limits: IdleLimits,
    shutdown: CancellationToken,
) {
    let activity = ConnectionActivity::new();
    let has_ended = CancellationToken::new();
    let stream = IdleTimeoutStream::new(
        stream,
        activity.clone(),
        limits.close_after,
        has_ended.clone().drop_guard(),
    );
    let incoming =
        tokio_stream::once(Ok::<_, std::io::Error>(stream)).chain(tokio_stream::pending());
    let end = {
        let idle = activity.clone().wait_until_idle(limits.goaway_after);
        async move {
            tokio::select! {
                () = idle => {}
                () = has_ended.cancelled() => {}
                () = shutdown.cancelled() => {}
            }
        }
    };
    let served = server
        .layer(RpcLayer {
            activity: Some(activity),
        })
        .add_routes(routes)
        .serve_with_incoming_shutdown(incoming, end)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection failed");
    }
}

/// Serves the connections from within this process. They have no idle limit.
async fn serve_in_memory(
    routes: Routes,
    connections: Option<mpsc::Receiver<DuplexStream>>,
    shutdown: CancellationToken,
) -> Result<(), tonic::transport::Error> {
    let Some(connections) = connections else {
        return Ok(());
    };
    let incoming = ReceiverStream::new(connections).map(Ok::<_, std::io::Error>);
    configure_server(Server::builder())
        .layer(RpcLayer { activity: None })
        .add_routes(routes)
        .serve_with_incoming_shutdown(incoming, shutdown.cancelled_owned())
        .await
}

/// Sets limits. The time limit of the server is longer than the deadline of the clients, so that a
/// slow call normally ends by the deadline of its client.
fn configure_server(server: Server) -> Server {
    server
        .timeout(channel::RPC_DEADLINE + Duration::from_secs(5))
        .http2_keepalive_interval(Some(Duration::from_secs(10)))
        .http2_keepalive_timeout(Some(Duration::from_secs(10)))
        .max_concurrent_streams(Some(4096))
        .initial_stream_window_size(channel::STREAM_WINDOW)
        .initial_connection_window_size(channel::CONNECTION_WINDOW)
}

/// Reports the readiness of the service as its health, also for the server as a whole (the empty
/// name).
async fn report_health(
    name: &'static str,
    mut reporter: tonic_health::server::HealthReporter,
    mut is_ready: watch::Receiver<bool>,
    shutdown: CancellationToken,
) {
    use tonic_health::ServingStatus;
    loop {
        let status = if *is_ready.borrow_and_update() {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        };
        reporter.set_service_status(name, status).await;
        reporter.set_service_status("", status).await;
        tokio::select! {
            () = shutdown.cancelled() => break,
            changed = is_ready.changed() => if changed.is_err() { break },
        }
    }
    reporter
        .set_service_status(name, ServingStatus::NotServing)
        .await;
    reporter
        .set_service_status("", ServingStatus::NotServing)
        .await;
    // An open health watch would keep its connection open and the server from stopping.
    reporter.clear_service_status(name).await;
    reporter.clear_service_status("").await;
}

/// Layer that adds a span and a metric to each call, and turns a panic in a call into an error of
/// that call.
#[derive(Clone)]
struct RpcLayer {
    /// Activity of the connection, if it has an idle limit.
    activity: Option<ConnectionActivity>,
}

impl<S> Layer<S> for RpcLayer {
    type Service = RpcService<S>;

    fn layer(&self, inner: S) -> RpcService<S> {
        RpcService {
            inner,
            activity: self.activity.clone(),
        }
    }
}

#[derive(Clone)]
struct RpcService<S> {
    inner: S,
    activity: Option<ConnectionActivity>,
}

impl<S> Service<http::Request<Body>> for RpcService<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let started = Instant::now();
        let open_call = self.activity.as_ref().map(ConnectionActivity::start_call);
        let method = request.uri().path().trim_start_matches('/').to_owned();
        let span = call_span(&method, request.headers());
        let result = AssertUnwindSafe(self.inner.call(request)).catch_unwind();
        Box::pin(
            async move {
                let response = match result.await {
                    Ok(response) => response,
                    Err(panic) => Ok(panic_response(panic.as_ref())),
                };
                let label = if is_unknown_method(&response) {
                    "unknown".to_owned()
                } else {
                    method
                };
                metrics::histogram!("doorward_grpc_request_duration_seconds", "method" => label)
                    .record(started.elapsed());
                match open_call {
                    Some(open_call) => response.map(|response| open_call.hold_until_sent(response)),
                    None => response,
                }
            }
            .instrument(span),
        )
    }
}

/// Returns whether the called method does not exist (status 12, UNIMPLEMENTED). Its name comes from
/// the client and must not become a label, because the number of labels must be bounded.
fn is_unknown_method(response: &Result<http::Response<Body>, Infallible>) -> bool {
    response.as_ref().is_ok_and(|response| {
        response
            .headers()
            .get("grpc-status")
            .is_some_and(|status| status == "12")
    })
}

/// Opens the span of a call, as part of the trace of the client.
fn call_span(method: &str, headers: &http::HeaderMap) -> tracing::Span {
    let parent = opentelemetry::global::get_text_map_propagator(|propagator| {
        propagator.extract(&HeaderExtractor(headers))
    });
    let id = |header| headers.get(header).and_then(|id| id.to_str().ok());
    let request_id = id(channel::REQUEST_ID);
    let client_request_id = id(channel::CLIENT_REQUEST_ID);
    let trace_id = crate::trace_id(&parent);
    let span = tracing::info_span!(
        "rpc",
        otel.kind = "server",
        method,
        request_id,
        client_request_id,
        trace_id
    );
    if let Err(error) = span.set_parent(parent) {
        tracing::trace!(%error, "cannot set the trace context of a call");
    }
    span
}

/// Returns the ids of the HTTP request on whose behalf a call is made, each of at most 128 bytes.
#[must_use]
pub fn request_ids<T>(request: &tonic::Request<T>) -> channel::RequestIds {
    let id = |header| {
        let id = request.metadata().get(header)?.to_str().ok()?;
        (id.len() <= 128).then(|| id.to_owned())
    };
    channel::RequestIds {
        request_id: id(channel::REQUEST_ID),
        client_request_id: id(channel::CLIENT_REQUEST_ID),
    }
}

fn panic_response(panic: &(dyn Any + Send)) -> http::Response<Body> {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(
        panic = text.unwrap_or("payload is not a text"),
        "a call panicked"
    );
    Status::from(RpcError::new(ErrorCode::Internal)).into_http()
}

struct HeaderExtractor<'a>(&'a http::HeaderMap);

impl Extractor for HeaderExtractor<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

/// Checks each second whether the service is ready. A check that takes longer than a second counts
/// as not ready.
pub fn watch_readiness<F, R>(check: F, shutdown: &CancellationToken) -> watch::Receiver<bool>
where
    F: Fn() -> R + Send + 'static,
    R: Future<Output = bool> + Send,
{
    let (sender, receiver) = watch::channel(false);
    let shutdown = shutdown.clone();
    tokio::spawn(async move {
        while !shutdown.is_cancelled() {
            let is_ready = tokio::time::timeout(READINESS_TIMEOUT, check())
                .await
                .unwrap_or(false);
            sender.send_if_modified(|was_ready| std::mem::replace(was_ready, is_ready) != is_ready);
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
        }
    });
    receiver
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
