//! A directory without changes, which has only the call for the head of the feed.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use doorward_rpc::{
    Channel, Peer, ServiceToken,
    directory::v1::{GetCursorRequest, GetCursorResponse},
    server::{self, Listeners},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::{
    Request, Response, Status,
    body::Body,
    server::{Grpc, NamedService},
    service::Routes,
};
use tonic_prost::ProstCodec;

#[derive(Clone)]
struct QuietDirectory;

impl NamedService for QuietDirectory {
    const NAME: &'static str = "doorward.directory.v1.Directory";
}

impl tower::Service<http::Request<Body>> for QuietDirectory {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            if !request.uri().path().ends_with("/GetCursor") {
                return Ok(Status::unimplemented("this directory has only GetCursor").into_http());
            }
            let get_cursor = tower::service_fn(|_: Request<GetCursorRequest>| async {
                Ok::<_, Status>(Response::new(GetCursorResponse { cursor: 0 }))
            });
            Ok(Grpc::new(ProstCodec::default())
                .unary(get_cursor, request)
                .await)
        })
    }
}

/// Starts the directory and returns a connection to it.
pub(crate) fn quiet_directory() -> Channel {
    let (peer, incoming) = Peer::in_memory_pair();
    let (_, is_ready) = watch::channel(true);
    let listeners = Listeners {
        tcp: None,
        in_memory: Some(incoming),
    };
    let routes = Routes::new(QuietDirectory);
    tokio::spawn(server::serve(
        QuietDirectory::NAME,
        routes,
        listeners,
        is_ready,
        CancellationToken::new(),
    ));
    peer.connect(&ServiceToken::new(None)).unwrap()
}
