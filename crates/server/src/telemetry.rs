//! The log on stderr, and tracing spans: trace ids are sent between the services, and spans are
//! exported to a collector if one is configured.

use std::{
    io::{IsTerminal, stderr},
    time::Duration,
};

use anyhow::Context;
#[cfg(feature = "otlp")]
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
#[cfg(feature = "otlp")]
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
#[cfg(feature = "otlp")]
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::{
    propagation::TraceContextPropagator,
    trace::{Sampler, SdkTracerProvider},
};
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{FilterFn, LevelFilter},
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

use crate::{
    log_queue::LogQueue,
    settings::{LogFormat, LogSettings, Role, SettingsError},
};

/// Maximum time for which the end of the process waits for the collector.
const FLUSH_LIMIT: Duration = Duration::from_secs(3);

/// Exports the last spans and writes the last lines of the log when dropped, each within a bounded
/// time. Must be dropped before the runtime.
#[must_use]
pub(crate) struct TelemetryGuard {
    provider: SdkTracerProvider,
    log: LogQueue,
}

impl Drop for TelemetryGuard {
    fn drop(&mut self) {
        if let Err(error) = self.provider.shutdown_with_timeout(FLUSH_LIMIT) {
            tracing::warn!(%error, "the last spans were not exported");
        }
        self.log.flush_for_exit();
    }
}

/// Starts the log and the export of spans. Must be called within a tokio runtime, and only once per
/// process.
///
/// # Errors
/// The settings of the exporter are invalid, or the log is already started.
pub(crate) fn start(settings: &LogSettings, role: Role) -> anyhow::Result<TelemetryGuard> {
    let provider = tracer_provider(settings, role)?;
    let queue = LogQueue::start(stderr()).context("can't start the log")?;
    queue.report_panics();
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    tracing_subscriber::registry()
        .with(log_layer(settings, queue.clone()).with_filter(parse_filter(&settings.filter)?))
        .with(span_layer(&provider))
        .try_init()
        .context("can't start the log")?;
    Ok(TelemetryGuard {
        provider,
        log: queue,
    })
}

/// Parses the filter, and turns the messages of `actix_http` off unless the filter names it: it
/// logs an error for each malformed request, so any client could fill the log.
fn parse_filter(text: &str) -> Result<EnvFilter, tracing_subscriber::filter::ParseError> {
    let quiet = if text.contains("actix_http") {
        ""
    } else {
        ",actix_http=off,actix_server=warn"
    };
    EnvFilter::builder().parse(format!("{text}{quiet}"))
}

fn log_layer<S>(settings: &LogSettings, queue: LogQueue) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let is_terminal = stderr().is_terminal();
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(queue)
        .log_internal_errors(false);
    match settings.format {
        LogFormat::Auto if is_terminal => layer.boxed(),
        LogFormat::Text => layer.with_ansi(is_terminal).boxed(),
        LogFormat::Json | LogFormat::Auto => layer
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .boxed(),
    }
}

/// Exports the spans of our own crates, independent of the log filter. Spans of libraries are
/// excluded: the exporter's own connection would create new spans for each export, without end.
fn span_layer<S>(provider: &SdkTracerProvider) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let is_ours = |metadata: &Metadata<'_>| {
        metadata.target().starts_with("doorward") && *metadata.level() <= Level::INFO
    };
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("doorward"))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_filter(FilterFn::new(is_ours).with_max_level_hint(LevelFilter::INFO))
}

fn tracer_provider(settings: &LogSettings, role: Role) -> anyhow::Result<SdkTracerProvider> {
    let Some(collector) = &settings.collector else {
        // Trace ids are still created and sent to other services, but no spans are recorded.
        let sampler = Sampler::ParentBased(Box::new(Sampler::AlwaysOff));
        return Ok(SdkTracerProvider::builder().with_sampler(sampler).build());
    };
    exporting_provider(collector, role)
}

#[cfg(feature = "otlp")]
fn exporting_provider(collector: &str, role: Role) -> anyhow::Result<SdkTracerProvider> {
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(collector)
        .build();
    let exporter = exporter.map_err(|error| {
        SettingsError::single("OTEL_EXPORTER_OTLP_ENDPOINT", &error.to_string())
    })?;
    Ok(SdkTracerProvider::builder()
        .with_resource(otel_resource(role))
        .with_batch_exporter(exporter)
        .build())
}

#[cfg(not(feature = "otlp"))]
fn exporting_provider(_: &str, _: Role) -> anyhow::Result<SdkTracerProvider> {
    let reason = "this build exports no spans (cargo feature `otlp`)";
    Err(SettingsError::single("OTEL_EXPORTER_OTLP_ENDPOINT", reason).into())
}

/// Returns the attributes of the exported resource. `OTEL_SERVICE_NAME` and
/// `OTEL_RESOURCE_ATTRIBUTES` take precedence.
#[cfg(feature = "otlp")]
fn otel_resource(role: Role) -> Resource {
    let version = KeyValue::new(
        "service.version",
        doorward_domain::version::current_release(),
    );
    let resource = Resource::builder().with_attribute(version).build();
    let is_named = resource
        .get(&"service.name".into())
        .is_some_and(|name| !name.as_str().starts_with("unknown_service"));
    if is_named {
        return resource;
    }
    let ours = Resource::builder().with_service_name(format!("doorward-{}", role.as_str()));
    let others = resource
        .iter()
        .filter(|(key, _)| key.as_str() != "service.name");
    ours.with_attributes(others.map(|(key, value)| KeyValue::new(key.clone(), value.clone())))
        .build()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::body::Bytes;
    use opentelemetry::propagation::TextMapPropagator;
    use tokio::net::TcpListener;
    use tracing::info_span;
    use tracing_opentelemetry::OpenTelemetrySpanExt;

    use super::*;

    fn settings(collector: Option<String>) -> LogSettings {
        LogSettings {
            filter: "info".to_owned(),
            format: LogFormat::Auto,
            collector,
        }
    }

    #[test]
    fn trace_context_is_propagated_without_collector_and_logged_when_sampled() {
        let provider = tracer_provider(&settings(None), Role::All).unwrap();
        tracing::subscriber::with_default(
            tracing_subscriber::registry().with(span_layer(&provider)),
            || {
                let trace = "0af7651916cd43dd8448eb211c80319c";
                for (flags, logged) in [("00", None), ("01", Some(trace.to_owned()))] {
                    let sent = format!("00-{trace}-b7ad6b7169203331-{flags}");
                    let parent =
                        std::collections::HashMap::from([("traceparent".to_owned(), sent)]);
                    let span = info_span!("request");
                    span.set_parent(TraceContextPropagator::new().extract(&parent))
                        .unwrap();
                    let mut headers = std::collections::HashMap::new();
                    TraceContextPropagator::new().inject_context(&span.context(), &mut headers);
                    let passed_on = &headers["traceparent"];
                    assert!(
                        passed_on.contains(trace) && passed_on.ends_with(flags),
                        "{headers:?}"
                    );
                    assert_eq!(doorward_rpc::trace_id(&span.context()), logged);
                }
                assert_eq!(
                    doorward_rpc::trace_id(&info_span!("request").context()),
                    None
                );
                assert_eq!(
                    doorward_rpc::trace_id(&info_span!(target: "h2", "frame").context()),
                    None
                );
            },
        );
    }

    /// Spans reach a collector, at the latest when the guard is dropped, under the name of the
    /// role.
    #[tokio::test(flavor = "multi_thread")]
    async fn spans_are_exported_before_the_process_ends() {
        let received = Arc::new(Mutex::new(Vec::new()));
        let collected = received.clone();
        let collector =
            axum::Router::new().fallback(move |uri: axum::http::Uri, body: Bytes| async move {
                collected
                    .lock()
                    .unwrap()
                    .push((uri.path().to_owned(), body));
                [("content-type", "application/grpc"), ("grpc-status", "0")]
            });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let incoming = tonic::transport::server::TcpIncoming::from(listener);
        let server = tonic::transport::Server::builder().add_routes(collector.into());
        tokio::spawn(server.serve_with_incoming(incoming));

        let provider = tracer_provider(&settings(Some(url)), Role::Gateway).unwrap();
        tracing::subscriber::with_default(
            tracing_subscriber::registry().with(span_layer(&provider)),
            || {
                info_span!("a request to be seen")
                    .in_scope(|| info_span!(target: "h2", "a frame").in_scope(|| ()));
            },
        );
        drop(TelemetryGuard {
            provider,
            log: LogQueue::start(std::io::sink()).unwrap(),
        });

        let received = received.lock().unwrap();
        let (path, body) = received.first().unwrap();
        let body = String::from_utf8_lossy(body);
        assert_eq!(
            path,
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
        );
        assert!(
            body.contains("a request to be seen") && body.contains("doorward-gateway"),
            "{body}"
        );
        assert!(!body.contains("a frame"), "{body}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn silent_collector_delays_shutdown_by_a_bounded_time() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let provider = tracer_provider(&settings(Some(url)), Role::Gateway).unwrap();
        tracing::subscriber::with_default(
            tracing_subscriber::registry().with(span_layer(&provider)),
            || {
                drop(info_span!("x").entered());
            },
        );
        let started = std::time::Instant::now();
        drop(TelemetryGuard {
            provider,
            log: LogQueue::start(std::io::sink()).unwrap(),
        });
        assert!(
            started.elapsed() < FLUSH_LIMIT * 2,
            "{:?}",
            started.elapsed()
        );
    }

    #[tokio::test]
    async fn invalid_collector_url_is_an_error() {
        let error = tracer_provider(&settings(Some("::".to_owned())), Role::All).unwrap_err();
        assert!(
            error.is::<SettingsError>()
                && error.to_string().contains("OTEL_EXPORTER_OTLP_ENDPOINT: "),
            "{error}"
        );
    }
}
