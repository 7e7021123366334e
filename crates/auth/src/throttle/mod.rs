//! The throttle: counts failed logins, anonymous calls, wrong codes, invitations and mails in
//! buckets in the database, and rejects further attempts of a bucket for a while once it has
//! reached its threshold. It does not know what an attempt does. ADR 0013 has the reasons.
//!
//! Example: the bucket of the username `ann`, with the default settings (`login_failures` 5,
//! `login_backoff` 1 s) and the decay interval of usernames, one hour.
//!
//! ```text
//! 10:00  four failed logins   4 failures  no wait
//! 10:01  a fifth              5 failures  wait of 1 s
//! 10:01  an attempt in that second is rejected; it is neither hashed nor counted
//! 10:02  a sixth              6 failures  wait of 2 s; each further one doubles it, up to 15 min
//! 12:02  two intervals without a failure: two failures are forgiven, and 4 still count
//! 12:03  another failure      5 failures  wait of 1 s
//! 12:04  ann logs in: the bucket is deleted
//! ```

mod bucket;
mod bucket_kind;
mod count;
mod decay;
mod known_network;
mod mailbox;

pub(crate) use bucket::{Bucket, ClientNetwork, wait};
pub(crate) use bucket_kind::BucketKind;
pub(crate) use count::{clear_username, count_attempt, count_failure, find_wait};
pub(crate) use decay::delete_decayed;
pub(crate) use known_network::{
    KNOWN_NETWORK_LIFETIME, is_known_network, is_known_to_any_user, needs_login_update,
};
pub(crate) use mailbox::{CodeMail, count_mail};
