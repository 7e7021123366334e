//! `GET|HEAD /media/...`: pictures, for any client that knows their names. Conditional requests and
//! ranges follow RFC 9110, sections 13 and 14.

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
use doorward_media::{Format, Object};
use doorward_rpc::directory::v1::FindIconRequest;
use futures_util::{TryStreamExt, stream};

use crate::{
    http::envelope::ApiError,
    media::{Media, avatar_file, icon_file, object_store_error},
    peers::Peers,
};

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
/// Caching of avatars: a new avatar has a new name, so a file never changes.
const CACHE_IMMUTABLE: &str = "public, max-age=31536000, immutable";

/// Caching of icons: a client that has one asks whether it is still current (`ETag`).
const CACHE_REVALIDATE: &str = "no-cache";

/// Sends an avatar.
pub(crate) async fn avatar(
    request: HttpRequest,
    media: Data<Media>,
) -> Result<HttpResponse, ApiError> {
    let name = request.match_info().query("name");
    let format = format_of(name).ok_or_else(ApiError::not_found)?;
    let file = File {
        name: &avatar_file(name),
        format,
        caching: CACHE_IMMUTABLE,
    };
    send_file(&request, &media, &file).await
}

/// Sends an icon. Its public name does not change with the picture, so the directory knows the
/// current file.
///
/// The file can be replaced and deleted between the two steps. Then the directory is asked again,
/// and the request is 404 only if it still names the missing file.
pub(crate) async fn icon(
    request: HttpRequest,
    peers: Data<Peers>,
    media: Data<Media>,
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
        // The same file again, and the object store does not have it.
        let name = found
            .filter(|found| last.as_ref() != Some(found))
            .ok_or_else(ApiError::not_found)?;
        let path = icon_file(&name);
        match send_file(
            &request,
            &media,
            &File {
                name: &path,
                format,
                caching: CACHE_REVALIDATE,
            },
        )
        .await
        {
            Err(ApiError::RpcError(error)) if error.code == ErrorCode::NotFound => {
                last = Some(name);
            }
            result => return result,
        }
    }
}

/// Returns the format of a name of the form `<gid>.<extension>` in lower case. Other names do not
/// exist; none of them reaches the object store.
fn format_of(name: &str) -> Option<Format> {
    let (stem, extension) = name.split_once('.')?;
    let gid: Gid = stem.parse().ok()?;
    if gid.to_string() == stem {
        Format::from_extension(extension)
    } else {
        None
    }
}

/// File in the object store, and how it is served.
struct File<'a> {
    name: &'a str,
    format: Format,
    caching: &'static str,
}

/// Sends a file, or the part of it that the request asks for.
async fn send_file(
    request: &HttpRequest,
    media: &Media,
    file: &File<'_>,
) -> Result<HttpResponse, ApiError> {
    let store = &media.object_store;
    // Most requests need one call to the object store. Only conditions, ranges and `HEAD` need the
    // size and ETag before.
    let mut range = None;
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
            ResponsePlan::Part(part) => range = Some(part),
            ResponsePlan::Whole => {}
        }
    }
    let is_part = range.is_some();
    let found = store
        .find(file.name, range)
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
    let body = found.body.inspect_err(
        |error| tracing::warn!(%error, "the object store failed while a picture was sent"),
    );
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
        // A picture that is opened as a page cannot run scripts; pages of other origins can show
        // it.
        .insert_header((CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"))
        .insert_header((RESOURCE_POLICY, "cross-origin"))
        .insert_header((ACCEPT_RANGES, "bytes"));
    if let Some(etag) = &object.etag {
        response.insert_header((ETAG, etag.as_str()));
    }
    response
}

/// Kind of response to a request for a file.
#[derive(Debug, PartialEq, Eq)]
enum ResponsePlan {
    Head,
    Whole,
    Part(Range<u64>),
    NotModified,
    NotSatisfiable,
}

/// Returns whether size and ETag are needed before the response is known.
fn needs_head(request: &HttpRequest) -> bool {
    request.method() == Method::HEAD
        || IfNoneMatch::parse(request).is_ok_and(|tags| tags != IfNoneMatch::Items(Vec::new()))
        || requested_range(request).is_some()
}

/// Decides the response from the size and ETag of the object, in the order of RFC 9110, section
/// 13.2.2: `If-None-Match` first, then `Range` with `If-Range`.
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

/// Returns the range of a request. Several ranges are ignored: the whole file is a valid response
/// to them (RFC 9110, section 14.2).
fn requested_range(request: &HttpRequest) -> Option<ByteRangeSpec> {
    match RangeHeader::parse(request).ok()? {
        RangeHeader::Bytes(mut ranges) if ranges.len() == 1 => ranges.pop(),
        RangeHeader::Bytes(_) | RangeHeader::Unregistered(..) => None,
    }
}

/// Returns whether the client's copy is of this version, so that a part of it fits (`If-Range`).
/// Objects have no date to compare, so a date never matches.
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
