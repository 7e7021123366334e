//! Pages of whoever runs the gateway, beside the API and no part of it: they are in no document, and know no more than any
//! other client.

use actix_web::{
    HttpResponse,
    http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY},
    web::{self, ServiceConfig},
};

use crate::app;

/// Nothing from elsewhere and nothing inline; text never becomes HTML. `self` takes in sockets to the same address.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

/// A file that is served as it is.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// From the root: `/demo`.
    pub path: &'static str,
    pub content_type: &'static str,
    pub body: &'static str,
}

pub(crate) fn routes(config: &mut ServiceConfig, pages: &'static [Page]) {
    for page in pages {
        let answer = move || async move { serve(page) };
        let resource = web::resource(page.path).get(answer).head(answer);
        config.service(resource.default_service(app::not_allowed("GET, HEAD")));
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
