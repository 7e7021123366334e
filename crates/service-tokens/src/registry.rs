//! In-memory copy of the named tokens, which is read from the database every 200 ms. A call waits
//! for the next read only if its token is unknown, because the token can have been created a moment
//! ago, or if the copy is too old.

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

use crate::{
    model::{ClientName, NamedToken},
    secret::Hash,
    store,
};

/// Pause between two reads of the table, so that a revocation takes effect within a second.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// Maximum age of the copy. No named token is accepted with an older copy, which could lack a
/// revocation.
const MAX_TABLE_AGE: Duration = Duration::from_secs(3);
/// Maximum time that a call with an unknown token waits for the next read of the table.
const MAX_LOOKUP_WAIT: Duration = Duration::from_secs(1);

/// A named token that is valid at the moment.
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

/// The copy of the table.
#[derive(Default)]
struct TokenTable {
    grants: Vec<Arc<Grant>>,
    /// Start of the query that returned these tokens; `None` before the first one.
    loaded_at: Option<Instant>,
}

impl TokenTable {
    fn find(&self, hash: &Hash) -> Option<Arc<Grant>> {
        // The fold visits all tokens, so that the time does not reveal which one matches.
        self.grants.iter().fold(None, |found, grant| {
            if grant.hash == *hash {
                Some(grant.clone())
            } else {
                found
            }
        })
    }

    /// Replaces the tokens, and cancels those that were deleted. An unchanged token keeps its
    /// grant, so that its open streams continue.
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
        // The grants that are still in the old list have been revoked.
        before.iter().for_each(|grant| grant.revoked.cancel());
        self.loaded_at = Some(read_at);
    }
}

/// The named tokens of this process.
pub(crate) struct Registry {
    database: Database,
    table: watch::Sender<TokenTable>,
}

impl Registry {
    pub(crate) fn new(database: Database) -> Self {
        Self {
            database,
            table: watch::Sender::new(TokenTable::default()),
        }
    }

    /// Reads the table repeatedly until `shutdown`.
    pub(crate) async fn run(&self, shutdown: CancellationToken) {
        // Only the first of several failures is logged.
        let mut is_failing = false;
        while !shutdown.is_cancelled() {
            match self.refresh().await {
                Ok(()) => is_failing = false,
                Err(error) if !std::mem::replace(&mut is_failing, true) => {
                    tracing::warn!(
                        %error,
                        "cannot read the service tokens; revocations of them are delayed; retrying"
                    );
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
        // The time before the query: the rows are at least as new as that.
        let read_at = Instant::now();
        let tokens = self.database.query(store::list).await?;
        self.table
            .send_modify(|table| table.replace(tokens, read_at));
        Ok(())
    }

    /// Returns the grant of a token. An unknown token may have been created a moment ago, so it is
    /// looked up once more after the next read of the table.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` for an unknown token, `UNAVAILABLE` while the table cannot be read.
    pub(crate) async fn find(&self, hash: &Hash) -> Result<Arc<Grant>, Status> {
        let called_at = Instant::now();
        let mut table = self.table.subscribe();
        let is_fresh = |table: &TokenTable| {
            table
                .loaded_at
                .is_some_and(|read_at| called_at.duration_since(read_at) < MAX_TABLE_AGE)
        };
        let found = Some(table.borrow())
            .filter(|table| is_fresh(table))
            .and_then(|table| table.find(hash));
        if let Some(found) = found {
            return Ok(found);
        }
        let next_read =
            table.wait_for(|table| table.loaded_at.is_some_and(|read_at| read_at >= called_at));
        match timeout(MAX_LOOKUP_WAIT, next_read).await {
            Ok(Ok(table)) => table
                .find(hash)
                .ok_or_else(|| Status::unauthenticated("x-service-token is unknown")),
            Ok(Err(_)) | Err(_) => Err(RpcError::unavailable().into()),
        }
    }
}
