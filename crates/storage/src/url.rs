//! The URL of a database.

use std::{fmt, path::PathBuf, str::FromStr};

use doorward_domain::Malformed;

/// URL of a database: `sqlite://<path>` or `postgres://...`. `Display` and `Debug` leave out the
/// password.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    Sqlite(PathBuf),
    /// URL in the syntax of libpq, with all its parameters, such as `sslmode=verify-full`.
    Postgres(String),
}

impl FromStr for DatabaseUrl {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        if let Some(path) = text.strip_prefix("sqlite://") {
            if path.is_empty() || path.contains(":memory:") {
                return Err(Malformed(
                    "an SQLite database needs a file: sqlite://<path>",
                ));
            }
            return Ok(Self::Sqlite(PathBuf::from(path)));
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            check_postgres(text)?;
            return Ok(Self::Postgres(text.to_owned()));
        }
        Err(Malformed(
            "a database URL starts with sqlite:// or postgres://",
        ))
    }
}

/// Rejects URLs that libpq would misread, or reject with a message that contains the password.
fn check_postgres(url: &str) -> Result<(), Malformed> {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if rest.matches('@').count() > authority.matches('@').count().min(1) || rest.contains('#') {
        return Err(Malformed(
            "characters such as / ? # @ in a user name or password must be percent-encoded",
        ));
    }
    let is_encoded =
        |part: &str| part.len() >= 2 && part.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    if !rest.split('%').skip(1).all(is_encoded) {
        return Err(Malformed("a % that encodes nothing must be written %25"));
    }
    Ok(())
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Self::Postgres(url) => {
                let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", ""));
                let rest = rest.split_once('?').map_or(rest, |(rest, _)| rest);
                write!(
                    f,
                    "{scheme}://{}",
                    rest.rsplit_once('@').map_or(rest, |(_, host)| host)
                )
            }
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_prints_without_its_password() {
        let url: DatabaseUrl = "postgres://ann:p%40ss@db.example.org:5432/auth?password=x"
            .parse()
            .unwrap();
        assert_eq!(url.to_string(), "postgres://db.example.org:5432/auth");
        assert_eq!(format!("{url:?}"), url.to_string());
        assert!(
            "postgres:///d?host=/run/postgresql&sslmode=verify-full"
                .parse::<DatabaseUrl>()
                .is_ok()
        );
    }

    #[test]
    fn unknown_url_schemes_are_rejected() {
        for bad in [
            "",
            "mysql://x",
            "sqlite://",
            "sqlite://:memory:",
            "/path",
            "postgres://u:a%b@h/d",
            "postgres://u:a@b@h/d",
            "postgres://u:a/b@h/d",
            "postgres://u:a?b@h/d",
            "postgres://u:a#b@h/d",
        ] {
            assert!(bad.parse::<DatabaseUrl>().is_err(), "{bad}");
        }
    }
}
