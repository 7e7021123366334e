#!/usr/bin/env python3
"""Checks a token of Doorward with the published keys alone: reads it from stdin, prints its claims."""

import argparse
import json
import sys
import time

import jwt

MAX_AHEAD_SECONDS = 5  # clocks differ


def verify(token: bytes, keys: jwt.PyJWKClient, issuer: str) -> dict:
    """The claims of a good token. Raises jwt.PyJWTError, also when the keys can't be had."""
    claims = jwt.decode(
        token,
        keys.get_signing_key_from_jwt(token).key,
        algorithms=["EdDSA"],  # never what the token says
        audience="doorward",
        issuer=issuer,
        options={"require": ["exp", "sub", "iat"], "verify_iat": False},  # verified below: PyJWT has one leeway for all
    )
    if claims["iat"] > time.time() + MAX_AHEAD_SECONDS:
        raise jwt.ImmatureSignatureError("issued in the future")
    return claims


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--url", default="http://127.0.0.1:8080", help="where the gateway is")
    arguments.add_argument("--issuer", default="doorward", help="DOORWARD_TOKEN_ISSUER of the installation")
    given = arguments.parse_args()
    try:
        # A service makes this once: it fetches the keys anew after 5 minutes, and for a key that isn't among them.
        keys = jwt.PyJWKClient(f"{given.url}/.well-known/jwks.json", cache_jwk_set=True, lifespan=300, timeout=10)
        print(json.dumps(verify(sys.stdin.buffer.read().strip(), keys, given.issuer)))
    except jwt.PyJWTError as refused:
        sys.exit(f"refused: {refused}")


if __name__ == "__main__":
    main()
