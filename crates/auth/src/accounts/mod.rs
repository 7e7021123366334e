//! Calls of users about their own access: signup, password change and reset, change of the email
//! address. A call in two steps mails a code in the first one. Users and their addresses belong to
//! the directory; the caller passes them in.

mod account;
pub(crate) mod codes;
mod deletion;
mod email_change;
mod limits;
mod password_change;
mod password_reset;
mod signup;

pub(crate) use account::{Accounts, ClientContext, UserInfo};
pub(crate) use deletion::forget;
pub(crate) use password_change::NewPassword;
pub(crate) use signup::{SignupConfirmation, SignupRequest};
