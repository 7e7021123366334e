//! `GET|POST /api/ping`.

use actix_web::{HttpResponse, web::Data};
use doorward_domain::ApiVersion;
use serde_json::json;

use crate::http::{
    body::OptionalBody,
    envelope::{self, ApiError, Empty},
};

/// Answers as long as the gateway runs; it calls no peer.
pub(crate) async fn ping(
    _: OptionalBody,
    api_version: Data<ApiVersion>,
) -> Result<HttpResponse, ApiError> {
    envelope::success_response(&json!({"cc.version": api_version.as_str()}), &Empty {})
}
