//! Mails: what they say, the outbox they wait in, and how they leave by SMTP.
//!
//! A mail is a row that is written in the transaction that causes it, so it is sent if, and only if, that commits. A
//! [`Worker`] in each process takes rows with a lease, so that replicas share them, and deletes a row after the mail server
//! has acknowledged it: whatever ends a process, no mail is lost. One that ends between the acknowledgement and the deletion
//! leaves a row that another sends again, two minutes later, with the same `Message-ID`, by which mailboxes know the copy.
//! Clocks of replicas may differ by less than a minute.

mod compose;
mod config;
mod content;
mod deliver;
mod ehlo;
mod outbox;
mod render;
mod retry;
mod sealing;
mod smtp;
mod smtp_url;
mod store;
mod templates;
mod worker;

pub use crate::content::MailContent;
pub use crate::ehlo::{default_ehlo_name, is_ehlo_name};
pub use crate::sealing::{ContentSealer, PlainContent, SealError};
pub use config::{APP_NAME, Delivery, MailConfig, check_from, check_url};
pub use deliver::{GivenUpMail, OnGiveUp};
pub use outbox::{NewMail, Outbox, associated_data, has_mails, reseal};
pub use worker::Worker;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting that can't be used; says nothing secret.
    #[error("{0}")]
    Config(String),
    #[error(transparent)]
    Storage(#[from] doorward_storage::Error),
    #[error(transparent)]
    Seal(#[from] SealError),
}
