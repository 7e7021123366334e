//! Who calls: a handler with `caller: Caller` in its signature answers to nobody without a good token.

use std::{
    future::{Ready, ready},
    net::IpAddr,
};

use actix_web::{
    FromRequest, HttpMessage, HttpRequest, dev::Payload, http::header::AUTHORIZATION, web::Data,
};
use doorward_domain::Gid;
use doorward_rpc::RpcError;
use doorward_token::Claims;

use crate::{
    Gateway,
    http::{client_address, envelope::ApiError},
    session::trust_store::TokenError,
};

pub(crate) struct Caller {
    pub(crate) claims: Claims,
    /// As it was sent.
    pub(crate) token: String,
    /// From where.
    pub(crate) address: IpAddr,
}

/// In the extensions of a request: its token was good, and is due for renewal.
pub(crate) struct RenewalDueToken(pub(crate) String);

impl FromRequest for Caller {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(authenticate(request))
    }
}

fn authenticate(request: &HttpRequest) -> Result<Caller, ApiError> {
    let gateway = request
        .app_data::<Data<Gateway>>()
        .ok_or_else(ApiError::internal)?;
    let token = bearer_token(request).ok_or_else(ApiError::unauthenticated)?;
    match gateway.trust.verify(token, gateway.clock.now()) {
        Ok(claims) => {
            if gateway.is_renewal_due(&claims) {
                request
                    .extensions_mut()
                    .insert(RenewalDueToken(token.to_owned()));
            }
            let address = client_address::from_request(request, gateway);
            Ok(Caller {
                claims,
                token: token.to_owned(),
                address,
            })
        }
        Err(TokenError::Invalid) => Err(ApiError::unauthenticated()),
        Err(TokenError::Unavailable) => Err(RpcError::unavailable().into()),
    }
}

/// Who seems to call, for counting: the call itself decides whether they may.
pub(crate) fn find_user(request: &HttpRequest, gateway: &Gateway) -> Option<Gid> {
    let claims = gateway
        .trust
        .verify(bearer_token(request)?, gateway.clock.now())
        .ok()?;
    Some(claims.sub)
}

/// RFC 6750, section 2.1, and exactly one such header.
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
