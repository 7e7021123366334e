//! `doorward user`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use doorward_domain::{DisplayName, Email, Gid, Timezone, Username};
use secrecy::SecretString;

use super::list_format::ListFormat;

#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    Create(CreateUser),
    /// List all users: a table on a terminal, else a JSON array
    #[command(after_help = "Examples:\n  doorward user list\n  doorward user list --json")]
    List(ListFormat),
    /// Show a user
    #[command(after_help = "Examples:\n  doorward user show ann\n  \
        doorward user show --gid e1b27b3a-0fa9-4c19-b2e3-62c9fbfed36c")]
    Show {
        #[command(flatten)]
        user: UserArgument,
    },
    /// Change a user's username, email address or name
    #[command(
        after_help = "Example:\n  doorward user update ann --email ann@example.com --name 'Ann Smit'"
    )]
    Update {
        #[command(flatten)]
        user: UserArgument,
        #[command(flatten)]
        edit: UserEdit,
    },
    /// Set a user's password, revoke their tokens, and end the waits of the login throttle for
    /// their username
    #[command(after_help = "Example:\n  doorward user set-password ann --password-stdin <password")]
    SetPassword {
        #[command(flatten)]
        user: UserArgument,
        #[command(flatten)]
        password: PasswordOptions,
    },
    /// End the waits of the login throttle for a user's username
    #[command(after_help = "Example:\n  doorward user unblock ann")]
    Unblock {
        #[command(flatten)]
        user: UserArgument,
    },
    /// Deactivate a user: reject their logins, and revoke their tokens
    #[command(after_help = "Example:\n  doorward user deactivate ann")]
    Deactivate {
        #[command(flatten)]
        user: UserArgument,
    },
    /// Activate a user, who can then log in again
    #[command(after_help = "Example:\n  doorward user activate ann")]
    Activate {
        #[command(flatten)]
        user: UserArgument,
    },
    /// Delete a user
    #[command(after_help = "Example:\n  doorward user delete ann")]
    Delete {
        #[command(flatten)]
        user: UserArgument,
    },
    /// Import users with the password hashes of another system
    ///
    /// One JSON object per line: `username`, and optionally `email`, `name`, `password_hash`,
    /// `gid`, `status`, `language`, `timezone`. A user without a password hash can set a password
    /// with a code by mail. Hashes: argon2, scrypt and PBKDF2 as PHC strings, bcrypt, PBKDF2 of
    /// Django and passlib. Each line is imported completely or not at all; the report is printed at
    /// the end.
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
    /// Name, shown to other users
    #[arg(long, value_parser = DisplayName::parse)]
    pub name: Option<DisplayName>,
    #[command(flatten)]
    pub password: PasswordOptions,
    /// Language, such as en or pt-br
    #[arg(long, value_parser = parse_language)]
    pub language: Option<String>,
    /// Time zone, such as Europe/Amsterdam
    #[arg(long)]
    pub timezone: Option<Timezone>,
}

/// A user, named by username or by gid. The two have separate arguments, because a username can
/// look like a gid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum UserName {
    Username(String),
    Gid(Gid),
}

impl UserName {
    /// Returns the argument of the two that is present; the command line accepts exactly one.
    fn from_options(username: Option<String>, gid: Option<Gid>) -> Self {
        gid.map_or_else(|| Self::Username(username.unwrap_or_default()), Self::Gid)
    }
}

/// The user that a command is about.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct UserArgument {
    /// The user's username
    username: Option<String>,
    /// The user's gid, in place of the username
    #[arg(long)]
    gid: Option<Gid>,
}

impl From<UserArgument> for UserName {
    fn from(argument: UserArgument) -> Self {
        Self::from_options(argument.username, argument.gid)
    }
}

/// The user in `--user`.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct UserOption {
    /// The user's username
    #[arg(long, value_name = "USERNAME")]
    user: Option<String>,
    /// The user's gid, in place of the username
    #[arg(long, value_name = "GID")]
    user_gid: Option<Gid>,
}

impl From<UserOption> for UserName {
    fn from(option: UserOption) -> Self {
        Self::from_options(option.user, option.user_gid)
    }
}

/// The user in `--owner`.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct OwnerOption {
    /// The owner's username
    #[arg(long, value_name = "USERNAME")]
    owner: Option<String>,
    /// The owner's gid, in place of the username
    #[arg(long, value_name = "GID")]
    owner_gid: Option<Gid>,
}

impl From<OwnerOption> for UserName {
    fn from(option: OwnerOption) -> Self {
        Self::from_options(option.owner, option.owner_gid)
    }
}

/// The user in `--to`.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct RecipientOption {
    /// The new owner's username
    #[arg(long, value_name = "USERNAME")]
    to: Option<String>,
    /// The new owner's gid, in place of the username
    #[arg(long, value_name = "GID")]
    to_gid: Option<Gid>,
}

impl From<RecipientOption> for UserName {
    fn from(option: RecipientOption) -> Self {
        Self::from_options(option.to, option.to_gid)
    }
}

/// The fields that `user update` changes.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(crate) struct UserEdit {
    /// The new username
    #[arg(long = "username", id = "new_username", value_name = "USERNAME")]
    username: Option<Username>,
    /// The new email address, which is accepted as verified
    #[arg(long)]
    email: Option<Email>,
    /// The new name, shown to other users
    #[arg(long, value_parser = DisplayName::parse)]
    name: Option<DisplayName>,
}

impl From<UserEdit> for doorward_directory::UserEdit {
    fn from(
        UserEdit {
            username,
            email,
            name,
        }: UserEdit,
    ) -> Self {
        Self {
            username,
            email,
            name,
        }
    }
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct PasswordOptions {
    /// Read the password from stdin, without a byte order mark at its start or a line end at its
    /// end
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

impl From<PasswordOptions> for NewPassword {
    fn from(source: PasswordOptions) -> Self {
        source.password_hash.map_or(Self::Stdin, Self::Hash)
    }
}

fn parse_language(code: &str) -> Result<String, &'static str> {
    if doorward_domain::languages::is_known(code) {
        Ok(code.to_owned())
    } else {
        Err("not a language")
    }
}
