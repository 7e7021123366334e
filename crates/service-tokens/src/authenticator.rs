//! Identifies the client of a gRPC call, and decides whether it is allowed to call this RPC. The
//! users behind a call are up to the services.

use std::sync::Arc;

use doorward_rpc::{Access, Rpc, ServiceToken, service_token::HEADER};
use doorward_storage::Database;
use http::{Extensions, HeaderMap, HeaderValue};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::{
    certificate::{self, CertificateMatch},
    denials,
    registry::{Grant, Registry},
    secret::Hash,
};

/// The client that calls.
#[derive(Debug, Clone)]
pub(crate) enum ClientIdentity {
    /// One of the three services, which share a token.
    Services,
    /// A client with a named token.
    Client(Arc<Grant>),
}

/// The tokens that one service accepts.
pub struct ClientAuthenticator {
    /// The token of the three services. If it is not set, a call without a named token counts as
    /// theirs; that is only for listeners on the loopback interface.
    shared_token: ServiceToken,
    registry: Arc<Registry>,
}

impl ClientAuthenticator {
    /// Starts a task that reads the named tokens from `database` until `shutdown`. It must be
    /// called within a tokio runtime.
    #[must_use]
    pub fn start(
        database: Database,
        shared_token: ServiceToken,
        shutdown: &CancellationToken,
    ) -> Arc<Self> {
        denials::register();
        let registry = Arc::new(Registry::new(database));
        let reader = registry.clone();
        let shutdown = shutdown.clone();
        tokio::spawn(async move { reader.run(shutdown).await });
        Arc::new(Self {
            shared_token,
            registry,
        })
    }

    /// Returns the client of a call that is allowed.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` if the token is missing or unknown, or is sent with the certificate of
    /// another client; `PERMISSION_DENIED` if the token lacks the scope; `UNAVAILABLE` while the
    /// named tokens cannot be read.
    pub(crate) async fn authenticate(
        &self,
        path: &str,
        headers: &HeaderMap,
        extensions: &Extensions,
    ) -> Result<ClientIdentity, Status> {
        let caller = self.identify(headers).await?;
        if let ClientIdentity::Client(grant) = &caller {
            check_certificate(grant, extensions)?;
            check_scope(grant, path)?;
        }
        Ok(caller)
    }

    async fn identify(&self, headers: &HeaderMap) -> Result<ClientIdentity, Status> {
        let rejection = || Status::unauthenticated("x-service-token is missing or wrong");
        let mut values = headers.get_all(HEADER).iter();
        // Two headers are rejected: a proxy could have checked the other one.
        let token = match (values.next(), values.next()) {
            (value, None) => value.map(HeaderValue::as_bytes).unwrap_or_default(),
            (_, Some(_)) => return Err(rejection()),
        };
        if self.shared_token.matches(token) {
            return Ok(ClientIdentity::Services);
        }
        // A text with the form of a named token is never taken for a call of the services, so that
        // a revoked token does not gain permissions where no shared token is set.
        match Hash::parse(token) {
            Some(hash) => self.registry.find(&hash).await.map(ClientIdentity::Client),
            None if self.shared_token.is_set() => Err(rejection()),
            None => Ok(ClientIdentity::Services),
        }
    }
}

/// Checks that the client certificate of an encrypted connection has the name of the token. So a
/// stolen token is of no use without the key of the client.
fn check_certificate(grant: &Grant, extensions: &Extensions) -> Result<(), Status> {
    match certificate::match_name(extensions, grant.name.as_str()) {
        CertificateMatch::NoTls | CertificateMatch::Named => Ok(()),
        CertificateMatch::NameMismatch => {
            tracing::info!(
                client = %grant.name,
                "rejected a service token: the client certificate has another name"
            );
            Err(Status::unauthenticated(
                "the client certificate does not have the name of the service token",
            ))
        }
    }
}

/// Checks that the token has the scope of the RPC. An unknown path is only for the services.
fn check_scope(grant: &Grant, path: &str) -> Result<(), Status> {
    let access = Rpc::from_path(path).map_or(Access::Services, Rpc::access);
    let reason = match access {
        Access::Scope(scope) if grant.allows(scope) => return Ok(()),
        Access::Scope(scope) => format!("the service token lacks the scope `{scope}`"),
        Access::Services => "only Doorward's own services may call this".to_owned(),
    };
    denials::record(&grant.name, &reason);
    Err(Status::permission_denied(reason))
}

#[cfg(test)]
mod tests {
    use doorward_domain::Timestamp;
    use doorward_rpc::Scope;
    use doorward_storage::testing::TestDatabase;
    use tonic::Code;

    use super::*;
    use crate::{model::NamedToken, secret::Secret, store};

    #[tokio::test]
    async fn named_tokens_are_verified_without_a_shared_token() {
        let test = TestDatabase::sqlite(&store::tests::MIGRATIONS);
        let secret = Secret::generate().unwrap();
        let token = NamedToken::new(
            "a".parse().unwrap(),
            &secret,
            &[Scope::Read],
            &[],
            Timestamp::from_micros(0),
        );
        test.database
            .write(move |connection| store::insert(connection, &token))
            .await
            .unwrap();
        let shutdown = CancellationToken::new();
        let authenticator =
            ClientAuthenticator::start(test.database.clone(), ServiceToken::new(None), &shutdown);
        let code = async |rpc: Rpc, token: Option<&str>| {
            let token = token.map(|token| {
                (
                    HEADER.parse().unwrap(),
                    HeaderValue::from_str(token).unwrap(),
                )
            });
            let headers: HeaderMap = token.into_iter().collect();
            authenticator
                .authenticate(rpc.path(), &headers, &Extensions::new())
                .await
                .map(drop)
                .map_err(|status| status.code())
        };
        let unknown = Secret::generate().unwrap();
        for rpc in [Rpc::DirectoryGetUser, Rpc::DirectoryFindLogin] {
            assert_eq!(code(rpc, None).await, Ok(()));
            assert_eq!(code(rpc, Some("a shared token of a peer")).await, Ok(()));
            assert_eq!(
                code(rpc, Some(unknown.expose())).await,
                Err(Code::Unauthenticated)
            );
        }
        assert_eq!(
            code(Rpc::DirectoryGetUser, Some(secret.expose())).await,
            Ok(())
        );
        assert_eq!(
            code(Rpc::DirectoryFindLogin, Some(secret.expose())).await,
            Err(Code::PermissionDenied)
        );
        shutdown.cancel();
    }
}
