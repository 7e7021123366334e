//! Tests CORS: which calls browsers allow to pages of other origins.

use doorward_tests::{App, Backend, Http, PASSWORD, Response, on_both_databases};
use http::Method;
use serde_json::json;

on_both_databases![
    configured_origin_may_call_and_read_the_token,
    by_default_no_other_origin_may_call,
    page_can_send_the_headers_of_tracing_libraries,
    preflight_that_is_rejected_is_400_in_the_envelope,
];

const OURS: &str = "https://app.example.org";
const SECOND: &str = "http://localhost:3000";

async fn configured_origin_may_call_and_read_the_token(backend: Backend) {
    let app = App::with_settings(
        backend,
        &[("DOORWARD_CORS_ORIGINS", &format!("{OURS},{SECOND}"))],
    )
    .await;
    app.user("ann").await;
    for origin in [OURS, SECOND] {
        let preflight = preflight(&app.http, origin).await;
        assert!((200..300).contains(&preflight.status), "{preflight:?}");
        assert_eq!(
            preflight.header("access-control-allow-origin"),
            Some(origin)
        );
        assert!(
            lists(&preflight, "access-control-allow-methods", "POST"),
            "{preflight:?}"
        );
        for header in ["authorization", "content-type"] {
            assert!(
                lists(&preflight, "access-control-allow-headers", header),
                "{preflight:?}"
            );
        }
        let login = app
            .http
            .login_call("ann", PASSWORD)
            .header("origin", origin)
            .send()
            .await;
        login.token();
        assert_eq!(login.header("access-control-allow-origin"), Some(origin));
        assert!(
            lists(&login, "access-control-expose-headers", "authorization"),
            "{login:?}"
        );
        // A page must be able to read errors too.
        let denied = app
            .http
            .get("/api/init")
            .header("origin", origin)
            .send()
            .await;
        denied.assert_unauthenticated();
        assert_eq!(denied.header("access-control-allow-origin"), Some(origin));
    }
    for other in [
        "https://evil.example.org",
        "https://app.example.org.evil.com",
        "http://app.example.org",
        "https://app.example.org:8443",
        "null",
    ] {
        nothing_is_allowed(&app.http, other).await;
    }
}

async fn by_default_no_other_origin_may_call(backend: Backend) {
    let app = App::start(backend).await;
    nothing_is_allowed(&app.http, OURS).await;
}

async fn page_can_send_the_headers_of_tracing_libraries(backend: Backend) {
    let app = App::with_settings(backend, &[("DOORWARD_CORS_ORIGINS", OURS)]).await;
    let allowed = [
        "authorization",
        "content-type",
        "traceparent",
        "tracestate",
        "baggage",
        "sentry-trace",
        "x-request-id",
        "x-requested-with",
    ];
    for method in ["GET", "HEAD", "POST"] {
        for headers in allowed
            .into_iter()
            .chain([allowed.join(", ").as_str(), "X-Requested-With,Baggage"])
        {
            let call = app
                .http
                .call(Method::OPTIONS, "/api/init")
                .header("origin", OURS);
            let call = call.header("access-control-request-method", method);
            let answer = call
                .header("access-control-request-headers", headers)
                .send()
                .await;
            assert!(
                (200..300).contains(&answer.status),
                "{method} {headers}: {answer:?}"
            );
            for header in headers.split(',').map(str::trim) {
                assert!(
                    lists(&answer, "access-control-allow-headers", header),
                    "{method} {header}: {answer:?}"
                );
            }
        }
    }
}

async fn preflight_that_is_rejected_is_400_in_the_envelope(backend: Backend) {
    let app = App::with_settings(backend, &[("DOORWARD_CORS_ORIGINS", OURS)]).await;
    let cases = [
        ("https://evil.example.org", "POST", "content-type"),
        ("null", "POST", "content-type"),
        ("\u{e9}", "POST", "content-type"),
        (OURS, "DELETE", "content-type"),
        (OURS, "POST", "x-of-somebody-else"),
        (OURS, "POST", "not a header"),
    ];
    for path in ["/api/login", "/api/init", "/api/no-such-path"] {
        for (origin, method, headers) in cases {
            let call = app
                .http
                .call(Method::OPTIONS, path)
                .header("origin", origin)
                .header("x-request-id", "mine");
            let call = call.header("access-control-request-method", method);
            let answer = call
                .header("access-control-request-headers", headers)
                .send()
                .await;
            answer.assert_error(400, "Bad request", &json!({}));
            assert_eq!(answer.header("x-request-id"), Some("mine"));
            assert_eq!(
                answer.header("access-control-allow-methods"),
                None,
                "{answer:?}"
            );
        }
    }
}

async fn preflight(http: &Http, origin: &str) -> Response {
    let call = http
        .call(Method::OPTIONS, "/api/login")
        .header("origin", origin);
    let call = call.header("access-control-request-method", "POST");
    call.header(
        "access-control-request-headers",
        "authorization,content-type",
    )
    .send()
    .await
}

async fn nothing_is_allowed(http: &Http, origin: &str) {
    let call = http
        .post("/api/login")
        .json(&json!({}))
        .header("origin", origin)
        .send();
    for answer in [preflight(http, origin).await, call.await] {
        let granted = answer
            .headers
            .keys()
            .find(|name| name.as_str().starts_with("access-control-allow"));
        assert_eq!(granted, None, "{origin}: {answer:?}");
        assert!(answer.status < 500);
    }
}

fn lists(answer: &Response, header: &str, item: &str) -> bool {
    answer.header(header).is_some_and(|list| {
        list.split(',')
            .any(|listed| listed.trim().eq_ignore_ascii_case(item))
    })
}
