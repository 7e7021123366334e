//! `doorward user`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use doorward_domain::{DisplayName, Email, Timezone, Username};
use secrecy::SecretString;

use super::ListFormat;

#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    Create(CreateUser),
    /// List all users: a table on a terminal, else a JSON array
    #[command(after_help = "Examples:\n  doorward user list\n  doorward user list --json")]
    List(ListFormat),
    /// Show a user
    #[command(after_help = "Example:\n  doorward user show ann")]
    Show {
        /// Username or gid
        user: String,
    },
    /// Set a user's password
    #[command(after_help = "Example:\n  doorward user set-password ann --password-stdin <password")]
    SetPassword {
        /// Username or gid
        user: String,
        #[command(flatten)]
        password: PasswordSource,
    },
    /// Let a user log in no more, and end their tokens
    #[command(after_help = "Example:\n  doorward user deactivate ann")]
    Deactivate {
        /// Username or gid
        user: String,
    },
    /// Let a user log in again
    #[command(after_help = "Example:\n  doorward user activate ann")]
    Activate {
        /// Username or gid
        user: String,
    },
    /// Delete a user
    #[command(after_help = "Example:\n  doorward user delete ann")]
    Delete {
        /// Username or gid
        user: String,
    },
    /// Import users with the password hashes of another system
    ///
    /// One JSON object a line: `username`, `email`, `name`, `password_hash`, and optionally `gid`, `status`, `language`,
    /// `timezone`. Hashes: argon2, scrypt and PBKDF2 as PHC strings, bcrypt, PBKDF2 of Django and passlib. A line is
    /// imported as a whole or not at all; the report comes at the end.
    #[command(after_help = "Example:\n  doorward user import users.jsonl")]
    Import {
        #[arg(value_name = "FILE.jsonl")]
        file: PathBuf,
    },
}

/// Create a user who can log in at once
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  doorward user create --username ann --email ann@example.org --password-stdin <password"
)]
pub(crate) struct CreateUser {
    #[arg(long)]
    pub username: Username,
    #[arg(long)]
    pub email: Option<Email>,
    /// As others see it
    #[arg(long, value_parser = DisplayName::parse)]
    pub name: Option<DisplayName>,
    #[command(flatten)]
    pub password: PasswordSource,
    /// Such as en or pt-br
    #[arg(long, value_parser = language)]
    pub language: Option<String>,
    /// Such as Europe/Amsterdam
    #[arg(long)]
    pub timezone: Option<Timezone>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct PasswordSource {
    /// Read the password from stdin, without the end of its line
    #[arg(long)]
    password_stdin: bool,
    /// A hash of the password instead: argon2, scrypt or PBKDF2 as a PHC string, or bcrypt
    #[arg(long, value_name = "PHC")]
    password_hash: Option<SecretString>,
}

#[derive(Debug)]
pub(crate) enum NewPassword {
    Stdin,
    Hash(SecretString),
}

impl From<PasswordSource> for NewPassword {
    fn from(source: PasswordSource) -> Self {
        source.password_hash.map_or(Self::Stdin, Self::Hash)
    }
}

fn language(code: &str) -> Result<String, &'static str> {
    if doorward_domain::languages::is_known(code) { Ok(code.to_owned()) } else { Err("not a language") }
}
