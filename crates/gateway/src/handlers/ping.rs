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

/// Says that the gateway is up, and asks no peer.
pub(crate) async fn ping(
    _: OptionalBody,
    gateway: Data<Gateway>,
) -> Result<HttpResponse, ApiError> {
    envelope::success_response(
        &json!({"cc.version": gateway.config.api_version.as_str()}),
        &Empty {},
    )
}
