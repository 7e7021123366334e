//! Real time: Socket.IO for the gateway's clients. It tells each socket the rows of the feed that are for it, as the
//! directory's notices come in, and looks after the sockets' tokens. It knows neither the gateway's HTTP server nor its
//! envelope: what it needs of either, it asks its [`Host`] for.

mod client;
mod clients;
mod feed;
mod follow;
mod frames;
mod host;
mod hub;
mod line;
mod polling;
mod ring;
mod row;
mod scopes;
mod serve;
mod sessions;
mod sockets;
mod sweep;

pub use host::{Feeds, Host, InitResponse, Subscription, TokenError, TokenStatus};
pub use row::EventRow;
pub use sockets::{PATH, Sockets};
