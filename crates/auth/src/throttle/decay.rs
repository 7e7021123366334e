//! The kinds of buckets, and the deletion of their decayed counts.

use doorward_domain::Timestamp;
use doorward_storage::AnyConnection;

use crate::{
    config::ThrottleConfig,
    error::Error,
    store,
    throttle::{
        bucket::{
            ANONYMOUS_REQUEST_DECAY, INVITATION_DECAY, INVITATION_FACTOR, MAX_DOUBLINGS,
            NETWORK_DECAY, NETWORK_FACTOR, USERNAME_DECAY, WRONG_CODE_FACTOR,
        },
        mailbox,
    },
};

/// Maximum number of counts of one kind in the database. Each kind has its own limit, so an
/// attacker who fills one kind does not displace the counts of the others.
const MAX_COUNTS: i64 = 100_000;

/// A kind of bucket. The values are those of the default settings.
///
/// | kind | counts | by | threshold | decay |
/// | --- | --- | --- | --- | --- |
/// | name | failed logins | username, or username and known network | 5 | 1 h |
/// | address | failed logins | client network | 50 | 1 min |
/// | question | anonymous calls, and requests for codes | client network, or user | 50 | 5 s |
/// | code | wrong codes | client network | 200 | 5 s |
/// | invitation | invitations | user | 200 | 1 min |
/// | mailbox | mails with codes | mailbox and client network | 10 | 1 h |
/// | strangers | mails with codes | mailbox, for unknown networks | 20 | 1 h |
/// | newcomers | mails with codes | mailbox, for networks with fewer than two mails | 100 | 5 min |
#[derive(Debug, Clone, Copy)]
pub(crate) enum BucketKind {
    Username,
    ClientNetwork,
    AnonymousCall,
    WrongCode,
    Invitation,
    Mailbox,
    UnknownNetworks,
    NewNetworks,
}

impl BucketKind {
    pub(crate) const ALL: [Self; 8] = [
        Self::Username,
        Self::ClientNetwork,
        Self::AnonymousCall,
        Self::WrongCode,
        Self::Invitation,
        Self::Mailbox,
        Self::UnknownNetworks,
        Self::NewNetworks,
    ];

    /// Returns the start of the keys of this kind. Keys are stored, so the words must stay.
    const fn key_prefix(self) -> &'static str {
        match self {
            Self::Username => "name:",
            Self::ClientNetwork => "address:",
            Self::AnonymousCall => "question:",
            Self::WrongCode => "code:",
            Self::Invitation => "invitation:",
            Self::Mailbox => "mailbox:",
            Self::UnknownNetworks => "strangers:",
            Self::NewNetworks => "newcomers:",
        }
    }
}

/// Deletes the counts of one kind that are fully decayed, and the oldest beyond the limit of that
/// kind. The caller runs a transaction for each kind: one for several could deadlock with a login,
/// which locks a client network and then a username.
pub(crate) fn delete_decayed(
    connection: &mut AnyConnection,
    kind: BucketKind,
    config: &ThrottleConfig,
    now: Timestamp,
) -> Result<(), Error> {
    let (threshold, decay) = match kind {
        BucketKind::Username => (config.failures, USERNAME_DECAY),
        BucketKind::ClientNetwork => (
            config.failures.saturating_mul(NETWORK_FACTOR),
            NETWORK_DECAY,
        ),
        BucketKind::AnonymousCall => (
            config.failures.saturating_mul(NETWORK_FACTOR),
            ANONYMOUS_REQUEST_DECAY,
        ),
        BucketKind::WrongCode => (
            config.failures.saturating_mul(WRONG_CODE_FACTOR),
            ANONYMOUS_REQUEST_DECAY,
        ),
        BucketKind::Invitation => (
            config.failures.saturating_mul(INVITATION_FACTOR),
            INVITATION_DECAY,
        ),
        BucketKind::Mailbox => (mailbox::mailbox_threshold(config), mailbox::MAIL_DECAY),
        BucketKind::UnknownNetworks => (
            mailbox::unknown_networks_threshold(config),
            mailbox::MAIL_DECAY,
        ),
        BucketKind::NewNetworks => (
            mailbox::new_networks_threshold(config),
            mailbox::NEW_NETWORK_DECAY,
        ),
    };
    // The time in which the highest possible number of failures is forgiven.
    let longest = decay.saturating_mul(threshold.saturating_add(MAX_DOUBLINGS));
    Ok(store::throttle::delete_decayed(
        connection,
        kind.key_prefix(),
        now.saturating_sub(longest),
        MAX_COUNTS,
        now,
    )?)
}
