//! Verification of tokens: header, key, signature, claims and times, in this order. The header must
//! be exactly that of a token of Doorward, so the token cannot choose its algorithm or its key
//! (RFC 8725, sections 3.1 and 3.10).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use doorward_domain::Timestamp;
use jsonwebtoken::{Algorithm, Validation};
use serde::Deserialize;

use crate::{AUDIENCE, Claims, KeySet};

/// Maximum length of a token. The tokens of Doorward have about 600 bytes.
pub const MAX_TOKEN_BYTES: usize = 4096;
/// How far `iat` and `nbf` can be in the future, because the clocks of two machines differ.
const CLOCK_LEEWAY_SECONDS: i64 = 5;

/// The reason why a token is rejected. It is only for the log and must not be sent to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    #[error("the token is too long")]
    TooLong,
    #[error("the header is not that of a token of Doorward")]
    InvalidHeader,
    #[error("the token is signed with an unknown key")]
    UnknownKey,
    #[error("the signature or a claim is invalid")]
    InvalidToken,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    NotYetValid,
}

/// The header of a token of Doorward. A header with another parameter (`jku`, `jwk`, `x5u`, `crit`
/// ...) is rejected.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedHeader {
    typ: String,
    alg: String,
    kid: String,
}

/// Verifies tokens of one issuer.
pub struct Verifier {
    validation: Validation,
}

impl Verifier {
    #[must_use]
    pub fn new(issuer: &str) -> Self {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[issuer]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
        // The library reads the clock of the machine; `verify_times` checks the times instead.
        validation.validate_exp = false;
        Self { validation }
    }

    /// Verifies a token and returns its claims. It does not check revocations.
    ///
    /// # Errors
    /// The first [`VerifyError`] reason that applies.
    pub fn verify(
        &self,
        token: &str,
        keys: &KeySet,
        now: Timestamp,
    ) -> Result<Claims, VerifyError> {
        self.verify_with_kid(token, keys, now)
            .map(|(_, claims)| claims)
    }

    /// Verifies a token and returns the id of its key with its claims.
    pub(crate) fn verify_with_kid(
        &self,
        token: &str,
        keys: &KeySet,
        now: Timestamp,
    ) -> Result<(String, Claims), VerifyError> {
        // The length comes first, so that a long text costs no decoding.
        if token.len() > MAX_TOKEN_BYTES {
            return Err(VerifyError::TooLong);
        }
        let kid = parse_kid(token)?;
        let key = keys.find(&kid).ok_or(VerifyError::UnknownKey)?;
        let claims = jsonwebtoken::decode::<Claims>(token, key, &self.validation)
            .map_err(|_| VerifyError::InvalidToken)?
            .claims;
        claims.verify_times(now)?;
        Ok((kid, claims))
    }
}

impl Claims {
    /// Checks the times of verified claims.
    ///
    /// # Errors
    /// [`VerifyError::Expired`], [`VerifyError::NotYetValid`].
    pub(crate) fn verify_times(&self, now: Timestamp) -> Result<(), VerifyError> {
        // There is no leeway for `exp`: a token must never be valid for longer than its issuer
        // says.
        if self.exp <= now.as_seconds() {
            return Err(VerifyError::Expired);
        }
        let latest = now.as_seconds().saturating_add(CLOCK_LEEWAY_SECONDS);
        if self.iat > latest || self.nbf.is_some_and(|nbf| nbf > latest) {
            return Err(VerifyError::NotYetValid);
        }
        Ok(())
    }
}

/// Returns the key id of a token whose header is acceptable. The signature is not verified yet, so
/// the id must be used only to look up the key.
fn parse_kid(token: &str) -> Result<String, VerifyError> {
    let (header, _) = token.split_once('.').ok_or(VerifyError::InvalidHeader)?;
    let header = URL_SAFE_NO_PAD
        .decode(header)
        .map_err(|_| VerifyError::InvalidHeader)?;
    let header: ExpectedHeader =
        serde_json::from_slice(&header).map_err(|_| VerifyError::InvalidHeader)?;
    if header.typ != "JWT" || header.alg != "EdDSA" {
        return Err(VerifyError::InvalidHeader);
    }
    Ok(header.kid)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::{rand::SystemRandom, signature::Ed25519KeyPair};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::{PublicKey, Signer};

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
            kind: crate::TokenKind::Api,
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
        let verifier = crate::CachingVerifier::new("doorward");
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
        let verifier = crate::CachingVerifier::new("doorward");
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
        let verifier = crate::CachingVerifier::new("doorward");
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
            for (seconds, expected) in [(-5, None), (5, None), (6, Some(VerifyError::NotYetValid))]
            {
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
}
