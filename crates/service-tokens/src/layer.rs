//! Tower service that checks the service token before every handler of a gRPC service. Without an
//! accepted token, no call reaches a handler.

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
    authenticator::{ClientAuthenticator, ClientIdentity},
    denials,
    until_revoked::UntilRevoked,
};

/// A gRPC service behind a [`ClientAuthenticator`].
#[derive(Clone)]
pub struct AuthenticatedService<S> {
    inner: S,
    authenticator: Arc<ClientAuthenticator>,
}

impl<S> AuthenticatedService<S> {
    #[must_use]
    pub const fn new(inner: S, authenticator: Arc<ClientAuthenticator>) -> Self {
        Self {
            inner,
            authenticator,
        }
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
        // `poll_ready` was called on this service and not on the clone, so the clone must not be
        // called.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let authenticator = self.authenticator.clone();
        Box::pin(async move {
            let authenticated = authenticator
                .authenticate(
                    request.uri().path(),
                    request.headers(),
                    request.extensions(),
                )
                .await;
            let client = match authenticated {
                Ok(client) => client,
                Err(status) => return Ok(status.into_http()),
            };
            // `check_project` reads the identity in the handlers.
            request.extensions_mut().insert(client.clone());
            let response = inner.call(request).await?;
            Ok(match client {
                ClientIdentity::Services => response,
                ClientIdentity::Client(grant) => {
                    response.map(|body| Body::new(UntilRevoked::new(body, grant.revoked.clone())))
                }
            })
        })
    }
}

/// Checks that a client is allowed to write in a project. A named token has a list of projects; the
/// three services are allowed to write in all.
///
/// # Errors
/// `PERMISSION_DENIED` if the token does not name the project.
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
