//! A response body that ends when the service token of the client is revoked. Without it, an open
//! stream would continue after the revocation.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::{Status, body::Body};

/// A response body that ends with `UNAUTHENTICATED` when `revoked` completes.
pub(crate) struct UntilRevoked {
    inner: Body,
    revoked: Pin<Box<WaitForCancellationFutureOwned>>,
    has_ended: bool,
}

impl UntilRevoked {
    pub(crate) fn new(inner: Body, revoked: CancellationToken) -> Self {
        Self {
            inner,
            revoked: Box::pin(revoked.cancelled_owned()),
            has_ended: false,
        }
    }
}

impl http_body::Body for UntilRevoked {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        // This is polled before the body, so that a body with many frames ends, too.
        if self.revoked.as_mut().poll(context).is_ready() {
            self.has_ended = true;
            let mut trailers = HeaderMap::new();
            let added =
                Status::unauthenticated("the service token was revoked").add_header(&mut trailers);
            return Poll::Ready(Some(added.map(|()| Frame::trailers(trailers))));
        }
        Pin::new(&mut self.inner).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.has_ended || self.inner.is_end_stream()
    }

    // The size is unknown, because the body can end early.
    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
