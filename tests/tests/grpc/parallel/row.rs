//! One RPC that the tests call many times at once.

use std::{future::Future, pin::Pin};

use doorward_rpc::Rpc;
use doorward_tests::installation::SERVICE_TOKEN;
use prost::Message;
use tonic::{Status, client::Grpc, codegen::http::uri::PathAndQuery, transport::Channel};
use tonic_prost::ProstCodec;

use crate::grpc::contract::with_token;

type RunningCall = Pin<Box<dyn Future<Output = Result<(), Status>> + Send>>;

/// One RPC on fixed rows. `call` gets the number of the call, so that calls can differ where equal
/// ones would be rejected.
pub(crate) struct Row {
    pub(crate) rpc: Rpc,
    pub(crate) call: Box<dyn Fn(Channel, usize) -> RunningCall + Send + Sync>,
}

pub(crate) fn row<T, F>(rpc: Rpc, message: F) -> Row
where
    T: Message + 'static,
    F: Fn(usize) -> T + Send + Sync + 'static,
{
    let call = move |channel: Channel, number: usize| -> RunningCall {
        let request = with_token(message(number), SERVICE_TOKEN);
        Box::pin(async move {
            let mut grpc = Grpc::new(channel);
            grpc.ready()
                .await
                .map_err(|error| Status::unavailable(error.to_string()))?;
            let codec = ProstCodec::<T, ()>::default();
            let path = PathAndQuery::from_static(rpc.path());
            // A unary answer is sent like a stream of one message, so one code path handles both.
            // Only the first message of a stream is read.
            let answer = grpc.server_streaming(request, path, codec).await?;
            answer.into_inner().message().await.map(drop)
        })
    };
    Row {
        rpc,
        call: Box::new(call),
    }
}
