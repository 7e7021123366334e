//! Tests of accounts over HTTP: signup, codes, password reset, changes of the profile and deletion.

pub(crate) mod abuse;
pub(crate) mod anonymous_requests;
pub(crate) mod codes;
pub(crate) mod crashes;
pub(crate) mod delete;
pub(crate) mod email_change;
pub(crate) mod enumeration;
pub(crate) mod kills;
pub(crate) mod limits;
pub(crate) mod mailboxes;
pub(crate) mod password_change;
pub(crate) mod password_reset;
pub(crate) mod password_revocation;
pub(crate) mod races;
pub(crate) mod secrets;
pub(crate) mod signup;
pub(crate) mod signup_fields;
pub(crate) mod signup_invited;
pub(crate) mod steps;
pub(crate) mod timing;
pub(crate) mod update;
pub(crate) mod usernames;
pub(crate) mod white_space;
