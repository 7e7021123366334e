//! Logins with a password or an API key, and the admission of attempts: the throttle, and the limit
//! of attempts in flight. The directory decides before whether a user may log in at all.

pub(crate) mod admission;
mod api_key;
pub(crate) mod attempt;
pub(crate) mod in_flight;
pub(crate) mod logins;
mod password;
