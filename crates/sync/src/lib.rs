//! Real time over Socket.IO: delivers to each socket the rows of the feed that its user may see,
//! and renews or ends its token. It knows neither the gateway's HTTP server nor its envelope; what
//! it needs of them is in [`SocketBackend`].

mod audiences;
mod backend;
mod close_handle;
mod connected_socket;
mod connected_sockets;
mod dispatcher;
mod empty_response;
mod event;
mod event_buffer;
mod event_stream;
mod frames;
mod hub;
mod limits;
mod polling;
mod sessions;
mod sockets;
mod start;
mod token_check;
mod upgrade;
mod upgraded_stream;

pub use crate::event::EventRow;
pub use backend::{Feeds, InitResponse, SocketBackend, SubscriptionStart, TokenError, TokenStatus};
pub use sockets::{PATH, Sockets};
