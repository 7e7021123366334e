//! Outgoing connections to a peer, and the metadata of every call to it: the service token, the
//! trace context, the ids of the HTTP request, and a deadline.

use std::time::Duration;

use hyper_util::rt::TokioIo;
use opentelemetry::propagation::Injector;
use tokio::{io::DuplexStream, sync::mpsc};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataKey, MetadataMap, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{ClientTlsConfig, Endpoint},
};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::service_token::ServiceToken;

/// Maximum duration of a call, including the time in queues and for hashes.
pub const RPC_DEADLINE: Duration = Duration::from_secs(10);
/// Flow control windows of HTTP/2 (RFC 9113, section 5.2). An init response of usual size fits, so
/// that it is sent without waiting for window updates.
pub(crate) const STREAM_WINDOW: u32 = 2 * 1024 * 1024;
pub(crate) const CONNECTION_WINDOW: u32 = 8 * 1024 * 1024;
/// Maximum size of a message. An init response with ten thousand members has about 2 MB.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024 * 1024;
/// Size of the buffer in each direction of a connection in memory.
const IN_MEMORY_BUFFER_BYTES: usize = 128 * 1024;
pub(crate) const REQUEST_ID: &str = "x-request-id";
pub(crate) const CLIENT_REQUEST_ID: &str = "x-client-request-id";

/// Ids of the HTTP request on whose behalf a call is made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestIds {
    /// Id that the gateway assigned to the request.
    pub request_id: Option<String>,
    /// Id that the client sent with the request. It proves nothing: any client can send any id.
    pub client_request_id: Option<String>,
}

tokio::task_local! {
    /// Ids of the HTTP request on whose behalf this task calls peers.
    pub static CURRENT_REQUEST_IDS: RequestIds;
}

/// Connection to a peer. It is made when it is first used, and again after it was lost.
pub type Channel = InterceptedService<tonic::transport::Channel, MetadataInterceptor>;

/// Address of a service.
#[derive(Clone)]
pub enum Peer {
    Url {
        url: String,
        tls: Option<ClientTlsConfig>,
    },
    /// A service in this process.
    InMemory(mpsc::Sender<DuplexStream>),
}

impl Peer {
    /// Returns both ends of an in-memory listener.
    #[must_use]
    pub fn in_memory_pair() -> (Self, mpsc::Receiver<DuplexStream>) {
        let (sender, receiver) = mpsc::channel(16);
        (Self::InMemory(sender), receiver)
    }

    /// Prepares the connection; it is made when it is first used. Must be called within a tokio
    /// runtime, which then drives the connection.
    ///
    /// # Errors
    /// The URL or the TLS settings are invalid.
    pub fn connect(&self, token: &ServiceToken) -> Result<Channel, tonic::transport::Error> {
        let channel = match self {
            Self::Url { url, tls } => {
                let endpoint = configure_endpoint(Endpoint::from_shared(url.clone())?);
                match tls {
                    Some(tls) => endpoint.tls_config(tls.clone())?.connect_lazy(),
                    None => endpoint.connect_lazy(),
                }
            }
            // Each (re)connection sends one end of a new pipe to the listener in this process.
            Self::InMemory(sender) => {
                let sender = sender.clone();
                configure_endpoint(Endpoint::from_static("http://in-memory"))
                    .connect_with_connector_lazy(tower::service_fn(move |_| {
                        let sender = sender.clone();
                        async move {
                            let (client, server) = tokio::io::duplex(IN_MEMORY_BUFFER_BYTES);
                            sender.send(server).await.map_err(std::io::Error::other)?;
                            Ok::<_, std::io::Error>(TokioIo::new(client))
                        }
                    }))
            }
        };
        Ok(InterceptedService::new(
            channel,
            MetadataInterceptor {
                token: token.metadata(),
            },
        ))
    }
}

/// Sets time limits with which a peer that does not answer is noticed within ten seconds.
fn configure_endpoint(endpoint: Endpoint) -> Endpoint {
    endpoint
        .connect_timeout(Duration::from_secs(2))
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_secs(5))
        .keep_alive_timeout(Duration::from_secs(5))
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
}

/// Adds to each call the metadata that the services expect.
#[derive(Clone)]
pub struct MetadataInterceptor {
    token: Option<MetadataValue<Ascii>>,
}

impl Interceptor for MetadataInterceptor {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        // The deadline covers the time until a response begins, so it does not end a stream.
        if request.metadata().get("grpc-timeout").is_none() {
            request.set_timeout(RPC_DEADLINE);
        }
        if let Some(token) = &self.token {
            request
                .metadata_mut()
                .insert(crate::service_token::HEADER, token.clone());
        }
        let ids = CURRENT_REQUEST_IDS
            .try_with(Clone::clone)
            .unwrap_or_default();
        for (header, id) in [
            (REQUEST_ID, ids.request_id),
            (CLIENT_REQUEST_ID, ids.client_request_id),
        ] {
            if let Some(Ok(id)) = id.map(|id| id.parse()) {
                request.metadata_mut().insert(header, id);
            }
        }
        let context = tracing::Span::current().context();
        opentelemetry::global::get_text_map_propagator(|propagator| {
            propagator.inject_context(&context, &mut MetadataInjector(request.metadata_mut()));
        });
        Ok(request)
    }
}

struct MetadataInjector<'a>(&'a mut MetadataMap);

impl Injector for MetadataInjector<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(key), Ok(value)) = (key.parse::<MetadataKey<Ascii>>(), value.parse()) {
            self.0.insert(key, value);
        }
    }
}

/// Asks the health service of a peer about one of its services, by its full name.
///
/// # Errors
/// A text for the readiness check: the peer cannot be reached, or is not serving.
pub async fn check_health(channel: Channel, service: &str) -> Result<(), String> {
    use tonic_health::pb::{
        HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
    };
    let request = HealthCheckRequest {
        service: service.to_owned(),
    };
    match HealthClient::new(channel).check(request).await {
        Ok(response) if response.get_ref().status() == ServingStatus::Serving => Ok(()),
        Ok(_) => Err("not serving".to_owned()),
        Err(status) => Err(format!("{:?}", status.code())),
    }
}
