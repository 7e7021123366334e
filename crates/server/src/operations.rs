//! The operations listener: liveness, readiness and metrics, for orchestrators and Prometheus. It
//! must not be public.

use std::{fmt, future::Future, pin::pin, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use futures_util::future::{BoxFuture, join_all};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use serde_json::{Map, Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

const READINESS_TIMEOUT: Duration = Duration::from_secs(1);
/// Maximum time for which a shutdown waits for responses in flight.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);
/// Maximum time for the head of a request, including the idle time before it. The documentation
/// promises 60 s.
const HEAD_TIMEOUT: Duration = Duration::from_secs(55);
/// Delay after a connection could not be accepted, which mostly means too many open files.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);
const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(5);
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Upper bounds in seconds, from a fast query to the deadline of calls, with small steps around the
/// time of a password hash.
const DURATION_BUCKETS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
const HISTOGRAM_NAMES: &[&str] = &[
    "doorward_http_request_duration_seconds",
    "doorward_grpc_request_duration_seconds",
    "doorward_hash_duration_seconds",
];

/// A readiness check. The error tells operators what is missing.
#[derive(Clone)]
pub(crate) struct Check(Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>);

impl Check {
    pub(crate) fn new<F, R>(check: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), String>> + Send + 'static,
    {
        Self(Arc::new(move || Box::pin(check())))
    }

    async fn run(&self) -> Result<(), String> {
        let limit = || format!("no answer within {} s", READINESS_TIMEOUT.as_secs());
        tokio::time::timeout(READINESS_TIMEOUT, (self.0)())
            .await
            .unwrap_or_else(|_| Err(limit()))
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Check")
    }
}

/// Installs the recorder for the `metrics` macros. Can be called once per process.
///
/// # Errors
/// A recorder is already installed.
pub(crate) fn install_metrics() -> Result<PrometheusHandle, BuildError> {
    let builder = HISTOGRAM_NAMES
        .iter()
        .try_fold(PrometheusBuilder::new(), |builder, name| {
            builder.set_buckets_for_metric(Matcher::Full((*name).to_owned()), DURATION_BUCKETS)
        });
    let handle = builder?.install_recorder()?;
    metrics::gauge!("doorward_build_info", "version" => doorward_domain::version::current_release()).set(1.0);
    Ok(handle)
}

/// Serves until `shutdown`. `before_scrape` updates the gauges.
pub(crate) async fn serve(
    listener: TcpListener,
    checks: Vec<(&'static str, Check)>,
    metrics: PrometheusHandle,
    before_scrape: impl Fn() + Send + Sync + 'static,
    shutdown: CancellationToken,
) {
    let upkeep = tokio::spawn(run_maintenance(metrics.clone(), shutdown.clone()));
    let before_scrape = Arc::new(before_scrape);
    let scrape = move || {
        before_scrape();
        let text = metrics.render();
        async { ([(header::CONTENT_TYPE, PROMETHEUS_TEXT)], text) }
    };
    let app = Router::new()
        .route(
            "/health/live",
            get(|| async { json_response(StatusCode::OK, &json!({"status": "live"})) }),
        )
        .route("/health/ready", get(readiness).with_state(Arc::new(checks)))
        .route("/metrics", get(scrape))
        .fallback(|| async { json_response(StatusCode::NOT_FOUND, &json!({"error": "not found"})) })
        .method_not_allowed_fallback(|| async {
            json_response(
                StatusCode::METHOD_NOT_ALLOWED,
                &json!({"error": "method not allowed"}),
            )
        });
    serve_connections(listener, app, HEAD_TIMEOUT, shutdown).await;
    upkeep.abort();
}

async fn serve_connections(
    listener: TcpListener,
    app: Router,
    head_limit: Duration,
    shutdown: CancellationToken,
) {
    let mut connections = JoinSet::new();
    while let Some(accepted) = shutdown.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(serve_connection(
                    stream,
                    app.clone(),
                    head_limit,
                    shutdown.clone(),
                ));
            }
            Err(error) => {
                tracing::warn!(%error, "can't accept a connection");
                tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    // A client that does not read its response must not delay the end of the process.
    let ended = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(SHUTDOWN_GRACE, ended).await;
}

async fn serve_connection(
    stream: TcpStream,
    app: Router,
    head_limit: Duration,
    shutdown: CancellationToken,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "can't set TCP_NODELAY");
    }
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(head_limit);
    let mut connection =
        pin!(http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(app)));
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection failed");
    }
}

async fn readiness(State(checks): State<Arc<Vec<(&'static str, Check)>>>) -> Response {
    let results = join_all(checks.iter().map(|(_, check)| check.run())).await;
    let is_ready = results.iter().all(Result::is_ok);
    let names = checks.iter().map(|(name, _)| (*name).to_owned());
    let results = results
        .into_iter()
        .map(|result| Value::from(result.err().unwrap_or_else(|| "ok".to_owned())));
    let checks: Map<String, Value> = names.zip(results).collect();
    let (code, status) = if is_ready {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready")
    };
    json_response(code, &json!({"status": status, "checks": checks}))
}

fn json_response(code: StatusCode, body: &Value) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (code, headers, body.to_string()).into_response()
}

/// Aggregates the recorded values of histograms, which would otherwise accumulate in memory between
/// scrapes.
async fn run_maintenance(metrics: PrometheusHandle, shutdown: CancellationToken) {
    let mut interval = tokio::time::interval(MAINTENANCE_INTERVAL);
    while shutdown
        .run_until_cancelled(interval.tick())
        .await
        .is_some()
    {
        metrics.run_upkeep();
    }
}

#[cfg(test)]
#[path = "operations_tests.rs"]
mod tests;
