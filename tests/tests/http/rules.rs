//! Tests HTTP rules for all calls: `HEAD` for each `GET`, content codings, and calls that are not
//! implemented.

use std::{collections::BTreeSet, time::Duration};

use doorward_tests::{
    App, Backend, Call, MANY_WRITES, Response,
    http::{BOUNDARY, form},
    on_both_databases, raw_http,
};
use http::Method;
use serde_json::json;

use crate::{
    api_keys::calls::{ROUTES, UNKNOWN_GID},
    projects::icons,
};

on_both_databases![
    head_is_answered_as_get_without_the_body,
    content_coding_is_unsupported_on_every_call,
    product_data_and_the_image_server_are_not_implemented,
];

/// Returns the paths in the list of routes that are added by these functions.
fn paths(functions: &[&str]) -> Vec<String> {
    let mut prefix = "";
    let mut paths = Vec::new();
    for line in ROUTES.lines().map(str::trim) {
        if line.starts_with("fn project_routes(") {
            prefix = "/api/p/{project}";
        }
        if let Some((function, rest)) = line
            .strip_prefix(".service(")
            .and_then(|line| line.split_once("(\""))
            && functions.contains(&function)
        {
            paths.push(format!(
                "{prefix}{}",
                rest.split('"').next().expect("a path")
            ));
        }
    }
    paths
}

/// Returns the names and values of the headers, without values that differ between responses.
fn headers(answer: &Response) -> BTreeSet<(String, String)> {
    let text = |value: &http::HeaderValue| value.to_str().expect("ASCII").to_owned();
    let headers = answer
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), text(value)));
    headers
        .filter(|(name, _)| name != "date")
        .map(|(name, value)| {
            let is_new = name == "x-request-id" || name == "authorization";
            let value = if is_new { String::new() } else { value };
            (name, value)
        })
        .collect()
}

async fn head_is_answered_as_get_without_the_body(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let project = app.installation.create_project("ann", "Herbarium").await;
    let icon = icons::uploaded(&ann, &project, &icons::png()).await;
    let mut paths = paths(&["get", "get_or_post"]);
    assert!(
        paths.len() >= 9 && paths.contains(&"/api/docs".to_owned()),
        "{paths:?}"
    );
    paths.extend(
        [
            "/media/icons/{icon}",
            "/media/avatars/x.png",
            "/api/nothing",
            "/sync/io/",
        ]
        .map(str::to_owned),
    );
    for path in paths {
        let path = path.replace("{project}", &project).replace("{icon}", &icon);
        for token in [Some(ann.token.as_str()), None] {
            let call = |method| {
                let call = app.http.call(method, &path);
                token.into_iter().fold(call, Call::bearer)
            };
            let get = call(Method::GET).send().await;
            let head = call(Method::HEAD).send().await;
            assert_eq!((head.status, head.body.len()), (get.status, 0), "{path}");
            assert_eq!(headers(&head), headers(&get), "{path}");
            assert!(head.status < 500, "{path}");
        }
        // The body must be missing on the connection itself.
        let mut connection = raw_http::Connection::open(app.http.address()).await;
        let token = &ann.token;
        let request = format!(
            "HEAD {path} HTTP/1.1\r\nHost: doorward\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
        );
        connection.send(request.as_bytes()).await;
        let answer = connection.rest(Duration::from_secs(10)).await;
        assert!(
            answer.starts_with("HTTP/1.1 ") && answer.find("\r\n\r\n") == Some(answer.len() - 4),
            "{answer}"
        );
    }
    for path in self::paths(&["post", "change"]) {
        let path = path.replace("{project}", &project);
        let head = app
            .http
            .call(Method::HEAD, &path)
            .bearer(&ann.token)
            .send()
            .await;
        assert_eq!(
            (head.status, head.header("allow")),
            (405, Some("POST")),
            "{path}"
        );
    }
}

async fn content_coding_is_unsupported_on_every_call(backend: Backend) {
    let app = App::with_settings(backend, &[MANY_WRITES]).await;
    let ann = app.user("ann").await;
    let project = app.installation.create_project("ann", "Herbarium").await;
    let paths = paths(&["post", "change", "get_or_post"]);
    assert!(paths.len() > 60, "{paths:?}");
    let call = |path: &str| {
        let call = app
            .http
            .post(&path.replace("{project}", &project))
            .bearer(&ann.token);
        if path.contains("/upload_") {
            let media_type = format!("multipart/form-data; boundary={BOUNDARY}");
            call.header("content-type", &media_type)
                .body(form(&[("project", project.as_bytes())]))
        } else {
            call.json(&json!({}))
        }
    };
    for path in &paths {
        for coding in ["gzip", "identity, br"] {
            let answer = call(path).header("content-encoding", coding).send().await;
            assert_eq!(answer.status, 415, "{path} {coding}");
            answer.assert_error(415, "Unsupported media type", &json!({}));
        }
        // No call accepts a list as its body, so nothing is changed.
        let plain = call(path)
            .body("[]")
            .header("content-encoding", "Identity")
            .send()
            .await;
        assert_ne!(plain.status, 415, "{path}: {plain:?}");
    }
    for path in [
        "/api/ping",
        "/api/account/logout",
        "/api/account/upload_avatar",
        "/sync/io/?EIO=4&transport=polling",
    ] {
        let codings = [
            "gzip",
            "GZIP",
            "x-gzip",
            "deflate",
            "br",
            "zstd",
            "compress",
            "gzip, identity",
            "identity;q=1",
            "\u{e9}",
        ];
        for coding in codings {
            let answer = call(path).header("content-encoding", coding).send().await;
            answer.assert_error(415, "Unsupported media type", &json!({}));
        }
        let two = call(path)
            .header("content-encoding", "identity")
            .header("content-encoding", "br")
            .send()
            .await;
        two.assert_error(415, "Unsupported media type", &json!({}));
    }
    for coding in ["identity", "IDENTITY", " identity , Identity,", ""] {
        app.http
            .post("/api/ping")
            .json(&json!({}))
            .header("content-encoding", coding)
            .send()
            .await
            .success();
    }
    // The content coding is ignored if there is no body.
    app.http
        .get("/api/ping")
        .header("content-encoding", "gzip")
        .send()
        .await
        .success();
    let with_body = app
        .http
        .get("/api/ping")
        .json(&json!({}))
        .header("content-encoding", "gzip")
        .send()
        .await;
    with_body.assert_error(415, "Unsupported media type", &json!({}));
    // The token is checked first.
    app.http
        .post("/api/projects/create")
        .json(&json!({}))
        .header("content-encoding", "gzip")
        .send()
        .await
        .assert_unauthenticated();
}

async fn product_data_and_the_image_server_are_not_implemented(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let project = app.installation.create_project("ann", "Herbarium").await;
    let families = [
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
    let in_projects = [project.as_str(), UNKNOWN_GID, "x", "%20"].map(|project| {
        families.map(|family| {
            ["", "/", "/get", "/a/b/c", "/get?x=1"]
                .map(|rest| format!("/api/p/{project}/{family}{rest}"))
        })
    });
    let image_server = [
        "/dam",
        "/dam/",
        "/dam/x",
        "/dam/transform/a/b.png",
        "/dam/?x=1",
    ]
    .map(str::to_owned);
    let paths = in_projects
        .into_iter()
        .flatten()
        .flatten()
        .chain(image_server);
    for (number, path) in paths.enumerate() {
        let methods = [
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::DELETE,
            Method::PATCH,
            Method::OPTIONS,
        ];
        let method = methods[number % methods.len()].clone();
        for token in [None, Some(ann.token.as_str()), Some("garbage")] {
            let call = app.http.call(method.clone(), &path).json(&json!({}));
            let answer = token.into_iter().fold(call, Call::bearer).send().await;
            assert_eq!(answer.status, 501, "{method} {path}");
            answer.assert_error(501, "Not implemented", &json!({}));
        }
        let head = app.http.call(Method::HEAD, &path).send().await;
        assert_eq!((head.status, head.body.len()), (501, 0), "{path}");
    }
    for path in [
        format!("/api/p/{project}/recordsx"),
        format!("/api/p/{project}/Records/get"),
        format!("/api/p/{project}/x/records"),
        "/api/p//records/get".to_owned(),
        "/api/p/records".to_owned(),
        "/api/records/get".to_owned(),
        "/damx".to_owned(),
        "/api/dam/x".to_owned(),
    ] {
        app.http
            .post(&path)
            .json(&json!({}))
            .send()
            .await
            .assert_error(404, "Not found", &json!({}));
    }
}
