-- Several requests of one subject are valid at the same time, each with its own pair of codes.
CREATE TABLE new_codes (
    -- SHA-256 of the validation code, base64; the lookup key.
    validation         TEXT NOT NULL PRIMARY KEY,
    purpose            TEXT    NOT NULL CHECK (purpose IN ('signup', 'reset', 'email')),
    -- The account or mailbox that the request is about: a user's gid, or the SHA-256 of an address.
    subject            TEXT    NOT NULL,
    -- HMAC-SHA256 of both codes, base64.
    verification       TEXT    NOT NULL,
    -- HMAC-SHA256 of the other values that the second step must repeat, base64; one of these must match, with spaces between.
    bindings           TEXT    NOT NULL,
    -- The gid of a signup, and the hash of the password that it started with; else NULL.
    signup_gid         TEXT,
    password_hash      TEXT,
    failed_tries       BIGINT  NOT NULL,
    expires_at         BIGINT  NOT NULL,
    -- Order of the requests of one subject, counted in this table: clocks of several machines give none.
    number             BIGINT  NOT NULL DEFAULT 0,
    -- Whether the request came from a network from which the account had logged in.
    from_known_network BOOLEAN NOT NULL DEFAULT FALSE,
    -- Whether the second step has begun: from then on no other request invalidates this one.
    is_begun           BOOLEAN NOT NULL DEFAULT FALSE
) WITHOUT ROWID;
-- Earlier releases moved a signup whose second step had begun to its own gid as subject.
INSERT INTO new_codes (validation, purpose, subject, verification, bindings, signup_gid, password_hash, failed_tries,
                       expires_at, is_begun)
SELECT validation, purpose, subject, verification, bindings, signup_gid, password_hash, failed_tries, expires_at,
       purpose = 'signup' AND COALESCE(subject = signup_gid, FALSE)
FROM codes;
DROP TABLE codes;
ALTER TABLE new_codes RENAME TO codes;
CREATE INDEX codes_by_expiry ON codes (expires_at);
CREATE INDEX codes_by_subject ON codes (purpose, subject, number);
