//! The deletion of decayed counts, with the threshold and the decay of each kind of bucket.

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
        bucket_kind::BucketKind,
        mailbox,
    },
};

/// Maximum number of counts of one kind in the database. Each kind has its own limit, so an
/// attacker who fills one kind does not displace the counts of the others.
const MAX_COUNTS: i64 = 100_000;

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
