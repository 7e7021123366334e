//! The named tokens as this process knows them, read again from the database each 200 ms.

use std::{sync::Arc, time::Duration};

use doorward_domain::Gid;
use doorward_rpc::{RpcError, Scope};
use doorward_storage::{Database, Error};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::{ClientName, NamedToken, secret::Hash, store};

/// How often the table is read: a revocation takes effect within a second.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// When the table has not been read for longer, no named token is accepted.
const MAX_TABLE_AGE: Duration = Duration::from_secs(3);
/// How long a call with an unknown token waits for the table to be read again.
const MAX_LOOKUP_WAIT: Duration = Duration::from_secs(1);

/// A token in use.
#[derive(Debug)]
pub(crate) struct Grant {
    pub(crate) name: ClientName,
    hash: Hash,
    scopes: Vec<Scope>,
    projects: Vec<Gid>,
    /// Cancelled when the token is revoked.
    pub(crate) revoked: CancellationToken,
}

impl Grant {
    pub(crate) fn allows(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }

    pub(crate) fn allows_project(&self, project: Gid) -> bool {
        self.projects.contains(&project)
    }
}

#[derive(Default)]
struct TokenTable {
    grants: Vec<Arc<Grant>>,
    /// When the reading that found these began.
    loaded_at: Option<Instant>,
}

impl TokenTable {
    fn find(&self, hash: &Hash) -> Option<Arc<Grant>> {
        // Over all of them, so that the time does not tell which one it is.
        self.grants.iter().fold(None, |found, grant| {
            if grant.hash == *hash {
                Some(grant.clone())
            } else {
                found
            }
        })
    }

    /// Keeps what is unchanged, and ends what is gone.
    fn replace(&mut self, tokens: Vec<NamedToken>, read_at: Instant) {
        let mut before = std::mem::take(&mut self.grants);
        for token in tokens {
            let same = before
                .iter()
                .position(|grant| grant.hash == token.hash && grant.name == token.name);
            let grant = same.map(|position| before.swap_remove(position));
            self.grants.push(grant.unwrap_or_else(|| {
                let NamedToken {
                    name,
                    hash,
                    scopes,
                    projects,
                    created_at: _,
                } = token;
                Arc::new(Grant {
                    name,
                    hash,
                    scopes,
                    projects,
                    revoked: CancellationToken::new(),
                })
            }));
        }
        before.iter().for_each(|grant| grant.revoked.cancel());
        self.loaded_at = Some(read_at);
    }
}

pub(crate) struct Registry {
    database: Database,
    known: watch::Sender<TokenTable>,
}

impl Registry {
    pub(crate) fn new(database: Database) -> Self {
        Self {
            database,
            known: watch::Sender::new(TokenTable::default()),
        }
    }

    /// Keeps up with the database until `shutdown`.
    pub(crate) async fn run(&self, shutdown: CancellationToken) {
        let mut is_failing = false;
        while !shutdown.is_cancelled() {
            match self.refresh().await {
                Ok(()) => is_failing = false,
                Err(error) if !std::mem::replace(&mut is_failing, true) => {
                    tracing::warn!(%error, "cannot read the service tokens; revocations of them are delayed; retrying");
                }
                Err(_) => {}
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(POLL_INTERVAL) => {}
            }
        }
    }

    async fn refresh(&self) -> Result<(), Error> {
        let read_at = Instant::now();
        let tokens = self.database.query(store::list).await?;
        self.known
            .send_modify(|known| known.replace(tokens, read_at));
        Ok(())
    }

    /// Returns the grant of a token. An unknown token may have been created a moment ago: it is looked up once more when the
    /// table has been read again.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` for an unknown token, `UNAVAILABLE` while the table cannot be read.
    pub(crate) async fn find(&self, hash: &Hash) -> Result<Arc<Grant>, Status> {
        let called_at = Instant::now();
        let mut known = self.known.subscribe();
        let fresh = |known: &TokenTable| {
            known
                .loaded_at
                .is_some_and(|read_at| called_at.duration_since(read_at) < MAX_TABLE_AGE)
        };
        let found = Some(known.borrow())
            .filter(|known| fresh(known))
            .and_then(|known| known.find(hash));
        if let Some(found) = found {
            return Ok(found);
        }
        let read_since =
            known.wait_for(|known| known.loaded_at.is_some_and(|read_at| read_at >= called_at));
        match timeout(MAX_LOOKUP_WAIT, read_since).await {
            Ok(Ok(known)) => known
                .find(hash)
                .ok_or_else(|| Status::unauthenticated("x-service-token is unknown")),
            Ok(Err(_)) | Err(_) => Err(RpcError::unavailable().into()),
        }
    }
}
