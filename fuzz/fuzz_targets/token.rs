//! Fuzzes the verification of tokens. An input is verified as a token and, if it has a line break,
//! as the JSON of a header and a payload that are signed with the real key. Each token that is
//! accepted is checked again here by other means.

#![no_main]

use std::{collections::HashMap, sync::LazyLock};

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use doorward_domain::Timestamp;
use doorward_token::{
    CachingVerifier, Claims, KeySet, PublicKey, Verifier, VerifyError, fingerprint,
};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json, value::RawValue};

const ISSUER: &str = "doorward";
const KID: &str = "k";
const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
/// Largest number of seconds whose microseconds fit into an `i64`.
const END_OF_TIME: i64 = i64::MAX / 1_000_000;

/// Header and payload of a valid token. With a line break between them they are a seed of the
/// corpus.
const GOOD_HEADER: &str = r#"{"typ":"JWT","alg":"EdDSA","kid":"k"}"#;
const GOOD_PAYLOAD: &str = r#"{"iss":"doorward","aud":"doorward","sub":"0f8fad5b-d9cb-469f-a165-70867728950e","iat":1800000000,"exp":1800000060,"jti":"j","sid":"s","auth_time":1800000000,"kind":"user"}"#;

struct Setup {
    key: Ed25519KeyPair,
    keys: KeySet,
    verifier: Verifier,
    caching: CachingVerifier,
}

static SETUP: LazyLock<Setup> = LazyLock::new(|| {
    let key = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a key");
    let public = PublicKey {
        kid: KID.to_owned(),
        x: key.public_key().as_ref().to_vec(),
    };
    Setup {
        key,
        keys: KeySet::new(vec![public]),
        verifier: Verifier::new(ISSUER),
        caching: CachingVerifier::new(ISSUER),
    }
});

fuzz_target!(
    // Without this check the target would also pass if no token were ever accepted.
    init: assert!(
        verify_token(&sign(GOOD_HEADER.as_bytes(), GOOD_PAYLOAD.as_bytes())),
        "a valid token is rejected"
    ),
    |input: &[u8]| {
        if let Ok(token) = str::from_utf8(input) {
            verify_token(token);
        }
        let mut lines = input.splitn(2, |byte| *byte == b'\n');
        if let (Some(header), Some(payload)) = (lines.next(), lines.next()) {
            let token = sign(header, payload);
            if verify_token(&token) {
                assert_changed_token_is_rejected(&token);
            }
        }
    }
);

fn sign(header: &[u8], payload: &[u8]) -> String {
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(payload)
    );
    let signature = URL_SAFE_NO_PAD.encode(SETUP.key.sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

/// Returns whether a token is accepted. Checks that both verifiers agree, also when the cache knows
/// the token, and that an accepted token really is valid.
fn verify_token(token: &str) -> bool {
    let Setup {
        keys,
        verifier,
        caching,
        ..
    } = &*SETUP;
    let verified = verifier.verify(token, keys, NOW);
    for _ in 0..2 {
        assert_eq!(caching.verify(token, keys, NOW), verified);
    }
    let Ok(claims) = verified else { return false };
    assert_eq!(
        caching.verify(token, &KeySet::default(), NOW),
        Err(VerifyError::UnknownKey)
    );
    if claims.exp <= END_OF_TIME {
        assert_eq!(
            caching.verify(token, keys, Timestamp::from_seconds(claims.exp)),
            Err(VerifyError::Expired)
        );
    }
    assert_valid(token, &claims);
    true
}

/// Checks an accepted token without the code under test: its signature, header and claims.
fn assert_valid(token: &str, claims: &Claims) {
    let parts: Vec<&str> = token.split('.').collect();
    let [header, payload, signature] = parts[..] else {
        panic!("{} parts", parts.len())
    };
    UnparsedPublicKey::new(&ED25519, SETUP.key.public_key().as_ref())
        .verify(format!("{header}.{payload}").as_bytes(), &decode(signature))
        .expect("the signature must be by the real key");
    let header: Value = serde_json::from_slice(&decode(header)).expect("JSON");
    assert_eq!(header, json!({"typ": "JWT", "alg": "EdDSA", "kid": KID}));

    // Unknown claims are skipped by the verifier and can contain any bytes, so the payload is not
    // parsed as a whole: each known claim is parsed from its raw text.
    let payload = String::from_utf8_lossy(&decode(payload)).into_owned();
    let payload: HashMap<String, &RawValue> = serde_json::from_str(&payload).expect("an object");
    let claim = |name: &str| serde_json::from_str::<Value>(payload[name].get()).expect("JSON");
    let time = |name: &str| claim(name).as_i64().expect("a whole number");
    assert_eq!(
        (claim("iss"), claim("aud")),
        (json!(ISSUER), json!("doorward"))
    );
    assert!(
        time("exp") > NOW.as_seconds() && time("iat") <= NOW.as_seconds() + 5,
        "{claims:?}"
    );
    assert_eq!(
        (time("exp"), time("iat"), time("auth_time")),
        (claims.exp, claims.iat, claims.auth_time)
    );
    assert_eq!(claim("sid"), json!(claims.sid));
    assert_eq!(
        claim("sub").as_str().map(str::to_ascii_lowercase),
        Some(claims.sub.to_string())
    );
}

fn decode(part: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(part).expect("base64url")
}

/// Changes one byte of the token at a few positions and expects that it is rejected. The positions
/// and bytes depend on the token.
fn assert_changed_token_is_rejected(token: &str) {
    for random in fingerprint(token).chunks_exact(4) {
        let at = usize::from(u16::from_le_bytes([random[0], random[1]])) % token.len();
        let other = char::from(random[2] & 0x7f);
        let changed = format!("{}{other}{}", &token[..at], &token[at + 1..]);
        assert!(
            changed == token || SETUP.verifier.verify(&changed, &SETUP.keys, NOW).is_err(),
            "{changed}"
        );
    }
}
