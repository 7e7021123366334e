//! Tests of whole tokens: valid ones, forged ones, and ones at the limits.

use aws_lc_rs::{rand::SystemRandom, signature::Ed25519KeyPair};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{CachingVerifier, PublicKey, Signer, TokenKind};

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

fn pkcs8() -> Vec<u8> {
    Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
        .unwrap()
        .as_ref()
        .to_vec()
}

fn claims() -> Value {
    json!({
        "iss": "doorward", "aud": "doorward", "sub": "0f8fad5b-d9cb-469f-a165-70867728950e",
        "iat": NOW.as_seconds(), "exp": NOW.as_seconds() + 60,
        "jti": "j", "sid": "s", "auth_time": NOW.as_seconds(), "kind": "user",
    })
}

/// Returns a token with any header and payload, signed with the key.
fn forge(pkcs8: &[u8], header: &Value, payload: &str) -> String {
    let signing_input = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header.to_string()),
        URL_SAFE_NO_PAD.encode(payload)
    );
    let key_pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).unwrap();
    format!(
        "{signing_input}.{}",
        URL_SAFE_NO_PAD.encode(key_pair.sign(signing_input.as_bytes()))
    )
}

fn verify(pkcs8: &[u8], token: &str) -> Result<Claims, VerifyError> {
    let keys = KeySet::new(vec![Signer::new("k", pkcs8).unwrap().public_key().clone()]);
    Verifier::new("doorward").verify(token, &keys, NOW)
}

fn header() -> Value {
    json!({"typ": "JWT", "alg": "EdDSA", "kid": "k"})
}

#[test]
fn signed_tokens_verify() {
    let key = pkcs8();
    let signer = Signer::new("k", &key).unwrap();
    let claims: Claims = serde_json::from_value(claims()).unwrap();
    assert_eq!(verify(&key, &signer.sign(&claims).unwrap()), Ok(claims));
    assert!(verify(&key, &forge(&key, &header(), &self::claims().to_string())).is_ok());
}

#[test]
fn api_user_token_has_its_project() {
    let key = pkcs8();
    let user: Claims = serde_json::from_value(claims()).unwrap();
    let api_user = Claims {
        kind: TokenKind::Api,
        project: Some(user.sub),
        ..user
    };
    let token = Signer::new("k", &key).unwrap().sign(&api_user).unwrap();
    assert_eq!(verify(&key, &token), Ok(api_user));
}

#[test]
fn cached_token_expires_and_is_rejected_without_its_key() {
    let key = pkcs8();
    let signer = Signer::new("k", &key).unwrap();
    let keys = KeySet::new(vec![signer.public_key().clone()]);
    let token = signer
        .sign(&serde_json::from_value(claims()).unwrap())
        .unwrap();
    let verifier = CachingVerifier::new("doorward");
    for _ in 0..2 {
        assert!(verifier.verify(&token, &keys, NOW).is_ok());
        assert_eq!(
            verifier.verify(&token, &KeySet::default(), NOW),
            Err(VerifyError::UnknownKey)
        );
        assert_eq!(
            verifier.verify(
                &token,
                &keys,
                NOW.saturating_add(std::time::Duration::from_secs(60))
            ),
            Err(VerifyError::Expired)
        );
        assert_eq!(
            verifier.verify(
                &token,
                &keys,
                NOW.saturating_sub(std::time::Duration::from_secs(6))
            ),
            Err(VerifyError::NotYetValid)
        );
    }
}

#[test]
fn cached_tokens_keep_their_own_claims() {
    let key = pkcs8();
    let keys = KeySet::new(vec![Signer::new("k", &key).unwrap().public_key().clone()]);
    let verifier = CachingVerifier::new("doorward");
    for sid in ["a", "b", "a", "b"] {
        let mut claims = claims();
        claims["sid"] = json!(sid);
        let token = forge(&key, &header(), &claims.to_string());
        assert_eq!(verifier.verify(&token, &keys, NOW).unwrap().sid, sid);
    }
}

#[test]
fn locally_signed_token_skips_signature_verification() {
    let keys = KeySet::new(vec![
        Signer::new("k", &pkcs8()).unwrap().public_key().clone(),
    ]);
    let claims: Claims = serde_json::from_value(claims()).unwrap();
    let verifier = CachingVerifier::new("doorward");
    verifier.insert_verified("signed here", "k", claims.clone());
    assert_eq!(verifier.verify("signed here", &keys, NOW), Ok(claims));
    assert_eq!(
        verifier.verify("signed there", &keys, NOW),
        Err(VerifyError::InvalidHeader)
    );
}

#[test]
fn clock_leeway_is_five_seconds() {
    let key = pkcs8();
    for name in ["iat", "nbf"] {
        for (seconds, expected) in [(-5, None), (5, None), (6, Some(VerifyError::NotYetValid))] {
            let mut claims = claims();
            claims[name] = json!(NOW.as_seconds() + seconds);
            let verified = verify(&key, &forge(&key, &header(), &claims.to_string()));
            assert_eq!(verified.err(), expected, "{name} {seconds}");
        }
    }
}

#[test]
fn token_has_no_more_than_4096_bytes() {
    let key = pkcs8();
    // White space after the JSON object is valid and part of the signing input.
    let padded = |bytes: usize| {
        forge(
            &key,
            &header(),
            &format!("{:<bytes$}", claims().to_string()),
        )
    };
    let longest = padded(2968);
    let longer = padded(2969);
    assert_eq!(
        (longest.len(), longer.len()),
        (MAX_TOKEN_BYTES, MAX_TOKEN_BYTES + 1)
    );
    assert!(verify(&key, &longest).is_ok());
    assert_eq!(verify(&key, &longer), Err(VerifyError::TooLong));
}

#[test]
fn foreign_headers_are_rejected() {
    let key = pkcs8();
    for (name, value) in [
        ("alg", json!("none")),
        ("alg", json!("None")),
        ("alg", json!("NONE")),
        ("alg", json!("HS256")),
        ("alg", json!("eddsa")),
        ("alg", json!("ES256")),
        ("alg", json!(null)),
        ("typ", json!("at+jwt")),
        ("typ", json!(1)),
        ("kid", json!("other")),
        ("kid", json!("../../etc/passwd")),
        ("kid", json!("' OR 1=1 --")),
        ("kid", json!("https://example.org/key")),
        ("kid", json!(7)),
        ("kid", json!("k".repeat(2000))),
        ("jku", json!("https://example.org")),
        ("jwk", json!({})),
        ("x5u", json!("https://example.org")),
        ("crit", json!(["exp"])),
        ("b64", json!(false)),
    ] {
        let mut header = header();
        header[name] = value;
        assert!(
            verify(&key, &forge(&key, &header, &claims().to_string())).is_err(),
            "{header}"
        );
    }
}

#[test]
fn claims_of_wrong_type_or_value_are_rejected() {
    let key = pkcs8();
    let too_late = NOW.as_seconds() + 6;
    let wrong = [
        json!("1900000000"),
        json!(null),
        json!(1_900_000_000.5),
        json!([1_900_000_000]),
        json!({}),
        json!(true),
    ];
    for name in ["exp", "iat", "nbf", "auth_time"] {
        for value in &wrong {
            let mut claims = claims();
            claims[name] = value.clone();
            assert!(
                verify(&key, &forge(&key, &header(), &claims.to_string())).is_err(),
                "{name} {value}"
            );
        }
    }
    for (name, value) in [
        ("exp", json!(NOW.as_seconds())),
        ("exp", json!(0)),
        ("exp", json!(-1)),
        ("exp", json!(u64::MAX)),
        ("iat", json!(too_late)),
        ("iss", json!("other")),
        ("iss", json!(null)),
        ("iss", json!(1)),
        ("aud", json!("other")),
        ("aud", json!(["other"])),
        ("sub", json!("ann")),
        ("sub", json!(1)),
        ("kind", json!("admin")),
        ("project", json!("x")),
    ] {
        let mut claims = claims();
        claims[name] = value.clone();
        assert!(
            verify(&key, &forge(&key, &header(), &claims.to_string())).is_err(),
            "{name} {value}"
        );
    }
    for name in [
        "iss",
        "aud",
        "sub",
        "exp",
        "iat",
        "jti",
        "sid",
        "auth_time",
        "kind",
    ] {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(name);
        assert!(
            verify(&key, &forge(&key, &header(), &claims.to_string())).is_err(),
            "without {name}"
        );
    }
}

#[test]
fn wrong_key_or_edited_payload_is_rejected() {
    let key = pkcs8();
    let other = pkcs8();
    let valid = forge(&key, &header(), &claims().to_string());
    assert!(verify(&other, &valid).is_err());
    let parts: Vec<&str> = valid.split('.').collect();
    let mut edited = claims();
    edited["sub"] = json!("1f8fad5b-d9cb-469f-a165-70867728950e");
    let edited = URL_SAFE_NO_PAD.encode(edited.to_string());
    for invalid in [
        format!("{}.{edited}.{}", parts[0], parts[2]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}", parts[0], parts[1]),
        format!("{valid}A"),
        format!("{valid}.{}", parts[2]),
        valid[..valid.len() - 4].to_owned(),
        "x".repeat(1_000_000),
        String::new(),
    ] {
        assert!(verify(&key, &invalid).is_err());
    }
}

#[test]
fn hmac_with_the_public_key_is_rejected() {
    let key = pkcs8();
    let public = Signer::new("k", &key).unwrap().public_key().x.clone();
    let mut header = jsonwebtoken::Header::new(Algorithm::HS256);
    header.kid = Some("k".to_owned());
    let token = jsonwebtoken::encode(
        &header,
        &claims(),
        &jsonwebtoken::EncodingKey::from_secret(&public),
    )
    .unwrap();
    assert_eq!(verify(&key, &token), Err(VerifyError::InvalidHeader));
}

#[test]
fn keys_of_wrong_length_are_ignored() {
    let key = |bytes: usize| PublicKey {
        kid: "k".to_owned(),
        x: vec![1; bytes],
    };
    assert_eq!(
        KeySet::new(vec![key(31), key(32), key(33)]).public_keys(),
        [key(32)]
    );
}

#[test]
fn key_is_published_as_a_jwk() {
    let key = PublicKey {
        kid: "k".to_owned(),
        x: vec![1; 32],
    };
    let x = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";
    let jwk = json!({
        "kty": "OKP", "crv": "Ed25519", "kid": "k", "use": "sig", "alg": "EdDSA", "x": x,
    });
    assert_eq!(key.to_jwk(), jwk);
}

proptest! {
    #[test]
    fn arbitrary_text_never_verifies_or_panics(text in "\\PC{0,200}", header in "\\PC{0,40}") {
        let key = pkcs8();
        prop_assert!(verify(&key, &text).is_err());
        let token = format!("{}.{text}.{text}", URL_SAFE_NO_PAD.encode(header));
        prop_assert!(verify(&key, &token).is_err());
    }
}
