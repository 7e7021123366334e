//! Mails: their content, the outbox that they wait in, and their delivery over SMTP.
//!
//! A mail is a row that is written in the transaction that causes it, so it is sent if and only if
//! that transaction commits. A [`Worker`] in each process claims rows with a lease, so that
//! replicas share the work, and deletes a row after the mail server has accepted the mail. No mail
//! is lost when a process ends, but one can be sent twice: if the process ends between acceptance
//! and deletion, another one sends the mail again two minutes later, with the same `Message-ID`.
//! The clocks of replicas must differ by less than a minute.

mod address;
mod compose;
mod config;
mod content;
mod deliver;
mod ehlo;
mod error;
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
pub use error::Error;
pub use outbox::{NewMail, Outbox, associated_data, has_mails, reseal};
pub use worker::Worker;
