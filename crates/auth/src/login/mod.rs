//! Logins with a password or an API key, and their admission: throttle, and how many run at once.

pub(crate) mod admission;
pub(crate) mod api_key;
pub(crate) mod in_flight;
pub(crate) mod password;
