-- Codes that were mailed, for the second step of a signup, a new password or another email address.
CREATE TABLE codes (
    -- SHA-256 of the validation code, base64: how one is found.
    validation    TEXT NOT NULL PRIMARY KEY,
    purpose       TEXT   NOT NULL CHECK (purpose IN ('signup', 'reset', 'email')),
    -- Subject of the code: a user's gid, or the SHA-256 of an address. Each has one code at a time.
    subject       TEXT NOT NULL,
    -- HMAC-SHA256 of both codes, base64.
    verification  TEXT   NOT NULL,
    -- HMAC-SHA256 of the other values of the second step, base64; any of those that are here, with spaces between.
    bindings      TEXT   NOT NULL,
    -- The id of a signup, and the hash of its password.
    signup_gid    TEXT,
    password_hash TEXT,
    failed_tries  BIGINT NOT NULL,
    expires_at    BIGINT NOT NULL,
    UNIQUE (purpose, subject)
) WITHOUT ROWID;
CREATE INDEX codes_by_expiry ON codes (expires_at);
