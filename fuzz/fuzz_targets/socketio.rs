//! Fuzzes the parsers of Engine.IO and Socket.IO packets that the gateway uses. An input is the
//! body of a request of a polling client.

#![no_main]

use std::{cell::LazyCell, convert::Infallible, thread_local};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Full};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use socketioxide::{
    SocketIo,
    extract::{AckSender, SocketRef, TryData},
    service::SocketIoService,
};
use tokio::runtime::{Builder, Runtime};
use tower::{Service, service_fn};

const PATH: &str = "/sync/io";

type Answer = Response<Empty<Bytes>>;
type Sockets =
    SocketIoService<tower::util::BoxCloneSyncService<Request<Full<Bytes>>, Answer, Infallible>>;

thread_local! {
    static SERVER: LazyCell<(Runtime, Sockets)> = LazyCell::new(|| {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let entered = runtime.enter();
        let nothing = service_fn(|_: Request<Full<Bytes>>| std::future::ready(Ok(Answer::default())));
        let (sockets, io) = SocketIo::builder()
            .req_path(PATH)
            .max_payload(100_000)
            .build_with_inner_svc(tower::util::BoxCloneSyncService::new(nothing));
        io.ns("/", async |socket: SocketRef, TryData(_): TryData<Value>| {
            socket.on("init", async |TryData(data): TryData<Value>, ack: AckSender| {
                let _ = ack.send(&data.ok());
            });
        });
        drop(entered);
        (runtime, sockets)
    });
}

fuzz_target!(
    |input: &[u8]| SERVER.with(|server| server.0.block_on(session(server.1.clone(), input)))
);

/// Runs a session that connects, sends the input and closes.
async fn session(mut sockets: Sockets, input: &[u8]) {
    let (status, opened) = call(&mut sockets, "GET", "", b"").await;
    assert_eq!(status, StatusCode::OK);
    let opened: Value = serde_json::from_slice(&opened[1..]).expect("the packet of a handshake");
    let session = format!("&sid={}", opened["sid"].as_str().expect("an id"));
    let (status, _) = call(&mut sockets, "POST", &session, b"40{}").await;
    assert_eq!(status, StatusCode::OK);
    let (status, _) = call(&mut sockets, "POST", &session, input).await;
    assert!(
        status == StatusCode::OK || status.is_client_error(),
        "{status}"
    );
    call(&mut sockets, "POST", &session, b"1").await;
    // The tasks of the session need a few turns of the runtime to end.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

async fn call(
    sockets: &mut Sockets,
    method: &str,
    query: &str,
    body: &[u8],
) -> (StatusCode, Bytes) {
    let request = Request::builder()
        .method(method)
        .uri(format!("{PATH}/?EIO=4&transport=polling{query}"))
        .header("content-type", "text/plain;charset=UTF-8")
        .body(Full::new(Bytes::copy_from_slice(body)))
        .expect("a request");
    let (head, body) = sockets.call(request).await.expect("an answer").into_parts();
    (
        head.status,
        body.collect().await.expect("a body").to_bytes(),
    )
}
