//! Static pages that the operator of the gateway adds to the API, such as the demo. They are not
//! part of the API and not in its documentation, and have no more rights than any other client.

use actix_web::{
    HttpResponse,
    http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY},
    web::{self, ServiceConfig},
};

use crate::http::routing::not_allowed;

/// Content security policy: nothing from other origins, nothing inline, and text never becomes HTML
/// (trusted types). `connect-src 'self'` includes WebSockets to the same address.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'; require-trusted-types-for 'script'";

/// File that is served unchanged.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// Absolute path, such as `/demo`.
    pub path: &'static str,
    pub content_type: &'static str,
    pub body: &'static str,
}

pub(crate) fn routes(config: &mut ServiceConfig, pages: &'static [Page]) {
    for page in pages {
        let handler = move || async move { serve(page) };
        let resource = web::resource(page.path).get(handler).head(handler);
        config.service(resource.default_service(not_allowed("GET, HEAD")));
    }
}

fn serve(page: &'static Page) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-cache"))
        .insert_header((CONTENT_TYPE, page.content_type))
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .body(page.body)
}
