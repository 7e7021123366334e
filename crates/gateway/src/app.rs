//! The routes of the gateway: one line for each call. Handlers are in `handlers`; the OpenAPI
//! document has an entry for each route (`openapi::calls`), and a test compares the two lists.

use actix_web::{
    middleware::from_fn,
    web::{self, ServiceConfig},
};

use crate::{
    handlers::{
        account, api_keys, avatars, email_change, icons, init, invitations, jwks, languages, login,
        media, members, password_reset, ping, project_init, project_login,
        project_options::{self, Channels, Fieldlists, Orderings},
        projects, signup, sockets, sync, users,
    },
    http::{
        envelope::ApiError,
        rate_limit,
        routing::{change, get, get_or_post, post, unimplemented_paths},
    },
    openapi,
};

/// Adds all routes. `post`, `get` and `get_or_post` name the methods; `change` is a `POST` that
/// counts against the write budget of the caller.
// One line for each route.
#[rustfmt::skip]
pub(crate) fn routes(config: &mut ServiceConfig) {
    config
        // Without a token.
        .service(post("/api/login", login::login))
        .service(post("/api/username", signup::username))
        .service(post("/api/signup_request", signup::request))
        .service(post("/api/signup", signup::signup))
        .service(post("/api/reset_password_request", password_reset::request))
        .service(post("/api/reset_password", password_reset::reset))
        .service(post("/api/init_invite", invitations::view))
        .service(post("/api/decline_invite", invitations::decline_by_link))
        .service(get_or_post("/api/ping", ping::ping))
        .service(get_or_post("/api/languages/get", languages::get))
        .service(get("/.well-known/jwks.json", jwks::jwks))
        .service(get("/api/openapi.json", openapi::document))
        .service(get("/api/docs", openapi::docs))
        .service(get("/media/avatars/{name}", media::avatar))
        .service(get("/media/icons/{name}", media::icon))
        // Socket.IO, which has its own protocol and authentication.
        .configure(sockets::routes)
        // With a token.
        .service(get_or_post("/api/init", init::init))
        .service(change("/api/account/update", account::update))
        .service(change("/api/account/update_email_request", email_change::request))
        .service(change("/api/account/update_email", email_change::update))
        .service(change("/api/account/delete", account::delete))
        .service(change("/api/account/accept_invite", invitations::accept))
        .service(change("/api/account/decline_invite", invitations::decline))
        .service(change("/api/account/leave_project", invitations::leave))
        .service(post("/api/account/logout", account::logout))
        .service(change("/api/account/upload_avatar", avatars::upload))
        .service(change("/api/account/delete_avatar", avatars::delete))
        .service(post("/api/users/get", users::user))
        .service(post("/api/members/get", users::member))
        .service(post("/api/projects/get", projects::get))
        .service(change("/api/projects/create", projects::create))
        .service(change("/api/projects/update", projects::update))
        .service(change("/api/projects/upload_icon", icons::upload))
        .service(change("/api/projects/delete_icon", icons::delete))
        .service(change("/api/projects/delete", projects::delete))
        .service(change("/api/projects/undelete", projects::undelete))
        .service(change("/api/projects/permanent_delete", projects::permanent_delete))
        .service(change("/api/projects/transfer", projects::transfer))
        .service(post("/sync/get", sync::get))
        .service(post("/sync/cursors", sync::cursors))
        .service(web::scope("/api/p/{project}")
            .wrap(from_fn(rate_limit::enforce)).configure(project_routes))
        .configure(not_implemented)
        .default_service(web::to(|| async { Err::<String, _>(ApiError::not_found()) }));
}

/// Adds the routes below `/api/p/{project}`. They are one scope, so that the pattern with the
/// project is matched once per request, and only fixed names are compared after it.
// One line for each route.
#[rustfmt::skip]
fn project_routes(config: &mut ServiceConfig) {
    config
        .configure(not_implemented_in_project)
        // Without a token.
        .service(post("/login", project_login::login))
        .service(post("/auth", project_login::auth))
        // With a token.
        .service(get_or_post("/init", project_init::init))
        .service(post("/members/get", members::get))
        .service(change("/members/invite", members::invite))
        .service(change("/members/resend_invite", members::resend_invitation))
        .service(change("/members/remove", members::remove))
        .service(change("/members/deactivate", members::deactivate))
        .service(change("/members/activate", members::activate))
        .service(change("/members/update", members::update))
        .service(change("/languages/add", project_options::add_language))
        .service(change("/languages/remove", project_options::remove_language))
        .service(change("/channels/create", project_options::create::<Channels>))
        .service(change("/channels/update", project_options::update::<Channels>))
        .service(change("/channels/move", project_options::reorder::<Channels>))
        .service(change("/channels/delete", project_options::delete::<Channels>))
        .service(change("/orderings/create", project_options::create::<Orderings>))
        .service(change("/orderings/update", project_options::update::<Orderings>))
        .service(change("/orderings/move", project_options::reorder::<Orderings>))
        .service(change("/orderings/delete", project_options::delete::<Orderings>))
        .service(change("/fieldlists/create", project_options::create::<Fieldlists>))
        .service(change("/fieldlists/update", project_options::update::<Fieldlists>))
        .service(change("/fieldlists/move", project_options::reorder::<Fieldlists>))
        .service(change("/fieldlists/delete", project_options::delete::<Fieldlists>))
        .service(change("/apikeys/create", api_keys::create))
        .service(post("/apikeys/get", api_keys::get))
        .service(change("/apikeys/update", api_keys::update))
        .service(change("/apikeys/deactivate", api_keys::deactivate))
        .service(change("/apikeys/activate", api_keys::activate))
        .service(change("/apikeys/rotate", api_keys::rotate))
        .service(change("/apikeys/delete", api_keys::delete));
}

/// First path segments below `/api/p/{project}` of the calls for product data, which this server
/// does not implement.
const PRODUCT_DATA: [&str; 11] = [
    "assets",
    "backups",
    "batch",
    "classes",
    "definitions",
    "fields",
    "layouts",
    "modules",
    "queries",
    "records",
    "schema",
];

fn not_implemented_in_project(config: &mut ServiceConfig) {
    for segment in PRODUCT_DATA {
        config.service(unimplemented_paths(segment));
    }
}

/// Answers 501 for the image server of the published API.
fn not_implemented(config: &mut ServiceConfig) {
    config.service(unimplemented_paths("dam"));
}
