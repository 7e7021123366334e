#!/usr/bin/env python3
"""Verifies a token of Doorward with only the published keys: reads it from stdin and prints its claims."""

import argparse
import json
import sys
import time

import jwt

MAX_AHEAD_SECONDS = 5  # tolerance for clock differences


def verify(token: bytes, keys: jwt.PyJWKClient, issuer: str) -> dict:
    """Returns the claims of a valid token. Raises jwt.PyJWTError, also if the keys cannot be fetched."""
    claims = jwt.decode(
        token,
        keys.get_signing_key_from_jwt(token).key,
        algorithms=["EdDSA"],  # independent of the algorithm that the token names
        audience="doorward",
        issuer=issuer,
        options={"require": ["exp", "sub", "iat"], "verify_iat": False},  # below: PyJWT has only one leeway for all claims
    )
    if claims["iat"] > time.time() + MAX_AHEAD_SECONDS:
        raise jwt.ImmatureSignatureError("issued in the future")
    return claims


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--url", default="http://127.0.0.1:8080", help="URL of the gateway")
    arguments.add_argument("--issuer", default="doorward", help="DOORWARD_TOKEN_ISSUER of the installation")
    given = arguments.parse_args()
    try:
        # A service creates this client once. It fetches the keys again after 5 minutes, and when a
        # token names a new key.
        keys = jwt.PyJWKClient(f"{given.url}/.well-known/jwks.json", cache_jwk_set=True, lifespan=300, timeout=10)
        print(json.dumps(verify(sys.stdin.buffer.read().strip(), keys, given.issuer)))
    except jwt.PyJWTError as refused:
        sys.exit(f"refused: {refused}")


if __name__ == "__main__":
    main()
