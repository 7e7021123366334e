"""Hashes passwords with the libraries of other systems, for tests/tests/login/foreign_libraries.rs.

Reads a JSON list of passwords and writes a line of JSON for each hash. The costs are low; with the argument `default`
each library uses its default costs."""

import base64
import hashlib
import json
import os
import sys
from importlib.metadata import version

import argon2
import bcrypt
from argon2.low_level import Type, hash_secret
from django.conf import settings
from django.contrib.auth.hashers import PBKDF2PasswordHasher, make_password
from passlib.hash import django_pbkdf2_sha256, pbkdf2_sha1, pbkdf2_sha256, pbkdf2_sha512, scrypt

# Each of these writes a different format.
PASSLIB = [pbkdf2_sha1, pbkdf2_sha256, pbkdf2_sha512, django_pbkdf2_sha256]
# Number of bytes that bcrypt uses.
BCRYPT_BYTES = 72

settings.configure()


def b64(data):
    """Encodes data in the base64 of PHC strings, without padding."""
    return base64.b64encode(data).rstrip(b"=").decode()


def argon2_low_level(type, version):
    def make(password):
        return hash_secret(password.encode(), os.urandom(16), 2, 64, 2, 32, type, version).decode()

    return make


def bcrypt_of(prefix, cost):
    def make(password):
        return bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost, prefix.encode())).decode()

    return make


def as_php(password):
    """Hashes as PHP's password_hash() does, which writes another prefix for the same function."""
    return bcrypt_of("2b", 4)(password).replace("$2b$", "$2y$", 1)


def cut(password):
    """Truncates the password, as libraries did before bcrypt 5 rejected long passwords, and as its message advises."""
    return bcrypt.hashpw(password.encode()[:BCRYPT_BYTES], bcrypt.gensalt(4)).decode()


def hashlib_pbkdf2(digest):
    def make(password):
        salt, rounds = os.urandom(16), 2000
        output = hashlib.pbkdf2_hmac(digest, password.encode(), salt, rounds)
        return f"$pbkdf2-{digest}$i={rounds},l={len(output)}${b64(salt)}${b64(output)}"

    return make


def hashlib_scrypt(password):
    salt = os.urandom(16)
    output = hashlib.scrypt(password.encode(), salt=salt, n=1 << 10, r=8, p=2, dklen=32)
    return f"$scrypt$ln=10,r=8,p=2${b64(salt)}${b64(output)}"


def cheap():
    for type in Type:
        yield f"argon2{type.name.lower()}", "argon2-cffi", argon2_low_level(type, 19)
    yield "argon2id, version 16", "argon2-cffi", argon2_low_level(Type.ID, 16)
    long = argon2.PasswordHasher(time_cost=1, memory_cost=256, parallelism=1, hash_len=64, salt_len=32)
    short = argon2.PasswordHasher(time_cost=3, memory_cost=64, parallelism=8, hash_len=16, salt_len=8)
    yield "argon2id, long", "argon2-cffi", long.hash
    yield "argon2id, short", "argon2-cffi", short.hash
    for prefix in ["2a", "2b"]:
        yield f"bcrypt {prefix}", "bcrypt", bcrypt_of(prefix, 4)
    yield "bcrypt 2y", "bcrypt", as_php
    yield "bcrypt, cut", "bcrypt", cut
    yield "pbkdf2_sha256", "Django", lambda password: PBKDF2PasswordHasher().encode(password, "DjangosSalt", 2000)
    for handler in PASSLIB:
        yield handler.name, "passlib", handler.using(rounds=2000, salt_size=9).hash
    yield "scrypt", "passlib", scrypt.using(rounds=10, block_size=4, parallelism=2).hash
    for digest in ["sha1", "sha256", "sha512"]:
        yield f"pbkdf2-{digest}", "hashlib", hashlib_pbkdf2(digest)
    yield "scrypt", "hashlib", hashlib_scrypt


def default():
    yield "argon2id", "argon2-cffi", argon2.PasswordHasher().hash
    yield "bcrypt", "bcrypt", lambda password: bcrypt.hashpw(password.encode(), bcrypt.gensalt()).decode()
    yield "pbkdf2_sha256", "Django", make_password
    for handler in [*PASSLIB, scrypt]:
        yield handler.name, "passlib", handler.hash


def sample(password, kind, library, make):
    made = {"kind": kind, "library": library, "password": password}
    if library != "hashlib":
        made["version"] = version(library)
    try:
        return made | {"password_hash": make(password)}
    except ValueError as error:
        return made | {"refusal": str(error)}


for password in json.load(sys.stdin):
    for kind in default() if sys.argv[1:] == ["default"] else cheap():
        print(json.dumps(sample(password, *kind)))
