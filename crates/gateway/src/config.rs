//! Settings of the gateway.

use std::time::Duration;

use doorward_domain::ApiVersion;
use ipnet::IpNet;

use crate::http::{static_pages::Page, write_budget::WriteBudget};

/// Settings of the gateway.
#[derive(Debug, Clone)]
pub struct Config {
    /// Expected `iss` claim of tokens.
    pub issuer: String,
    /// Realm in `WWW-Authenticate`.
    pub realm: String,
    /// Networks of the proxies whose `X-Forwarded-For` is trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// Allowed origins, such as `https://app.example.org`, or `*`. Empty: CORS is off.
    pub cors_origins: Vec<String>,
    /// Age of a token from which any call with it renews it.
    pub renew_after: Duration,
    /// Version of the published API that `cc.version` reports.
    pub api_version: ApiVersion,
    /// Maximum age of the trust data. While it is older, calls with a token are answered with 503.
    pub trust_max_age: Duration,
    /// Limit on the calls of a user that change data.
    pub write_budget: WriteBudget,
    /// Static pages that are served in addition to the API.
    pub pages: &'static [Page],
}
