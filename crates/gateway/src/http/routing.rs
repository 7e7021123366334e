//! Routes of one path: the methods that it accepts, and the responses to all others.

use actix_web::{
    FromRequest, Handler, Resource, Responder, Route, dev::HttpServiceFactory, middleware::from_fn,
    web,
};

use crate::http::{envelope::ApiError, write_budget};

/// Answers 501 to every method on this path and all paths below it.
pub(crate) fn unimplemented_paths(segment: &str) -> Resource {
    let not_implemented = || async { Err::<String, _>(ApiError::NotImplemented) };
    web::resource([format!("/{segment}"), format!("/{segment}/{{path:.*}}")])
        .default_service(web::to(not_implemented))
}

/// Routes `GET` and `HEAD` (RFC 9110, section 9.3.2). The server sends no body in response to
/// `HEAD`.
pub(crate) fn get<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    web::resource(path)
        .get(handler.clone())
        .head(handler)
        .default_service(not_allowed("GET, HEAD"))
}

/// Routes `POST`.
pub(crate) fn post<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    web::resource(path)
        .post(handler)
        .default_service(not_allowed("POST"))
}

/// Routes `POST` for a call that changes data and counts against the caller's write budget.
/// `logout` is not one of them: an attacker who has stolen a token could use up the budget, and
/// must not be able to keep the user from ending the session.
pub(crate) fn change<F, Args>(path: &str, handler: F) -> impl HttpServiceFactory + 'static
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    post(path, handler).wrap(from_fn(write_budget::enforce_write_budget))
}

/// Routes `GET`, `HEAD` and `POST`.
pub(crate) fn get_or_post<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    let resource = web::resource(path)
        .get(handler.clone())
        .head(handler.clone())
        .post(handler);
    resource.default_service(not_allowed("GET, HEAD, POST"))
}

/// Answers 405 with the methods that the path has.
pub(crate) fn not_allowed(methods: &'static str) -> Route {
    web::to(move || async move { Err::<String, _>(ApiError::MethodNotAllowed(methods)) })
}
