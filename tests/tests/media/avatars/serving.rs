//! Tests `/media/avatars/...`: headers, ranges, conditional requests, and removal.

use std::time::Duration;

use doorward_tests::{App, Backend, Call, Response, Services, on_both_databases};
use http::Method;
use image::ImageFormat;
use serde_json::json;

use crate::media::avatars::{
    DELETE, FORMATS, SWEEP, assert_gone_within, get, picture, png, uploaded,
};

on_both_databases![
    avatar_is_served_immutable_and_sandboxed,
    parts_and_conditions_are_those_of_http,
    replaced_or_deleted_avatar_is_removed,
    names_that_are_none_are_not_found,
];

/// Checks the headers that every answer with or about a picture has.
fn assert_described(answer: &Response, media_type: &str) {
    for (name, value) in [
        ("content-type", media_type),
        ("cache-control", "public, max-age=31536000, immutable"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "default-src 'none'; sandbox"),
        ("cross-origin-resource-policy", "cross-origin"),
        ("accept-ranges", "bytes"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{answer:?}");
    }
    assert!(
        answer
            .header("etag")
            .is_some_and(|etag| etag.starts_with('"')),
        "{answer:?}"
    );
    assert!(answer.header("x-request-id").is_some() && answer.header("authorization").is_none());
}

async fn avatar_is_served_immutable_and_sandboxed(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    for (format, _, media_type) in FORMATS {
        let polyglot = [
            picture(format, 64, 48),
            b"<script>alert(1)</script>".to_vec(),
        ]
        .concat();
        let name = uploaded(&ann, &polyglot).await;
        let answer = get(&app.http, &name).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_described(&answer, media_type);
        let length = answer.body.len().to_string();
        assert_eq!(answer.header("content-length"), Some(length.as_str()));
        assert!(!answer.text().contains("script"));
        let image = image::load_from_memory(&answer.body)
            .expect("a picture")
            .to_rgb8();
        assert_eq!(image.dimensions(), (64, 48));
        assert!(
            image
                .get_pixel(9, 9)
                .0
                .iter()
                .zip([200, 30, 30])
                .all(|(is, was)| is.abs_diff(was) < 5)
        );
        let head = app
            .http
            .call(Method::HEAD, &format!("/media/avatars/{name}"))
            .send()
            .await;
        assert_eq!(
            (head.status, head.body.len(), head.header("content-length")),
            (200, 0, Some(length.as_str()))
        );
        assert_described(&head, media_type);
        assert_eq!(head.header("etag"), answer.header("etag"));
    }
}

async fn parts_and_conditions_are_those_of_http(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let name = uploaded(&ann, &picture(ImageFormat::Png, 300, 300)).await;
    let whole = get(&app.http, &name).await;
    let size = whole.body.len();
    let etag = whole.header("etag").expect("an ETag").to_owned();
    let call = |headers: &[(&str, &str)]| {
        let call = app.http.get(&format!("/media/avatars/{name}"));
        headers
            .iter()
            .fold(call, |call: Call, (name, value)| call.header(name, value))
    };
    let last = size - 1;
    for (range, first, end) in [
        ("bytes=0-0".to_owned(), 0, 1),
        ("bytes=10-19".to_owned(), 10, 20),
        ("bytes=10-".to_owned(), 10, size),
        ("bytes=-5".to_owned(), size - 5, size),
        (format!("bytes=0-{}", size * 2), 0, size),
        (format!("bytes={last}-{last}"), last, size),
    ] {
        let plain = [("range", range.as_str())];
        for headers in [&plain as &[_], &[plain[0], ("if-range", etag.as_str())]] {
            let part = call(headers).send().await;
            assert_eq!(
                (part.status, &part.body[..]),
                (206, &whole.body[first..end]),
                "{range}"
            );
            let described = format!("bytes {first}-{}/{size}", end - 1);
            assert_eq!(part.header("content-range"), Some(described.as_str()));
            assert_described(&part, "image/png");
        }
    }
    for headers in [
        &[("range", "bytes=0-1,5-6")] as &[_],
        &[("range", "bytes=5-1")],
        &[("range", "x")],
        &[("range", "bytes=0-1"), ("if-range", "\"other\"")],
        &[
            ("range", "bytes=0-1"),
            ("if-range", "Sat, 29 Oct 1994 19:43:31 GMT"),
        ],
        &[("if-none-match", "\"other\"")],
    ] {
        let answer = call(headers).send().await;
        assert_eq!(
            (answer.status, &answer.body),
            (200, &whole.body),
            "{headers:?}"
        );
        assert_eq!(answer.header("content-range"), None);
    }
    let beyond = format!("bytes={size}-");
    for range in [beyond.as_str(), "bytes=-0", "bytes=99999999-"] {
        let answer = call(&[("range", range)]).send().await;
        answer.assert_error(416, "Range not satisfiable", &json!({}));
        assert_eq!(
            answer.header("content-range"),
            Some(format!("bytes */{size}").as_str())
        );
    }
    for tags in [etag.as_str(), "*", &format!("\"x\", W/{etag}")] {
        let answer = call(&[("if-none-match", tags), ("range", "bytes=0-1")])
            .send()
            .await;
        assert_eq!(
            (answer.status, answer.body.len(), answer.header("etag")),
            (304, 0, Some(etag.as_str())),
            "{tags}"
        );
        assert_eq!(
            answer.header("cache-control"),
            whole.header("cache-control")
        );
    }
}

async fn replaced_or_deleted_avatar_is_removed(backend: Backend) {
    let split = Services::start(backend).await;
    let ann = split.user("ann").await;
    let ben = split.user("ben").await;
    let other = split
        .start_replica(doorward_tests::Role::Gateway, &[])
        .await;
    let soon = Duration::from_secs(10);
    let first = uploaded(&ann, &png()).await;
    let bens = uploaded(&ben, &png()).await;
    let second = uploaded(&ann, &png()).await;
    assert_gone_within(&split.http, &first, soon).await;
    assert_gone_within(&other.http(), &first, soon).await;
    assert_eq!(
        get(&other.http(), &second).await.body,
        get(&split.http, &second).await.body
    );
    ann.call(DELETE, &json!({})).await.success();
    assert_gone_within(&split.http, &second, soon).await;
    assert_eq!(get(&other.http(), &bens).await.status, 200);
    split.installation.change_user("delete", "ben").await;
    assert_gone_within(&split.http, &bens, SWEEP).await;
    let left = split.installation.path().join("data/media/avatars");
    assert_eq!(std::fs::read_dir(left).expect("a directory").count(), 0);
}

async fn names_that_are_none_are_not_found(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let name = uploaded(&ann, &png()).await;
    std::fs::write(
        app.installation.path().join("data/media/avatars/x.png"),
        "x",
    )
    .expect("a file");
    let gid = name.trim_end_matches(".png");
    let others = [
        "x.png".to_owned(),
        gid.to_owned(),
        format!("{gid}.jpg"),
        format!("{gid}.PNG"),
        format!("{gid}.png/"),
        format!("{gid}.png%231"),
        format!("{gid}.png%00"),
        format!("{}.png", gid.to_uppercase()),
        format!("..%2favatars%2f{name}"),
        "../avatars/".to_owned() + &name,
        "%2e%2e/master.key".to_owned(),
        String::new(),
    ];
    for other in others {
        for method in [Method::GET, Method::HEAD] {
            let answer = app
                .http
                .call(method, &format!("/media/avatars/{other}"))
                .send()
                .await;
            assert_eq!(
                (answer.status, answer.header("cache-control")),
                (404, Some("no-store")),
                "{other}"
            );
        }
        get(&app.http, &other)
            .await
            .assert_error(404, "Not found", &json!({}));
    }
    for path in ["/media", "/media/", "/media/avatars", "/media/icons/x"] {
        app.http
            .get(path)
            .send()
            .await
            .assert_error(404, "Not found", &json!({}));
    }
    let post = app
        .http
        .post(&format!("/media/avatars/{name}"))
        .json(&json!({}))
        .send()
        .await;
    post.assert_error(405, "Method not allowed", &json!({}));
    assert_eq!(post.header("allow"), Some("GET, HEAD"));
    assert_eq!(get(&app.http, &name).await.status, 200);
}
