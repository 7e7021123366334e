//! The directory service: users, projects, memberships, and the feed of all changes. It does not
//! know passwords or users' tokens.

mod caller;
mod directory;
mod error;
mod feed;
mod limits;
mod media;
mod members;
mod migrations;
pub mod model;
mod policy;
mod projects;
mod service;
mod service_tokens;
mod startup;
mod store;
pub mod transfer;
mod users;
mod visibility;

pub use caller::{Actor, Caller};
pub use directory::{DEFAULT_PROJECT_LANGUAGES, Directory};
pub use error::Error;
pub use feed::publish::PublishedRow;
pub use feed::sync::{SyncCursors, SyncPage};
pub use feed::sync_row::SyncRow;
pub use limits::Limits;
pub use members::views::{MemberChange, NotificationsChange, VisibleMembers};
pub use migrations::MIGRATIONS;
pub use model::Member;
pub use projects::init::ProjectInit;
pub use projects::lifecycle::ProjectChange;
pub use projects::options::{FullProject, LanguageChange, ListRef};
pub use startup::serve;
pub use users::accounts::{NewAccount, UserChange};
pub use users::administration::UserEdit;
pub use users::create::NewUser;
pub use users::email_conflicts::EmailConflict;
pub use users::find::AccountQuery;
pub use users::init::Init;
pub use users::login::LoginIdentifier;
