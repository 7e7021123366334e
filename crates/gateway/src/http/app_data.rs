//! Shared values that middleware and extractors ask for. Handlers have them as parameters,
//! `web::Data<T>`.

use actix_web::{HttpRequest, web::Data};

use crate::http::envelope::ApiError;

/// Returns the value of this type that [`crate::gateway::Gateway::register`] registered.
///
/// # Errors
/// 500 if no value of this type is registered.
pub(crate) fn app_data<T: 'static>(request: &HttpRequest) -> Result<&Data<T>, ApiError> {
    request.app_data().ok_or_else(ApiError::internal)
}
