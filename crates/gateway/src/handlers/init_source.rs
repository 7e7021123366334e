//! Sources of the responses of inits and logins.

use std::future::{Ready, ready};

use actix_web::{FromRequest, HttpRequest, dev::Payload, web::Data};
use doorward_domain::ApiVersion;

use crate::{
    handlers::{init_cache::InitCache, languages::Languages},
    http::{app_data::app_data, envelope::ApiError},
    peers::Peers,
};

/// Source of init responses: the directory, the responses of earlier inits, and the values that all
/// responses contain. Handlers ask for it as one parameter.
pub(crate) struct InitSource {
    pub(crate) peers: Data<Peers>,
    pub(crate) cache: Data<InitCache>,
    pub(crate) languages: Data<Languages>,
    pub(crate) api_version: Data<ApiVersion>,
}

impl InitSource {
    fn new(request: &HttpRequest) -> Result<Self, ApiError> {
        Ok(Self {
            peers: app_data::<Peers>(request)?.clone(),
            cache: app_data::<InitCache>(request)?.clone(),
            languages: app_data::<Languages>(request)?.clone(),
            api_version: app_data::<ApiVersion>(request)?.clone(),
        })
    }
}

impl FromRequest for InitSource {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::new(request))
    }
}
