//! Logins: throttled, checked, counted, written down, and given a token.

use std::{net::IpAddr, sync::Arc, time::Duration};

use doorward_domain::{Clock, Gid, Timestamp};
use doorward_storage::{AnyConnection, Database};
use doorward_token::Kind;
use tokio::sync::Semaphore;
use tracing::Instrument;

use crate::{
    ApiKeys, Config, Credentials, Error,
    audit::{self, Action, Entry, Origin},
    credentials::Verified,
    revocation::{Covers, Revocation},
    store,
    throttle::{self, Bucket, Count, Gate, Permit, Place},
    tokens::{Login, Tokens},
};

/// How long an attempt waits for others with the same name.
const PATIENCE: Duration = Duration::from_secs(8);
/// Looked up when there is no user, so that both take the same steps.
const NOBODY: Gid = Gid::NIL;

pub(crate) struct Logins {
    pub(crate) database: Database,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) config: Arc<Config>,
    pub(crate) credentials: Credentials,
    pub(crate) api_keys: ApiKeys,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) gate: Arc<Gate>,
    /// How many may wait at the gate.
    pub(crate) waiting: Semaphore,
}

/// A login with a password.
pub(crate) struct Attempt {
    /// None when nobody of that name may log in here.
    pub(crate) user: Option<Gid>,
    /// As the directory normalised it.
    pub(crate) username: String,
    pub(crate) password: String,
    /// When the directory said that the user may log in.
    pub(crate) begun: Timestamp,
    pub(crate) project: Option<Gid>,
    pub(crate) address: IpAddr,
    pub(crate) origin: Origin,
}

/// A login with an API key.
pub(crate) struct ApiAttempt {
    pub(crate) api_key: String,
    /// None when the key's user may not log in to the project.
    pub(crate) user: Option<Gid>,
    pub(crate) project: Gid,
    pub(crate) begun: Timestamp,
    pub(crate) address: IpAddr,
    pub(crate) origin: Origin,
}

/// An attempt that was let through, and what was read for it.
struct Admitted {
    /// To be kept until the outcome is written.
    permit: Permit,
    address: Bucket,
    name: Bucket,
    has_name_count: bool,
    hash: Option<String>,
    last_login_at: Option<Timestamp>,
}

/// What a look at the database tells about an attempt.
struct Look {
    counts: Vec<Count>,
    hash: Option<String>,
    last_login_at: Option<Timestamp>,
}

impl Look {
    fn count(&self, bucket: &Bucket) -> Option<&Count> {
        self.counts.iter().find(|count| count.bucket == bucket.key)
    }
}

impl Logins {
    /// Goes on to its end also when whoever asks goes away: what was hashed is counted.
    ///
    /// # Errors
    /// [`Error::UnknownUser`], [`Error::Throttled`], [`Error::HashQueueFull`], and those of the database.
    pub(crate) async fn by_password(self: Arc<Self>, attempt: Attempt) -> Result<String, Error> {
        let work = async move { self.check_password(attempt).await };
        let done = tokio::spawn(work.in_current_span()).await;
        done.map_err(|_| Error::Internal("a login ended early"))?
    }

    async fn check_password(&self, attempt: Attempt) -> Result<String, Error> {
        let place = Place::of(attempt.address);
        let admitted = self.admit(&attempt, &place).await?;
        let verified = self.credentials.verify(attempt.user, admitted.hash.clone(), &attempt.password).await?;
        let token = match verified {
            Some(verified) => self.succeed(&attempt, &admitted, &place, verified).await?,
            None => None,
        };
        match token {
            Some(token) => Ok(token),
            None => {
                self.fail(&attempt, admitted).await?;
                Err(Error::UnknownUser)
            }
        }
    }

    /// Whose key this is, if attempts from this address are let through.
    ///
    /// # Errors
    /// [`Error::Throttled`], and those of the database.
    pub(crate) async fn find_api_key(
        &self,
        text: String,
        address: IpAddr,
        origin: &Origin,
    ) -> Result<Option<Gid>, Error> {
        let bucket = Bucket::of_address(&Place::of(address), &self.config.throttle);
        let (key, api_keys) = (bucket.key.clone(), self.api_keys.clone());
        let (counts, found) = self
            .database
            .read(move |connection| {
                let counts = store::throttle::list(connection, [&key, &key, &key])?;
                Ok::<_, Error>((counts, api_keys.find(connection, &text)?))
            })
            .await?;
        let entry = Entry::new(Action::ApiLoginThrottled, None, origin);
        self.refuse_blocked(&counts.iter().collect::<Vec<_>>(), entry).await?;
        Ok(found.map(|key| key.user))
    }

    /// # Errors
    /// [`Error::UnknownUser`], and those of the database.
    pub(crate) async fn by_api_key(&self, attempt: ApiAttempt) -> Result<String, Error> {
        let ApiAttempt { api_key, user, project, begun, address, origin } = attempt;
        let bucket = Bucket::of_address(&Place::of(address), &self.config.throttle);
        let (api_keys, config, clock) = (self.api_keys.clone(), self.config.clone(), self.clock.clone());
        let login = self
            .database
            .write(move |connection| {
                let key = api_keys.find(connection, &api_key)?;
                let key = key.filter(|key| key.project == project && Some(key.user) == user);
                let revocation = find_revocation(connection, user.unwrap_or(NOBODY))?;
                let now = clock.now();
                let Some(key) = key.filter(|_| !is_revoked_since(revocation.as_ref(), begun)) else {
                    throttle::count_failure(connection, &[&bucket], &config.throttle, now)?;
                    let entry = Entry::new(Action::ApiLoginFailed, user, &origin).in_project(Some(project));
                    audit::record(connection, entry, now)?;
                    return Ok::<_, Error>(None);
                };
                if key.is_use_due(now) {
                    store::api_key::note_use(connection, key.user, now)?;
                }
                let entry = Entry::new(Action::ApiLogin, user, &origin.by(key.user)).in_project(Some(project));
                audit::record(connection, entry, now)?;
                let kind = (Kind::Api, Some(project));
                Ok(Some(Login { subject: key.user, kind, at: begun, not_before: not_before(revocation) }))
            })
            .await?;
        self.tokens.issue(&login.ok_or(Error::UnknownUser)?)
    }

    async fn admit(&self, attempt: &Attempt, place: &Place) -> Result<Admitted, Error> {
        let config = &self.config.throttle;
        let address = Bucket::of_address(place, config);
        let (name, name_here) =
            (Bucket::of_name(&attempt.username, config), Bucket::of_name_at(&attempt.username, place, config));
        let give_up_at = tokio::time::Instant::now() + PATIENCE;
        let mut ticket = self.gate.approach(&[&address.key, &name.key, &name_here.key]);
        let mut _waiting = None;
        loop {
            let look = self.look(attempt, place, [&address.key, &name.key, &name_here.key]).await?;
            let now = self.clock.now();
            let is_known = throttle::is_known(look.last_login_at, now);
            let name = if is_known { &name_here } else { &name };
            let counts: Vec<&Count> = [&address, name].into_iter().filter_map(|bucket| look.count(bucket)).collect();
            let entry = Entry::new(Action::LoginThrottled, attempt.user, &attempt.origin).in_project(attempt.project);
            self.refuse_blocked(&counts, entry).await?;
            let room = |bucket: &Bucket| bucket.allowed_at_once(look.count(bucket), now);
            match ticket.enter(&[(&address.key, room(&address)), (&name.key, room(name))]) {
                Ok(permit) => {
                    let has_name_count = look.count(name).is_some();
                    let name = name.clone();
                    let Look { hash, last_login_at, .. } = look;
                    return Ok(Admitted { permit, address, name, has_name_count, hash, last_login_at });
                }
                Err((same, wait_for)) => {
                    ticket = same;
                    if let Some(wait_for) = wait_for {
                        if _waiting.is_none() {
                            _waiting = Some(self.waiting.try_acquire().map_err(|_| Error::HashQueueFull)?);
                        }
                        let room = tokio::time::timeout_at(give_up_at, wait_for.notified()).await;
                        room.map_err(|_| Error::HashQueueFull)?;
                    }
                }
            }
        }
    }

    async fn look(&self, attempt: &Attempt, place: &Place, buckets: [&str; 3]) -> Result<Look, Error> {
        let (user, place) = (attempt.user.unwrap_or(NOBODY), place.clone());
        let buckets = buckets.map(str::to_owned);
        self.database
            .read(move |connection| {
                let counts = store::throttle::list(connection, buckets.each_ref().map(String::as_str))?;
                let (hash, last_login_at) = store::known_address::find_with_hash(connection, user, place.as_str())?
                    .map_or((None, None), |(hash, at)| (Some(hash), at));
                Ok(Look { counts, hash, last_login_at })
            })
            .await
    }

    /// Refuses whoever comes during a wait, and writes down the first of them.
    async fn refuse_blocked(&self, counts: &[&Count], entry: Entry) -> Result<(), Error> {
        let now = self.clock.now();
        let longest = counts.iter().filter_map(|count| Some((throttle::wait(count, now)?, *count)));
        let Some((wait, count)) = longest.max_by_key(|(wait, _)| *wait) else {
            return Ok(());
        };
        if count.told_until < count.blocked_until {
            let (bucket, until) = (count.bucket.clone(), count.blocked_until);
            let write = move |connection: &mut AnyConnection| {
                if store::throttle::note_told(connection, &bucket, until)? {
                    audit::record(connection, entry, now)?;
                }
                Ok::<_, Error>(())
            };
            self.database.write(write).await?;
        }
        Err(Error::Throttled(wait))
    }

    /// None when the tokens of this login would be dead by now: revoked, or the password was changed meanwhile.
    async fn succeed(
        &self,
        attempt: &Attempt,
        admitted: &Admitted,
        place: &Place,
        verified: Verified,
    ) -> Result<Option<String>, Error> {
        let Verified { user, hash } = verified;
        let now = self.clock.now();
        let is_address_due = throttle::is_due(admitted.last_login_at, now);
        let stale_count = admitted.has_name_count.then(|| admitted.name.key.clone());
        let entry = Entry::new(Action::Login, Some(user), &attempt.origin.by(user)).in_project(attempt.project);
        let (place, begun) = (place.clone(), attempt.begun);
        let write = move |connection: &mut AnyConnection| {
            let stored = store::credential::find_hash(connection, user)?;
            let revocation = find_revocation(connection, user)?;
            if is_revoked_since(revocation.as_ref(), begun) || stored.as_ref() != Some(&hash) {
                return Ok::<_, Error>(None);
            }
            if let Some(bucket) = stale_count {
                store::throttle::clear(connection, &bucket)?;
            }
            if is_address_due {
                store::known_address::put(connection, user, place.as_str(), now)?;
            }
            audit::record(connection, entry, now)?;
            let kind = (Kind::User, None);
            Ok(Some(Login { subject: user, kind, at: begun, not_before: not_before(revocation) }))
        };
        let login = self.database.write(write).await?;
        login.map(|login| self.tokens.issue(&login)).transpose()
    }

    async fn fail(&self, attempt: &Attempt, admitted: Admitted) -> Result<(), Error> {
        let (config, clock) = (self.config.clone(), self.clock.clone());
        let entry = Entry::new(Action::LoginFailed, attempt.user, &attempt.origin).in_project(attempt.project);
        let Admitted { permit, address, name, .. } = admitted;
        let write = move |connection: &mut AnyConnection| {
            let now = clock.now();
            throttle::count_failure(connection, &[&address, &name], &config.throttle, now)?;
            audit::record(connection, entry, now)
        };
        let done = self.database.write(write).await;
        // The next is let through when this one is counted.
        drop(permit);
        done
    }
}

fn find_revocation(connection: &mut AnyConnection, user: Gid) -> Result<Option<Revocation>, Error> {
    Ok(store::revocation::find(connection, &Covers::Subject(user))?)
}

/// Whatever was revoked since a login began covers it too.
fn is_revoked_since(revocation: Option<&Revocation>, begun: Timestamp) -> bool {
    revocation.is_some_and(|revocation| revocation.revoked_at >= begun)
}

fn not_before(revocation: Option<Revocation>) -> i64 {
    revocation.map_or(i64::MIN, |revocation| revocation.not_before_seconds)
}
