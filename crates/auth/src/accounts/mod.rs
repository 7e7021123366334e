//! Calls of users about their own access: signup, password change and reset, change of the email
//! address. A call in two steps mails a code in the first one. Users and their addresses belong to
//! the directory; the caller passes them in.

mod account_rules;
mod client_context;
pub(crate) mod codes;
mod deletion;
mod email_change;
mod limits;
mod password_change;
mod password_reset;
mod shared_steps;
mod signup;
mod user_info;

pub(crate) use account_rules::Accounts;
pub(crate) use client_context::ClientContext;
pub(crate) use deletion::forget;
pub(crate) use password_change::NewPassword;
pub(crate) use signup::{SignupConfirmation, SignupRequest};
pub(crate) use user_info::UserInfo;
