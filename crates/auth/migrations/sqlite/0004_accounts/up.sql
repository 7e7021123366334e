-- Codes that were mailed, for the second step of a signup, a new password or another email address.
CREATE TABLE codes (
    -- SHA-256 of the validation code, base64: how one is found.
    validation    TEXT NOT NULL PRIMARY KEY,
    purpose       TEXT   NOT NULL CHECK (purpose IN ('signup', 'reset', 'email')),
    -- Whose it is: a user's gid, or the SHA-256 of an address. Each has one at a time.
    subject       TEXT NOT NULL,
    -- HMAC-SHA256 of both codes, base64.
    verification  TEXT   NOT NULL,
    -- HMAC-SHA256 of what the second step must say besides, base64; any of those that are here, with spaces between.
    bindings      TEXT   NOT NULL,
    -- Of a signup: its own name, and the hash of the password it began with.
    signup_gid    TEXT,
    password_hash TEXT,
    failed_tries  BIGINT NOT NULL,
    expires_at    BIGINT NOT NULL,
    UNIQUE (purpose, subject)
) WITHOUT ROWID;
CREATE INDEX codes_by_expiry ON codes (expires_at);
