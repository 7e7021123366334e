//! `/sync/io`: routes polling requests and WebSocket handshakes to `doorward_sync`, and gives it
//! access to the rest of the gateway ([`SocketBackend`]). It knows neither Engine.IO nor Socket.IO.

use std::{sync::Arc, time::Duration};

use actix_web::{
    HttpMessage, HttpRequest, HttpResponse,
    http::{StatusCode, header::CONTENT_TYPE},
    web::{self, Data, Payload, ServiceConfig},
};
use doorward_rpc::{RpcError, directory::v1::SyncResponse};
use doorward_sync::{
    Feeds, InitResponse, PATH, SocketBackend, Sockets, SubscriptionStart, TokenStatus,
};
use doorward_token::Claims;
use futures_util::future::BoxFuture;
use http::{Method, Request};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::{
    handlers::sync::{self, SyncCursors},
    http::{
        body::{self, Body},
        client_address::TrustedProxies,
        denials,
        envelope::ApiError,
        routing::not_allowed,
    },
    peers::Peers,
    session::{sessions::Sessions, trust_store::TokenError},
};

/// Maximum size of the body of a polling request, and so of a message.
const MAX_BYTES: usize = 100_000;
/// Maximum time in which the whole body must arrive.
const MAX_TIME: Duration = Duration::from_secs(10);

/// Starts the sockets. They stop at `shutdown`.
pub(crate) fn start(
    sessions: Arc<Sessions>,
    peers: Peers,
    shutdown: &CancellationToken,
) -> Arc<Sockets> {
    let directory = peers.directory.clone();
    Sockets::start(
        Arc::new(GatewayBackend { sessions, peers }),
        directory,
        shutdown.clone(),
    )
}

/// Adds the routes of polling. WebSocket handshakes do not pass through them
/// ([`crate::http::server`]).
pub(crate) fn routes(config: &mut ServiceConfig) {
    let resource = web::resource([PATH.to_owned(), format!("{PATH}/")]);
    let resource = resource.get(poll).head(poll_head).post(poll);
    config.service(resource.default_service(not_allowed("GET, HEAD, POST")));
}

/// Handles a polling request of Engine.IO.
async fn poll(
    request: HttpRequest,
    payload: Payload,
    sockets: Data<Sockets>,
    trusted_proxies: Data<TrustedProxies>,
) -> Result<HttpResponse, ApiError> {
    body::check_encoding(request.headers())?;
    let body = tokio::time::timeout(MAX_TIME, payload.to_bytes_limited(MAX_BYTES)).await;
    let body = body
        .map_err(|_| ApiError::BodyTimeout)?
        .map_err(|_| ApiError::PayloadTooLarge)?;
    let body = body.map_err(|_| ApiError::invalid_body("it ended early"))?;
    let method = if request.method() == actix_web::http::Method::POST {
        Method::POST
    } else {
        Method::GET
    };
    let polling_request = Request::builder()
        .method(method)
        .uri(request.uri().to_string());
    let polling_request = polling_request
        .header("content-type", request.content_type())
        .body(body)
        .map_err(|_| ApiError::not_found())?;
    let client = trusted_proxies.find_client(&request);
    let (head, body) = sockets
        .handle_polling(polling_request, client)
        .await
        .into_parts();
    let status = StatusCode::from_u16(head.status.as_u16()).map_err(|_| ApiError::internal())?;
    let content_type = head
        .headers
        .get("content-type")
        .and_then(|value| value.to_str().ok());
    let mut response = HttpResponse::build(status);
    if let Some(content_type) = content_type {
        response.insert_header((CONTENT_TYPE, content_type));
    }
    Ok(response.body(body))
}

/// Answers `HEAD` like `GET`, except for a session: this would take the packets that wait in it,
/// and a response to `HEAD` has no body to deliver them.
async fn poll_head(
    request: HttpRequest,
    payload: Payload,
    sockets: Data<Sockets>,
    trusted_proxies: Data<TrustedProxies>,
) -> Result<HttpResponse, ApiError> {
    if request
        .query_string()
        .split('&')
        .any(|pair| pair.starts_with("sid="))
    {
        return Err(ApiError::invalid_parameter("sid"));
    }
    poll(request, payload, sockets, trusted_proxies).await
}

/// Access of the sockets to the rest of the gateway.
struct GatewayBackend {
    sessions: Arc<Sessions>,
    peers: Peers,
}

impl SocketBackend for GatewayBackend {
    fn verify_token(&self, token: &str) -> Result<Claims, doorward_sync::TokenError> {
        self.sessions.verify(token).map_err(|error| match error {
            TokenError::Invalid => doorward_sync::TokenError::Invalid,
            TokenError::Unavailable => doorward_sync::TokenError::Unavailable,
        })
    }

    fn token_status(&self, claims: &Claims) -> TokenStatus {
        match self.sessions.recheck(claims) {
            Err(TokenError::Unavailable) => TokenStatus::Unknown,
            Err(TokenError::Invalid) => TokenStatus::Invalid,
            Ok(()) if self.sessions.is_renewal_due(claims) => TokenStatus::RenewalDue,
            Ok(()) => TokenStatus::Valid,
        }
    }

    fn keys_generation(&self) -> u64 {
        self.sessions.keys_generation()
    }

    fn renew(&self, token: String) -> BoxFuture<'_, Result<String, RpcError>> {
        Box::pin(async {
            let renewed = self.sessions.renew(&self.peers, token).await?;
            Ok(renewed.to_string())
        })
    }

    fn sync<'a>(
        &'a self,
        claims: &'a Claims,
        parameters: Option<Map<String, Value>>,
    ) -> BoxFuture<'a, InitResponse> {
        Box::pin(async {
            match init_socket(&self.peers, claims, parameters).await {
                Ok(response) => response,
                Err(error) => {
                    // The middleware does not see this response.
                    if error.code_and_message().0 == 403 {
                        denials::record(Some(claims.sub));
                    }
                    InitResponse {
                        envelope: error.envelope(),
                        subscription: None,
                    }
                }
            }
        })
    }

    fn envelope(&self, error: &RpcError) -> Value {
        ApiError::from(error.clone()).envelope()
    }
}

/// Returns the response that `POST /sync/get` would give, and the subscription for the events after
/// it.
async fn init_socket(
    peers: &Peers,
    claims: &Claims,
    parameters: Option<Map<String, Value>>,
) -> Result<InitResponse, ApiError> {
    let body = Body::from_object(
        parameters.ok_or_else(|| ApiError::invalid_body("it is not a JSON object"))?,
    );
    let since = SyncCursors::parse(&body)?;
    let page = sync::fetch_sync_page(peers, claims.sub, since, true).await?;
    let envelope = serde_json::from_slice(&sync::serialize_sync_page(since, &page)?)
        .map_err(|_| ApiError::internal())?;
    let feeds = Feeds {
        cc_cursor: since.cc_cursor,
        project: since.project,
        cursor: since.cursor.filter(|_| since.project.is_some()),
    };
    let SyncResponse {
        position,
        has_more,
        audiences,
        ..
    } = page;
    Ok(InitResponse {
        envelope,
        subscription: Some(SubscriptionStart {
            feeds,
            position,
            has_more,
            audiences,
        }),
    })
}
