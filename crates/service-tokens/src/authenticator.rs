//! Identifies the client of a call, and decides whether it is allowed to call this RPC.

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
    /// One of the three services.
    Services,
    /// A client with a token of its own.
    Client(Arc<Grant>),
}

/// The tokens that one service accepts.
pub struct ClientAuthenticator {
    /// The token of the three services. Without one, a call without a named token counts as theirs; only for loopback.
    shared_token: ServiceToken,
    registry: Arc<Registry>,
}

impl ClientAuthenticator {
    /// Follows the named tokens in `database` until `shutdown`. Must be called within a tokio runtime.
    #[must_use]
    pub fn start(
        database: Database,
        shared: ServiceToken,
        shutdown: &CancellationToken,
    ) -> Arc<Self> {
        denials::register();
        let registry = Arc::new(Registry::new(database));
        let (following, shutdown) = (registry.clone(), shutdown.clone());
        tokio::spawn(async move { following.run(shutdown).await });
        Arc::new(Self {
            shared_token: shared,
            registry,
        })
    }

    /// # Errors
    /// `UNAUTHENTICATED` for a token that is missing, unknown or shown with the certificate of another client;
    /// `PERMISSION_DENIED` when the token lacks the scope; `UNAVAILABLE` while the named tokens cannot be read.
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
        let refused = || Status::unauthenticated("x-service-token is missing or wrong");
        let mut sent = headers.get_all(HEADER).iter();
        let sent = match (sent.next(), sent.next()) {
            (sent, None) => sent.map(HeaderValue::as_bytes).unwrap_or_default(),
            (_, Some(_)) => return Err(refused()),
        };
        if self.shared_token.matches(sent) {
            return Ok(ClientIdentity::Services);
        }
        match Hash::parse(sent) {
            Some(hash) => self.registry.find(&hash).await.map(ClientIdentity::Client),
            None if self.shared_token.is_set() => Err(refused()),
            None => Ok(ClientIdentity::Services),
        }
    }
}

fn check_certificate(grant: &Grant, extensions: &Extensions) -> Result<(), Status> {
    match certificate::match_name(extensions, grant.name.as_str()) {
        CertificateMatch::NoTls | CertificateMatch::Named => Ok(()),
        CertificateMatch::NameMismatch => {
            tracing::info!(client = %grant.name, "refused a service token: the client certificate has another name");
            Err(Status::unauthenticated(
                "the client certificate does not have the name of the service token",
            ))
        }
    }
}

fn check_scope(grant: &Grant, path: &str) -> Result<(), Status> {
    let access = Rpc::from_path(path).map_or(Access::Services, Rpc::access);
    let needed = match access {
        Access::Scope(scope) if grant.allows(scope) => return Ok(()),
        Access::Scope(scope) => format!("the service token lacks the scope `{scope}`"),
        Access::Services => "only Doorward's own services may call this".to_owned(),
    };
    denials::record(&grant.name, &needed);
    Err(Status::permission_denied(needed))
}

#[cfg(test)]
mod tests {
    use doorward_domain::Timestamp;
    use doorward_rpc::Scope;
    use doorward_storage::testing::TestDatabase;
    use tonic::Code;

    use super::*;
    use crate::{NamedToken, Secret, store};

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
        let gate =
            ClientAuthenticator::start(test.database.clone(), ServiceToken::new(None), &shutdown);
        let code = async |rpc: Rpc, token: Option<&str>| {
            let token = token.map(|token| {
                (
                    HEADER.parse().unwrap(),
                    HeaderValue::from_str(token).unwrap(),
                )
            });
            let headers: HeaderMap = token.into_iter().collect();
            gate.authenticate(rpc.path(), &headers, &Extensions::new())
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
