//! The layer before every handler of a gRPC service: without an accepted token no call reaches one.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use doorward_domain::Gid;
use tonic::{Request, Status, body::Body, server::NamedService};
use tower::Service;

use crate::{
    ClientAuthenticator, authenticator::ClientIdentity, denials, until_revoked::UntilRevoked,
};

/// A gRPC service behind a [`ClientAuthenticator`].
#[derive(Clone)]
pub struct AuthenticatedService<S> {
    inner: S,
    gate: Arc<ClientAuthenticator>,
}

impl<S> AuthenticatedService<S> {
    #[must_use]
    pub const fn new(inner: S, gate: Arc<ClientAuthenticator>) -> Self {
        Self { inner, gate }
    }
}

impl<S: NamedService> NamedService for AuthenticatedService<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<http::Request<Body>> for AuthenticatedService<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        // `poll_ready` was called on this service and not on the clone, so the clone must not be called.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let gate = self.gate.clone();
        Box::pin(async move {
            let admitted = gate
                .authenticate(
                    request.uri().path(),
                    request.headers(),
                    request.extensions(),
                )
                .await;
            let caller = match admitted {
                Ok(caller) => caller,
                Err(status) => return Ok(status.into_http()),
            };
            request.extensions_mut().insert(caller.clone());
            let response = inner.call(request).await?;
            Ok(match caller {
                ClientIdentity::Services => response,
                ClientIdentity::Client(grant) => {
                    response.map(|body| Body::new(UntilRevoked::new(body, grant.revoked.clone())))
                }
            })
        })
    }
}

/// Checks that the caller may write in a project: the token of a client names its projects.
///
/// # Errors
/// `PERMISSION_DENIED` when it does not name this one.
pub fn check_project<T>(request: &Request<T>, project: Gid) -> Result<(), Status> {
    match request.extensions().get::<ClientIdentity>() {
        Some(ClientIdentity::Services) => Ok(()),
        Some(ClientIdentity::Client(grant)) if grant.allows_project(project) => Ok(()),
        Some(ClientIdentity::Client(grant)) => {
            let reason = "the service token does not name the project";
            denials::record(&grant.name, reason);
            Err(Status::permission_denied(reason))
        }
        None => Err(Status::permission_denied(
            "the call did not pass the check of service tokens",
        )),
    }
}
