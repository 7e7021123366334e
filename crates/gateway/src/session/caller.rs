//! The authenticated caller of a request. A handler with `caller: Caller` in its signature runs
//! only for requests with a valid token: other requests get 401, or 503 while the trust data is too
//! old.

use std::{
    future::{Ready, ready},
    net::IpAddr,
};

use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload, http::header::AUTHORIZATION};
use doorward_domain::Gid;
use doorward_rpc::RpcError;
use doorward_token::Claims;

use crate::{
    http::{app_data::app_data, client_address::TrustedProxies, envelope::ApiError},
    session::{sessions::Sessions, trust_store::TokenError},
};

/// Claims, token and client address of an authenticated request.
pub(crate) struct Caller {
    pub(crate) claims: Claims,
    /// Token as it was sent.
    pub(crate) token: String,
    /// Address of the client.
    pub(crate) address: IpAddr,
}

/// Token of a request that is valid and due for renewal. It is stored in the extensions of the
/// request, where the middleware finds it when the response is ready.
pub(crate) struct RenewalDueToken(pub(crate) String);

impl FromRequest for Caller {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(authenticate(request))
    }
}

/// Verifies the token of a request, and notes in its extensions whether renewal is due.
fn authenticate(request: &HttpRequest) -> Result<Caller, ApiError> {
    let sessions = app_data::<Sessions>(request)?;
    let trusted_proxies = app_data::<TrustedProxies>(request)?;
    let token = bearer_token(request).ok_or_else(ApiError::unauthenticated)?;
    match sessions.verify(token) {
        Ok(claims) => {
            if sessions.is_renewal_due(&claims) {
                request
                    .extensions_mut()
                    .insert(RenewalDueToken(token.to_owned()));
            }
            Ok(Caller {
                claims,
                token: token.to_owned(),
                address: trusted_proxies.find_client(request),
            })
        }
        Err(TokenError::Invalid) => Err(ApiError::unauthenticated()),
        Err(TokenError::Unavailable) => Err(RpcError::unavailable().into()),
    }
}

/// Finds the user of a request, for limits and logs only: `None` is not a rejection, because the
/// handler authenticates the caller itself.
pub(crate) fn find_user(request: &HttpRequest, sessions: &Sessions) -> Option<Gid> {
    let claims = sessions.verify(bearer_token(request)?).ok()?;
    Some(claims.sub)
}

/// Returns the bearer token (RFC 6750, section 2.1). A request with two `Authorization` headers has
/// no token, because a proxy in front could have checked the other one.
fn bearer_token(request: &HttpRequest) -> Option<&str> {
    let mut headers = request.headers().get_all(AUTHORIZATION);
    let (Some(header), None) = (headers.next(), headers.next()) else {
        return None;
    };
    let (scheme, token) = header.to_str().ok()?.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn token(headers: &[&str]) -> Option<String> {
        let request = headers
            .iter()
            .fold(TestRequest::default(), |request, header| {
                request.append_header((AUTHORIZATION, *header))
            });
        bearer_token(&request.to_http_request()).map(str::to_owned)
    }

    #[test]
    fn exactly_one_bearer_header_is_accepted() {
        assert_eq!(token(&["Bearer abc"]).as_deref(), Some("abc"));
        assert_eq!(token(&["bEARER  abc "]).as_deref(), Some("abc"));
        assert_eq!(token(&[]), None);
        assert_eq!(token(&["abc"]), None);
        assert_eq!(token(&["Basic abc"]), None);
        assert_eq!(token(&["Bearer abc", "Bearer abc"]), None);
    }
}
