//! Responses without a body, and the service that answers every request with one.

use std::{
    convert::Infallible,
    future::{Ready, ready},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::service::Service;

/// Returns a response with this status and an empty body.
pub(crate) fn empty_response(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response
}

/// Service for other paths than that of Socket.IO. The gateway never forwards such a request.
#[derive(Clone)]
pub(crate) struct NotFoundService;

impl<B> Service<Request<B>> for NotFoundService {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn call(&self, _: Request<B>) -> Self::Future {
        ready(Ok(empty_response(StatusCode::NOT_FOUND).map(Full::new)))
    }
}
