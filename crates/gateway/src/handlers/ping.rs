//! `GET|POST /api/ping`.

use actix_web::{HttpResponse, web::Data};
use serde_json::json;

use crate::{
    Gateway,
    http::{
        body::OptionalBody,
        envelope::{self, ApiError, Empty},
    },
};

/// Answers as long as the gateway runs; it calls no peer.
pub(crate) async fn ping(
    _: OptionalBody,
    gateway: Data<Gateway>,
) -> Result<HttpResponse, ApiError> {
    envelope::success_response(
        &json!({"cc.version": gateway.config.api_version.as_str()}),
        &Empty {},
    )
}
