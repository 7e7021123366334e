//! Real time over Socket.IO: delivers to each socket the rows of the feed that its user may see,
//! and renews or ends its token. It knows neither the gateway's HTTP server nor its envelope; what
//! it needs of them is in [`Host`].

mod audiences;
mod client;
mod clients;
mod dispatcher;
mod event;
mod event_buffer;
mod event_stream;
mod frames;
mod host;
mod hub;
mod polling;
mod sessions;
mod sockets;
mod token_check;
mod upgrade;
mod upgraded_stream;

pub use crate::event::EventRow;
pub use host::{Feeds, Host, InitResponse, Subscription, TokenError, TokenStatus};
pub use sockets::{PATH, Sockets};
