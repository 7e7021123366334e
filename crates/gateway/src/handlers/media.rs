//! `GET|HEAD /media/...`: the pictures, for anybody who knows their names. Requests in part and by condition are those of
//! RFC 9110, sections 13 and 14.

use std::{convert::Infallible, ops::Range};

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    body::SizedStream,
    http::{
        Method,
        header::{
            ACCEPT_RANGES, ByteRangeSpec, CACHE_CONTROL, CONTENT_RANGE, CONTENT_SECURITY_POLICY,
            CONTENT_TYPE, ETAG, EntityTag, Header, HeaderName, IF_RANGE, IfNoneMatch, IfRange,
            Range as RangeHeader,
        },
    },
    web::{Bytes, Data},
};
use doorward_domain::{ErrorCode, Gid};
use doorward_media::{Format, Object, StoreError};
use doorward_rpc::{RpcError, directory::v1::FindIconRequest};
use futures_util::{TryStreamExt, stream};

use crate::{Gateway, http::envelope::ApiError, peers::Peers};

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
/// A new avatar has a new name.
const CACHE_IMMUTABLE: &str = "public, max-age=31536000, immutable";

/// Whoever has it asks whether it is still the one (`ETag`).
const CACHE_REVALIDATE: &str = "no-cache";

/// Where the file of an avatar is kept.
pub(crate) fn avatar_file(name: &str) -> String {
    format!("avatars/{name}")
}

/// Where the file of an icon is kept.
pub(crate) fn icon_file(name: &str) -> String {
    format!("icons/{name}")
}

pub(crate) fn object_store_error(error: &StoreError) -> ApiError {
    tracing::warn!(%error, "the object store fails");
    RpcError::unavailable().into()
}

pub(crate) async fn avatar(
    request: HttpRequest,
    gateway: Data<Gateway>,
) -> Result<HttpResponse, ApiError> {
    let name = request.match_info().query("name");
    let format = format_of(name).ok_or_else(ApiError::not_found)?;
    let file = File {
        name: &avatar_file(name),
        format,
        caching: CACHE_IMMUTABLE,
    };
    answer(&request, &gateway, &file).await
}

/// Its name stays when the file changes: the directory knows which it is.
pub(crate) async fn icon(
    request: HttpRequest,
    peers: Data<Peers>,
    gateway: Data<Gateway>,
) -> Result<HttpResponse, ApiError> {
    let icon = request.match_info().query("name").to_owned();
    let format = format_of(&icon).ok_or_else(ApiError::not_found)?;
    let mut last = None;
    loop {
        let found = peers
            .directory()
            .find_icon(FindIconRequest { icon: icon.clone() })
            .await?
            .into_inner()
            .file_name;
        // Gone since it was asked for, and no other has come: it is missing.
        let name = found
            .filter(|found| last.as_ref() != Some(found))
            .ok_or_else(ApiError::not_found)?;
        let path = icon_file(&name);
        match answer(
            &request,
            &gateway,
            &File {
                name: &path,
                format,
                caching: CACHE_REVALIDATE,
            },
        )
        .await
        {
            Err(ApiError::RpcError(failure)) if failure.code == ErrorCode::NotFound => {
                last = Some(name)
            }
            answered => return answered,
        }
    }
}

/// Of `<gid>.<extension>`, in small letters.
fn format_of(name: &str) -> Option<Format> {
    let (stem, extension) = name.split_once('.')?;
    let gid: Gid = stem.parse().ok()?;
    if gid.to_string() == stem {
        Format::from_extension(extension)
    } else {
        None
    }
}

struct File<'a> {
    name: &'a str,
    format: Format,
    caching: &'static str,
}

async fn answer(
    request: &HttpRequest,
    gateway: &Gateway,
    file: &File<'_>,
) -> Result<HttpResponse, ApiError> {
    let store = &gateway.object_store;
    let mut wanted = None;
    if needs_head(request) {
        let head = store
            .head(file.name)
            .await
            .map_err(|error| object_store_error(&error))?
            .ok_or_else(ApiError::not_found)?;
        match plan_response(request, &head) {
            ResponsePlan::NotModified => {
                return Ok(with_headers(HttpResponse::NotModified(), file, &head).finish());
            }
            ResponsePlan::Head => {
                let nothing =
                    SizedStream::new(head.size, stream::empty::<Result<Bytes, Infallible>>());
                return Ok(with_headers(HttpResponse::Ok(), file, &head).body(nothing));
            }
            ResponsePlan::NotSatisfiable => return Err(ApiError::RangeNotSatisfiable(head.size)),
            ResponsePlan::Part(range) => wanted = Some(range),
            ResponsePlan::Whole => {}
        }
    }
    let is_part = wanted.is_some();
    let found = store
        .find(file.name, wanted)
        .await
        .map_err(|error| object_store_error(&error))?;
    let found = found.ok_or_else(ApiError::not_found)?;
    let status = if is_part {
        HttpResponse::PartialContent()
    } else {
        HttpResponse::Ok()
    };
    let mut response = with_headers(status, file, &found);
    let Range { start, end } = found.range;
    if is_part {
        response.insert_header((
            CONTENT_RANGE,
            format!("bytes {start}-{}/{}", end.saturating_sub(1), found.size),
        ));
    }
    let body = found
        .body
        .inspect_err(|error| tracing::warn!(%error, "a picture breaks off"));
    Ok(response.body(SizedStream::new(end - start, body)))
}

fn with_headers(
    mut response: HttpResponseBuilder,
    file: &File<'_>,
    object: &Object,
) -> HttpResponseBuilder {
    response
        .insert_header((CONTENT_TYPE, file.format.media_type()))
        .insert_header((CACHE_CONTROL, file.caching))
        .insert_header((CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"))
        .insert_header((RESOURCE_POLICY, "cross-origin"))
        .insert_header((ACCEPT_RANGES, "bytes"));
    if let Some(etag) = &object.etag {
        response.insert_header((ETAG, etag.as_str()));
    }
    response
}

#[derive(Debug, PartialEq, Eq)]
enum ResponsePlan {
    Head,
    Whole,
    Part(Range<u64>),
    NotModified,
    NotSatisfiable,
}

fn needs_head(request: &HttpRequest) -> bool {
    request.method() == Method::HEAD
        || IfNoneMatch::parse(request).is_ok_and(|tags| tags != IfNoneMatch::Items(Vec::new()))
        || requested_range(request).is_some()
}

/// What is to be answered, now that this is known of the object.
fn plan_response(request: &HttpRequest, object: &Object) -> ResponsePlan {
    let etag: Option<EntityTag> = object.etag.as_ref().and_then(|etag| etag.parse().ok());
    let is_known = |tag: &EntityTag| etag.as_ref().is_some_and(|etag| etag.weak_eq(tag));
    let is_current = match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(is_known),
        Err(_) => false,
    };
    if is_current {
        return ResponsePlan::NotModified;
    }
    if request.method() == Method::HEAD {
        return ResponsePlan::Head;
    }
    let Some(range) = requested_range(request).filter(|_| matches_if_range(request, etag.as_ref()))
    else {
        return ResponsePlan::Whole;
    };
    match range.to_satisfiable_range(object.size) {
        Some((first, last)) => ResponsePlan::Part(first..last + 1),
        None => ResponsePlan::NotSatisfiable,
    }
}

/// The one range that is asked for. Several in one request are for documents; the whole is an answer to that, too.
fn requested_range(request: &HttpRequest) -> Option<ByteRangeSpec> {
    match RangeHeader::parse(request).ok()? {
        RangeHeader::Bytes(mut ranges) if ranges.len() == 1 => ranges.pop(),
        RangeHeader::Bytes(_) | RangeHeader::Unregistered(..) => None,
    }
}

/// Whether the part goes with what the client has, if it says what that is. Files have no date that could be compared.
fn matches_if_range(request: &HttpRequest, etag: Option<&EntityTag>) -> bool {
    if !request.headers().contains_key(IF_RANGE) {
        return true;
    }
    match (IfRange::parse(request), etag) {
        (Ok(IfRange::EntityTag(tag)), Some(etag)) => etag.strong_eq(&tag),
        (Ok(IfRange::EntityTag(_) | IfRange::Date(_)) | Err(_), _) => false,
    }
}

#[cfg(test)]
#[path = "media_tests.rs"]
mod tests;
