//! Tests that valid tokens can be verified offline with the published keys, and expire in time.
//! Forged tokens are in `forged.rs`.

use std::time::{Duration, SystemTime};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use doorward_tests::{App, Backend, Http, PASSWORD, eventually, on_both_databases};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};

on_both_databases![
    token_verifies_offline_with_the_published_keys,
    published_keys_are_public_and_cacheable,
    expired_token_is_rejected,
    token_of_another_installation_is_rejected,
];

pub(crate) async fn published_keys(http: &Http) -> Vec<Value> {
    let answer = http.get("/.well-known/jwks.json").send().await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["keys"].as_array().expect("a list").clone()
}

pub(crate) fn header_of(token: &str) -> Value {
    part(token, 0)
}

/// Decodes a part of a token: 0 is the header, 1 the claims.
pub(crate) fn part(token: &str, number: usize) -> Value {
    let text = token.split('.').nth(number).expect("three parts");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).expect("base64url")).expect("JSON")
}

pub(crate) fn now() -> i64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "to compare with the clock of the server"
    )]
    let now = SystemTime::now();
    i64::try_from(
        now.duration_since(SystemTime::UNIX_EPOCH)
            .expect("after 1970")
            .as_secs(),
    )
    .expect("a time")
}

async fn token_verifies_offline_with_the_published_keys(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let header = header_of(&ann.token);
    assert_eq!(header["alg"], json!("EdDSA"));
    let keys = published_keys(&app.http).await;
    let key = keys
        .iter()
        .find(|key| key["kid"] == header["kid"])
        .expect("the key of the token");
    let key = DecodingKey::from_ed_components(key["x"].as_str().expect("x")).expect("a key");
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.validate_aud = false;
    validation.set_issuer(&["doorward"]);
    let claims = jsonwebtoken::decode::<Value>(&ann.token, &key, &validation)
        .expect("a valid token")
        .claims;

    assert_eq!(
        (&claims["sub"], &claims["kind"]),
        (&json!(ann.gid), &json!("user"))
    );
    assert!(
        claims["aud"].is_string() || claims["aud"].is_array(),
        "{claims}"
    );
    for id in ["jti", "sid"] {
        assert!(
            claims[id].as_str().is_some_and(|id| !id.is_empty()),
            "{claims}"
        );
    }
    let time = |name: &str| {
        claims[name]
            .as_i64()
            .unwrap_or_else(|| panic!("{name} in {claims}"))
    };
    assert_eq!(time("exp") - time("iat"), 3_600);
    assert!((now() - time("iat")).abs() < 30);
    assert!(time("auth_time") <= time("iat"));

    // A renewed token belongs to the same login, a new login does not.
    let renewed = part(&ann.init().await.token(), 1);
    assert_eq!(
        (&renewed["sid"], &renewed["auth_time"]),
        (&claims["sid"], &claims["auth_time"])
    );
    assert_ne!(renewed["jti"], claims["jti"]);
    assert_ne!(
        part(&app.http.login("ann", PASSWORD).await.token(), 1)["sid"],
        claims["sid"]
    );
}

async fn published_keys_are_public_and_cacheable(backend: Backend) {
    let app = App::start(backend).await;
    let answer = app.http.get("/.well-known/jwks.json").send().await;
    assert_eq!(answer.status, 200);
    let cached = answer.header("cache-control").unwrap_or_default();
    let seconds = cached
        .split("max-age=")
        .nth(1)
        .and_then(|rest| rest.split(',').next())
        .and_then(|seconds| seconds.parse::<u32>().ok());
    assert!(
        seconds.is_some_and(|seconds| (1..=3_600).contains(&seconds)),
        "Cache-Control: {cached}"
    );
    let keys = published_keys(&app.http).await;
    assert!(!keys.is_empty());
    for key in keys {
        let mut members: Vec<&str> = key
            .as_object()
            .expect("an object")
            .keys()
            .map(String::as_str)
            .collect();
        members.sort_unstable();
        // The member `d`, the private key (RFC 8037), must be absent.
        assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x"]);
        assert_eq!(
            (&key["kty"], &key["crv"], &key["use"]),
            (&json!("OKP"), &json!("Ed25519"), &json!("sig"))
        );
        assert!(
            [json!("EdDSA"), json!("Ed25519")].contains(&key["alg"]),
            "{key}"
        );
        assert_eq!(
            URL_SAFE_NO_PAD
                .decode(key["x"].as_str().expect("x"))
                .expect("base64url")
                .len(),
            32
        );
    }
}

async fn expired_token_is_rejected(backend: Backend) {
    let app = App::with_settings(
        backend,
        &[
            ("DOORWARD_TOKEN_LIFETIME", "5s"),
            ("DOORWARD_TOKEN_RENEW_AFTER", "4s"),
        ],
    )
    .await;
    let ann = app.user("ann").await;
    assert_eq!(ann.init().await.status, 200);
    let rejected = eventually(
        "the end of the token",
        Duration::from_secs(20),
        async || Some(ann.init().await).filter(|answer| answer.status != 200),
    )
    .await;
    rejected.assert_unauthenticated();
    assert!(
        now() >= part(&ann.token, 1)["exp"].as_i64().expect("exp"),
        "rejected too early"
    );
    assert_eq!(app.http.login("ann", PASSWORD).await.status, 200);
}

async fn token_of_another_installation_is_rejected(backend: Backend) {
    let first = App::start(backend).await;
    let second = App::start(backend).await;
    let ann = first.user("ann").await;
    let other = second.user("ann").await;
    first.http.init(&other.token).await.assert_unauthenticated();
    second.http.init(&ann.token).await.assert_unauthenticated();
}
