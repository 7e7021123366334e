//! Real time: Socket.IO for the gateway's clients. It tells each socket the rows of the feed that are for it, as the
//! directory's notices come in, and looks after the sockets' tokens. It knows neither the gateway's HTTP server nor its
//! envelope: what it needs of either, it asks its [`Host`] for.

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
