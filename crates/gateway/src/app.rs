//! The list of what the gateway answers to.

use actix_web::{
    Handler, Resource, Responder,
    web::{self, ServiceConfig},
};

use crate::{FromRequest, envelope::Problem, init, jwks, languages, login, ping};

/// Method, path, function.
pub(crate) fn routes(config: &mut ServiceConfig) {
    config
        // Open to anybody.
        .service(post("/api/login", login::login))
        .service(get_or_post("/api/ping", ping::ping))
        .service(get_or_post("/api/languages/get", languages::get))
        .service(get("/.well-known/jwks.json", jwks::jwks))
        // With a token.
        .service(get_or_post("/api/init", init::init))
        .default_service(web::to(|| async { Err::<String, _>(Problem::not_found()) }));
}

fn get<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    web::resource(path).get(handler).default_service(not_allowed("GET"))
}

fn post<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    web::resource(path).post(handler).default_service(not_allowed("POST"))
}

fn get_or_post<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    web::resource(path).get(handler.clone()).post(handler).default_service(not_allowed("GET, POST"))
}

fn not_allowed(methods: &'static str) -> actix_web::Route {
    web::to(move || async move { Err::<String, _>(Problem::MethodNotAllowed(methods)) })
}
