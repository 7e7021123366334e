//! The directory over gRPC: parse, call, convert.

use doorward_domain::ErrorCode;
use doorward_proto::{
    Failure,
    directory::v1::{
        FindLoginRequest, FindLoginResponse, GetInitRequest, GetInitResponse, UserStatus, WatchRequest, WatchResponse,
        directory_server,
    },
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::{Directory, convert, watch};

pub(crate) struct Service {
    pub(crate) directory: Directory,
    pub(crate) shutdown: CancellationToken,
}

#[tonic::async_trait]
impl directory_server::Directory for Service {
    async fn find_login(&self, request: Request<FindLoginRequest>) -> Result<Response<FindLoginResponse>, Status> {
        let checked_at = self.directory.clock.now().as_micros();
        let user = self.directory.find_login(&request.get_ref().username).await.map_err(Failure::from)?;
        Ok(Response::new(FindLoginResponse {
            status: user.as_ref().map_or(UserStatus::Unspecified, |user| user.status.into()).into(),
            user_gid: user.map(|user| user.gid.to_string()),
            checked_at,
        }))
    }

    async fn get_init(&self, request: Request<GetInitRequest>) -> Result<Response<GetInitResponse>, Status> {
        let user = convert::gid(&request.get_ref().user_gid, "user_gid")?;
        if let Some(known) = request.get_ref().known_cursor
            && self.directory.feed_head().await.map_err(Failure::from)? == known
        {
            return Ok(Response::new(GetInitResponse { cursor: known, is_unchanged: true, ..Default::default() }));
        }
        let init = self.directory.find_init(user).await.map_err(Failure::from)?;
        let init = init.ok_or_else(|| Failure::new(ErrorCode::Unauthenticated))?;
        Ok(Response::new(convert::init(init)))
    }

    type WatchStream = ReceiverStream<Result<WatchResponse, Status>>;

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let cursor = match request.get_ref().cursor {
            Some(cursor) if cursor < 0 => return Err(Failure::invalid("cursor").into()),
            Some(cursor) => cursor,
            None => self.directory.feed_head().await.map_err(Failure::from)?,
        };
        let (sender, receiver) = mpsc::channel(4);
        tokio::spawn(watch::follow(self.directory.clone(), cursor, sender, self.shutdown.clone()));
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}
