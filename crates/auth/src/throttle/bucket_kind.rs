//! The kinds of buckets, and what each of them counts.

/// A kind of bucket. The values are those of the default settings. A key prefix is followed by `:`.
/// Requests for codes count as anonymous calls.
///
/// | kind | key prefix | counts | by | threshold | decay |
/// | --- | --- | --- | --- | --- | --- |
/// | `Username` | name | failed logins | username, or username and known network | 5 | 1 h |
/// | `ClientNetwork` | address | failed logins | client network | 50 | 1 min |
/// | `AnonymousCall` | question | anonymous calls | client network, or user | 50 | 5 s |
/// | `WrongCode` | code | wrong codes | client network | 200 | 5 s |
/// | `Invitation` | invitation | invitations | user | 200 | 1 min |
/// | `Mailbox` | mailbox | code mails | mailbox and client network | 10 | 1 h |
/// | `UnknownNetworks` | strangers | code mails | mailbox, for unknown networks | 20 | 1 h |
/// | `NewNetworks` | newcomers | code mails | mailbox, networks with 0 or 1 mails | 100 | 5 min |
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
    pub(super) const fn key_prefix(self) -> &'static str {
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
