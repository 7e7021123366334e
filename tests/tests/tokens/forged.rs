//! Tests that forged and altered tokens are rejected with a 401 (RFC 8725).

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey},
    hmac,
    signature::{Ed25519KeyPair, KeyPair},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use doorward_tests::{
    App, Backend, Http, User, installation::MASTER_KEY, on_both_databases, sql::texts,
};
use serde_json::{Value, json};

use crate::tokens::verify::{header_of, now, part, published_keys};

on_both_databases![
    token_of_another_algorithm_is_rejected,
    token_with_an_edited_header_is_rejected,
    token_with_edited_claims_is_rejected,
    header_of_others_is_rejected_with_our_own_signature,
    claims_of_other_types_or_values_are_rejected_with_our_own_signature,
    truncated_token_is_rejected,
    token_signed_with_another_key_is_rejected,
    token_counts_only_in_one_authorization_header,
    absurdly_long_token_is_a_plain_401,
];

fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// The signing key of the server, which is read from the database and unsealed with the master key.
/// It signs tokens with wrong headers or claims, so that the signature cannot be the reason for
/// their rejection.
struct OwnKey {
    header: Value,
    key: Ed25519KeyPair,
}

impl OwnKey {
    fn from_app(app: &App, user: &User) -> Self {
        let header = header_of(&user.token);
        let kid = header["kid"].as_str().expect("a name");
        let query =
            format!("SELECT sealed_private_key AS text FROM signing_keys WHERE kid = '{kid}'");
        let sealed = texts(&app.installation.databases.auth, &query)
            .pop()
            .expect("the key");
        let mut sealed = STANDARD.decode(sealed).expect("base64");
        let mut text = sealed.split_off(12);
        let nonce = Nonce::try_assume_unique_for_key(&sealed).expect("a nonce");
        let master = STANDARD.decode(MASTER_KEY).expect("base64");
        let master = RandomizedNonceKey::new(&AES_256_GCM, &master).expect("a key");
        let associated_data = format!("signing_key/{kid}");
        let pkcs8 = master
            .open_in_place(nonce, Aad::from(associated_data.as_str()), &mut text)
            .expect("a private key that the master key unseals");
        let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).expect("a key");
        Self { header, key }
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let signed = format!("{}.{}", encoded(header), encoded(claims));
        format!(
            "{signed}.{}",
            URL_SAFE_NO_PAD.encode(self.key.sign(signed.as_bytes()))
        )
    }
}

/// Regression test for algorithm confusion (Keycloak CVE-2026-11800).
async fn token_of_another_algorithm_is_rejected(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let header = header_of(&ann.token);
    let claims = ann.token.split('.').nth(1).expect("claims");
    let with_algorithm = |algorithm: &str| {
        let mut header = header.clone();
        header["alg"] = json!(algorithm);
        format!("{}.{claims}", encoded(&header))
    };
    let mut hostile = Vec::new();
    for none in ["none", "None", "NONE", "nOnE", "", "null"] {
        let signed = with_algorithm(none);
        let signature = ann.token.rsplit('.').next().expect("a signature");
        hostile.extend([
            format!("{signed}."),
            signed.clone(),
            format!("{signed}.{signature}"),
        ]);
    }
    for other in [
        "RS256", "ES256", "PS256", "ES384", "HS256", "eddsa", "EDDSA", "Ed448",
    ] {
        let signature = ann.token.rsplit('.').next().expect("a signature");
        hostile.push(format!("{}.{signature}", with_algorithm(other)));
    }
    for secret in public_key_as_secrets(&app.http, &header["kid"]).await {
        for (name, algorithm) in [
            ("HS256", hmac::HMAC_SHA256),
            ("HS384", hmac::HMAC_SHA384),
            ("HS512", hmac::HMAC_SHA512),
        ] {
            let signed = with_algorithm(name);
            let signature = hmac::sign(&hmac::Key::new(algorithm, &secret), signed.as_bytes());
            hostile.push(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)));
        }
    }
    assert_all_rejected(&app.http, &hostile).await;
    assert_eq!(ann.init().await.status, 200);
}

/// Returns the public key in all forms that a verifier could use as a shared secret: raw,
/// base64url, JWK, DER and PEM.
async fn public_key_as_secrets(http: &Http, kid: &Value) -> Vec<Vec<u8>> {
    let keys = published_keys(http).await;
    let key = keys.iter().find(|key| key["kid"] == *kid).expect("the key");
    let x = key["x"].as_str().expect("x");
    let raw = URL_SAFE_NO_PAD.decode(x).expect("base64url");
    // SubjectPublicKeyInfo of Ed25519 (RFC 8410).
    let der = [
        b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00".as_slice(),
        &raw,
    ]
    .concat();
    let body = base64::engine::general_purpose::STANDARD.encode(&der);
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n");
    vec![
        raw,
        x.as_bytes().to_vec(),
        key.to_string().into_bytes(),
        der,
        pem.trim().as_bytes().to_vec(),
        pem.into_bytes(),
    ]
}

async fn token_with_an_edited_header_is_rejected(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let mut edits = vec![
        ("typ", json!("at+jwt")),
        ("typ", json!("JWS")),
        ("typ", json!(null)),
        ("typ", json!(1)),
        ("crit", json!(["exp"])),
    ];
    for kid in [
        "",
        "unknown",
        "../../../../dev/null",
        "/dev/null",
        "' OR '1'='1",
        "https://evil.example.org/key",
        "\u{0}",
        "%00",
    ] {
        edits.push(("kid", json!(kid)));
    }
    edits.extend(
        [
            json!(null),
            json!(0),
            json!(true),
            json!([]),
            json!({}),
            json!("x".repeat(10_000)),
        ]
        .map(|kid| ("kid", kid)),
    );
    for (name, url) in [
        ("jku", "https://evil.example.org/jwks.json"),
        ("x5u", "http://127.0.0.1:1/"),
        ("zip", "DEF"),
        ("b64", ""),
    ] {
        edits.push((name, json!(url)));
    }
    edits.push((
        "jwk",
        json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}),
    ));
    let (_, rest) = ann.token.split_once('.').expect("a header");
    let mut hostile: Vec<String> = edits
        .into_iter()
        .map(|(name, value)| {
            let mut header = header_of(&ann.token);
            header[name] = value;
            format!("{}.{rest}", encoded(&header))
        })
        .collect();
    for header in [
        json!({}),
        json!([]),
        json!(null),
        json!("x"),
        json!({"alg": "EdDSA"}),
        json!({"typ": "JWT"}),
    ] {
        hostile.push(format!("{}.{rest}", encoded(&header)));
    }
    assert_all_rejected(&app.http, &hostile).await;
}

/// Regression test for claims of wrong types (jsonwebtoken CVE-2026-25537).
async fn token_with_edited_claims_is_rejected(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let ben = app.user("ben").await;
    let parts: Vec<&str> = ann.token.split('.').collect();
    let later = now() + 100_000;
    let mut edits = vec![
        ("sub", json!(ben.gid)),
        ("exp", json!(later)),
        ("exp", json!(later.to_string())),
        ("iat", json!(later)),
        ("kind", json!("api")),
    ];
    for claim in [
        "exp",
        "iat",
        "iss",
        "aud",
        "sub",
        "sid",
        "jti",
        "auth_time",
        "nbf",
        "kind",
    ] {
        for value in [
            json!(null),
            json!("x"),
            json!(1.5),
            json!([]),
            json!({}),
            json!(-1),
            json!(u64::MAX),
            json!(1e300),
        ] {
            edits.push((claim, value));
        }
    }
    let mut hostile = Vec::new();
    for (claim, value) in edits {
        let mut claims = part(&ann.token, 1);
        claims[claim] = value;
        hostile.push(format!("{}.{}.{}", parts[0], encoded(&claims), parts[2]));
    }
    for claim in ["exp", "iat", "iss", "aud", "sub", "sid"] {
        let mut claims = part(&ann.token, 1);
        claims
            .as_object_mut()
            .expect("an object")
            .shift_remove(claim);
        hostile.push(format!("{}.{}.{}", parts[0], encoded(&claims), parts[2]));
    }
    // Parts of two tokens with the same key are combined.
    let other: Vec<&str> = ben.token.split('.').collect();
    hostile.push(format!("{}.{}.{}", parts[0], parts[1], other[2]));
    hostile.push(format!("{}.{}.{}", parts[0], other[1], parts[2]));
    assert_all_rejected(&app.http, &hostile).await;
}

// The signatures of these tokens are right, so only the header can be the reason for rejection.
async fn header_of_others_is_rejected_with_our_own_signature(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let own = OwnKey::from_app(&app, &ann);
    let claims = part(&ann.token, 1);
    assert_eq!(
        app.http.init(&own.sign(&own.header, &claims)).await.status,
        200,
        "a token with unchanged header and claims is valid"
    );
    let mut hostile = Vec::new();
    for (name, value) in [
        ("alg", json!("none")),
        ("alg", json!("HS256")),
        ("alg", json!("ES256")),
        ("alg", json!("eddsa")),
        ("alg", json!(null)),
        ("alg", json!(["EdDSA"])),
        ("typ", json!("at+jwt")),
        ("typ", json!("jwt")),
        ("typ", json!(null)),
        ("kid", json!("unknown")),
        ("kid", json!(null)),
        ("kid", json!([own.header["kid"]])),
        ("crit", json!(["exp"])),
        ("jku", json!("https://evil.example.org/jwks.json")),
        (
            "jwk",
            json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(own.key.public_key().as_ref())}),
        ),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
    ] {
        let mut header = own.header.clone();
        header[name] = value;
        hostile.push(own.sign(&header, &claims));
    }
    for missing in ["alg", "typ", "kid"] {
        let mut header = own.header.clone();
        header
            .as_object_mut()
            .expect("an object")
            .shift_remove(missing);
        hostile.push(own.sign(&header, &claims));
    }
    assert_all_rejected(&app.http, &hostile).await;
}

// The signatures of these tokens are right, so only the claims can be the reason for rejection.
async fn claims_of_other_types_or_values_are_rejected_with_our_own_signature(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let own = OwnKey::from_app(&app, &ann);
    let valid = part(&ann.token, 1);
    let with = |name: &str, value: Value| {
        let mut claims = valid.clone();
        claims[name] = value;
        own.sign(&own.header, &claims)
    };
    let mut hostile = Vec::new();
    for name in [
        "exp",
        "iat",
        "iss",
        "aud",
        "sub",
        "sid",
        "jti",
        "auth_time",
        "nbf",
        "kind",
    ] {
        for value in [
            json!(null),
            json!(1.5),
            json!([]),
            json!({}),
            json!(true),
            json!(u64::MAX),
            json!(1e300),
        ] {
            hostile.push(with(name, value));
        }
        hostile.push(with(name, json!([valid[name]])));
    }
    for name in ["exp", "iat", "auth_time", "nbf"] {
        for text in [valid["exp"].to_string(), "x".to_owned(), String::new()] {
            hostile.push(with(name, json!(text)));
        }
    }
    for (name, value) in [
        ("exp", json!(now())),
        ("exp", json!(0)),
        ("exp", json!(-1)),
        ("iat", json!(now() + 100)),
        ("nbf", json!(now() + 100)),
        ("iss", json!("other")),
        ("iss", json!("")),
        ("aud", json!("other")),
        ("aud", json!(["other"])),
        ("sub", json!("ann")),
        ("sub", json!("")),
        ("kind", json!("admin")),
        ("kind", json!("")),
        ("project", json!("x")),
        ("project", json!(null)),
    ] {
        hostile.push(with(name, value));
    }
    for missing in [
        "exp",
        "iat",
        "iss",
        "aud",
        "sub",
        "sid",
        "jti",
        "auth_time",
        "kind",
    ] {
        let mut claims = valid.clone();
        claims
            .as_object_mut()
            .expect("an object")
            .shift_remove(missing);
        hostile.push(own.sign(&own.header, &claims));
    }
    assert_all_rejected(&app.http, &hostile).await;
    // Other claims in the future or of this server's own are ignored.
    assert_eq!(
        app.http.init(&with("nbf", json!(now() - 10))).await.status,
        200
    );
    assert_eq!(
        app.http.init(&with("scope", json!("admin"))).await.status,
        200
    );
}

async fn truncated_token_is_rejected(backend: Backend) {
    let app = App::start(backend).await;
    let token = app.user("ann").await.token;
    let parts: Vec<&str> = token.split('.').collect();
    let signature = URL_SAFE_NO_PAD.decode(parts[2]).expect("base64url");
    let with_signature = |bytes: &[u8]| {
        format!(
            "{}.{}.{}",
            parts[0],
            parts[1],
            URL_SAFE_NO_PAD.encode(bytes)
        )
    };
    let mut flipped = signature.clone();
    flipped[10] ^= 1;
    let longer = [signature.as_slice(), b"x"].concat();
    let mut hostile = vec![
        with_signature(&flipped),
        with_signature(&longer),
        with_signature(&signature[..63]),
        with_signature(&[0; 64]),
        with_signature(&[]),
        format!("{token}="),
        format!("{token}."),
        format!(".{token}"),
        format!("{token}.{token}"),
        format!("\"{token}\""),
        token.replace('.', ".."),
        token.replace('.', "%2e"),
        token.to_lowercase(),
        parts[1..].join("."),
    ];
    hostile.extend(
        (0..token.len())
            .step_by(7)
            .map(|length| token[..length].to_owned()),
    );
    assert_all_rejected(&app.http, &hostile).await;
}

// The forger's own key has the `kid` of the server's key, and is also sent in the header `jwk`,
// from which some verifiers take it.
async fn token_signed_with_another_key_is_rejected(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let forger = Ed25519KeyPair::generate().expect("a key");
    let x = URL_SAFE_NO_PAD.encode(forger.public_key().as_ref());
    let claims = ann.token.split('.').nth(1).expect("claims");
    let hostile: Vec<String> = [None, Some(json!({"kty": "OKP", "crv": "Ed25519", "x": x}))]
        .into_iter()
        .map(|jwk| {
            let mut header = header_of(&ann.token);
            if let Some(jwk) = jwk {
                header["jwk"] = jwk;
            }
            let signed = format!("{}.{claims}", encoded(&header));
            format!(
                "{signed}.{}",
                URL_SAFE_NO_PAD.encode(forger.sign(signed.as_bytes()))
            )
        })
        .collect();
    assert_all_rejected(&app.http, &hostile).await;
}

async fn token_counts_only_in_one_authorization_header(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let token = &ann.token;
    let init = || app.http.get("/api/init");
    let calls = [
        init(),
        init().bearer(token).bearer(token),
        init().bearer(token).header("authorization", "Bearer x"),
        init().header("authorization", token),
        init().header("authorization", &format!("Basic {token}")),
        init().header("authorization", &format!("Bearer{token}")),
        init().header("authorization", &format!("Bearer {token}, Bearer {token}")),
        init().header("authorization", &format!("Bearer {token} {token}")),
        init().header("x-authorization", &format!("Bearer {token}")),
        init().header("cookie", &format!("authorization=Bearer {token}")),
        app.http.get(&format!(
            "/api/init?access_token={token}&Authorization={token}&token={token}"
        )),
    ];
    for call in calls {
        call.send().await.assert_unauthenticated();
    }
    assert_eq!(
        init()
            .header("authorization", &format!("bEaReR {token}"))
            .send()
            .await
            .status,
        200
    );
}

async fn absurdly_long_token_is_a_plain_401(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let mut header = header_of(&ann.token);
    header["kid"] = json!("k".repeat(60_000));
    let (_, rest) = ann.token.split_once('.').expect("a header");
    let long = [
        "x".repeat(120_000),
        format!("{}.{rest}", encoded(&header)),
        ".".repeat(100_000),
    ];
    assert_all_rejected(&app.http, &long).await;
    // A request whose head is too long can be rejected in any way, but the server must keep
    // running.
    header["kid"] = json!("k".repeat(1_000_000));
    let answer = app
        .http
        .get("/api/init")
        .bearer(&format!("{}.{rest}", encoded(&header)))
        .try_send()
        .await;
    assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status >= 400));
    assert_eq!(ann.init().await.status, 200);
}

async fn assert_all_rejected(http: &Http, tokens: &[String]) {
    for token in tokens {
        let answer = http.init(token).await;
        assert_eq!(answer.status, 401, "{token}: {answer:?}");
        answer.assert_unauthenticated();
    }
}
