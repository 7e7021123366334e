//! The project in the path of the calls below `/api/p/{project}`.

use std::future::{Ready, ready};

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use doorward_domain::Gid;

use crate::http::envelope::ApiError;

/// Gid of the project in the path. A malformed gid is answered with 400; whether the project exists
/// is for the directory to decide.
pub(crate) struct ProjectGid(pub(crate) Gid);

impl FromRequest for ProjectGid {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let gid = request.match_info().query("project").parse();
        ready(
            gid.map(Self)
                .map_err(|_| ApiError::invalid_parameter("project")),
        )
    }
}
