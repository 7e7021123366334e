//! The HTTP API as an OpenAPI 3.1 document and as a page, both made from one list of calls
//! (`calls`). A test compares that list with the routes of `app.rs`.

mod builders;
mod call;
mod calls;
mod entries;
mod error_response;
mod examples;
mod field;
mod headers;
mod operations;
mod page;
mod schemas;
mod unprocessable;

use actix_web::{
    HttpResponse,
    http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE},
    web::{Bytes, Data},
};
use utoipa::openapi::{
    Components, ComponentsBuilder, InfoBuilder, OpenApi, OpenApiBuilder, PathItem, Paths,
    security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    tag::TagBuilder,
};

/// Caching of the document and the page.
const CACHING: &str = "public, max-age=300";

/// Document and page, serialized once.
pub(crate) struct Documents {
    json: Bytes,
    page: Bytes,
}

impl Documents {
    pub(crate) fn load() -> serde_json::Result<Self> {
        Ok(Self {
            json: openapi_json()?.into(),
            page: page::render(&calls::all()).into(),
        })
    }
}

/// `GET /api/openapi.json`.
pub(crate) async fn document(documents: Data<Documents>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, CACHING))
        .insert_header((CONTENT_TYPE, "application/json"))
        .body(documents.json.clone())
}

/// `GET /api/docs`.
pub(crate) async fn docs(documents: Data<Documents>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, CACHING))
        .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((CONTENT_SECURITY_POLICY, page::POLICY))
        .body(documents.page.clone())
}

/// Returns the OpenAPI document as indented JSON.
///
/// # Errors
/// The document cannot be serialized.
pub fn openapi_json() -> serde_json::Result<String> {
    Ok(serde_json::to_string_pretty(&build_document())? + "\n")
}

fn build_document() -> OpenApi {
    let mut paths = Paths::new();
    for call in calls::all() {
        for (method, operation) in operations::to_operations(&call) {
            let item = PathItem::new(method, operation);
            match paths.paths.get_mut(call.path) {
                Some(path) => path.merge_operations(item),
                None => drop(paths.paths.insert(call.path.to_owned(), item)),
            }
        }
    }
    let info = InfoBuilder::new()
        .title("Doorward")
        .version(doorward_domain::version::current_release())
        .description(Some(
            "Logins, accounts, projects and their members. A call is a `POST` with a JSON object; \
             unknown members are ignored. Every response has `success`, `result` (references by \
             gid) and `data` (the entries that they refer to).",
        ));
    let tags = calls::SECTIONS.map(|(name, description)| {
        TagBuilder::new()
            .name(name)
            .description(Some(description))
            .build()
    });
    OpenApiBuilder::new()
        .info(info.build())
        .tags(Some(tags))
        .paths(paths)
        .components(Some(components()))
        .build()
}

fn components() -> Components {
    let mut components = ComponentsBuilder::new();
    for (name, schema) in schemas::all() {
        components = components.schema(name, schema);
    }
    for (name, header) in headers::all() {
        components = components.header(name, header);
    }
    for error in error_response::ErrorResponse::ALL {
        components = components.response(error.component(), error.response());
    }
    let token = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some(
            "The token of a login. Whenever a response has a token in its `Authorization` header, \
             use that one from then on.",
        ));
    components
        .security_scheme(operations::TOKEN, SecurityScheme::Http(token.build()))
        .build()
}

#[cfg(test)]
mod tests;
