-- Times are microseconds since 1970-01-01 UTC unless a name says seconds; gids are lower-case UUIDs.
CREATE TABLE credentials (
    user_gid      TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    -- A PHC string, or a foreign form until the user's next login.
    password_hash TEXT   NOT NULL,
    updated_at    BIGINT NOT NULL
);

CREATE TABLE signing_keys (
    kid                TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    state              TEXT   NOT NULL CHECK (state IN ('next', 'active', 'previous', 'retired')),
    -- 32 bytes, base64url.
    public_key         TEXT   NOT NULL,
    -- PKCS #8, sealed with the master key, base64; '' once retired.
    sealed_private_key TEXT   NOT NULL,
    created_at         BIGINT NOT NULL,
    -- Time when the last token of a previous key has expired.
    verify_until       BIGINT
);

-- Tokens of a subject, or of a login (sid), issued before a moment are invalid.
CREATE TABLE revocations (
    kind               TEXT   NOT NULL CHECK (kind IN ('subject', 'sid')),
    id                 TEXT COLLATE "C" NOT NULL,
    not_before_seconds BIGINT NOT NULL,
    -- From then on every token that this covers has expired.
    expires_at_seconds BIGINT NOT NULL,
    revoked_at         BIGINT NOT NULL,
    version            BIGINT NOT NULL,
    PRIMARY KEY (kind, id)
);
CREATE INDEX revocations_by_version ON revocations (version);
CREATE INDEX revocations_by_expiry ON revocations (expires_at_seconds);

-- Counts the changes of keys and revocations. Every change locks this row until the commit, so versions are
-- committed in their order.
CREATE TABLE trust_head (
    id                       INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    version                  BIGINT  NOT NULL,
    -- Longest lifetime of any issued token: revocations and old keys must be kept as long.
    longest_lifetime_seconds BIGINT  NOT NULL
);
INSERT INTO trust_head (id, version, longest_lifetime_seconds) VALUES (1, 0, 0);

-- How far the directory's change feed has been followed.
CREATE TABLE feed_position (
    id     INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    cursor BIGINT  NOT NULL
);
INSERT INTO feed_position (id, cursor) VALUES (1, 0);
