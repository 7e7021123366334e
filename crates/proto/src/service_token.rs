//! The secret that services show each other.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::Interceptor,
};

pub(crate) const HEADER: &str = "x-service-token";

/// Checked on every call but health and reflection. Without a token every call passes: only for loopback.
#[derive(Clone)]
pub struct ServiceToken(Option<Arc<SecretString>>);

impl ServiceToken {
    #[must_use]
    pub fn new(token: Option<SecretString>) -> Self {
        Self(token.map(Arc::new))
    }

    /// As metadata for outgoing calls.
    pub(crate) fn metadata(&self) -> Option<MetadataValue<Ascii>> {
        let mut value: MetadataValue<Ascii> = self.0.as_ref()?.expose_secret().parse().ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl Interceptor for ServiceToken {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let Some(expected) = &self.0 else {
            return Ok(request);
        };
        let sent = request.metadata().get(HEADER).map_or(&b""[..], MetadataValue::as_bytes);
        aws_lc_rs::constant_time::verify_slices_are_equal(expected.expose_secret().as_bytes(), sent)
            .map_err(|_| Status::unauthenticated("x-service-token is missing or wrong"))?;
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_token_passes() {
        let mut token = ServiceToken::new(Some("secret".to_owned().into()));
        let mut request = Request::new(());
        assert!(token.call(Request::new(())).is_err());
        request.metadata_mut().insert(HEADER, "secreT".parse().unwrap());
        assert!(token.call(request).is_err());
        let mut request = Request::new(());
        request.metadata_mut().insert(HEADER, token.metadata().unwrap());
        assert!(token.call(request).is_ok());
        assert!(ServiceToken::new(None).call(Request::new(())).is_ok());
    }
}
