-- Secrets of auth, sealed with the master key, base64.
CREATE TABLE secrets (
    name   TEXT NOT NULL PRIMARY KEY,
    sealed TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE api_keys (
    -- The API user; has one key.
    user_gid     TEXT NOT NULL PRIMARY KEY,
    project_gid  TEXT NOT NULL,
    -- HMAC-SHA256 of the key, base64: how it is found.
    lookup       TEXT NOT NULL UNIQUE,
    -- The key, sealed with the master key, base64: its owner may read it again.
    sealed       TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    -- Within the hour.
    last_used_at BIGINT
) WITHOUT ROWID;

-- Failures that count against a username or an address.
CREATE TABLE throttle (
    -- Kind of the bucket, and the SHA-256 of the rest of its name.
    bucket        TEXT NOT NULL PRIMARY KEY,
    failures      BIGINT NOT NULL,
    -- Time of the last failure.
    failed_at     BIGINT NOT NULL,
    -- Attempts are rejected until this time.
    blocked_until BIGINT NOT NULL,
    -- End of the wait that the audit trail contains already.
    told_until    BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX throttle_by_failure ON throttle (failed_at);

-- Addresses from which a user has logged in: their failures are counted apart.
CREATE TABLE known_addresses (
    user_gid      TEXT NOT NULL,
    -- The network that the throttle counts: an IPv6 address is stored as its /64.
    address       TEXT NOT NULL,
    -- Within the day.
    last_login_at BIGINT NOT NULL,
    PRIMARY KEY (user_gid, address)
) WITHOUT ROWID;
CREATE INDEX known_addresses_by_login ON known_addresses (last_login_at);

-- Append-only: rows are never changed, and go when their time is over.
CREATE TABLE audit (
    id          INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    at          BIGINT NOT NULL,
    action      TEXT   NOT NULL,
    -- The affected user; NULL if the user is unknown.
    user_gid    TEXT,
    -- The actor: a gid, or 'command line'; NULL for the service itself and for unauthenticated callers.
    actor       TEXT,
    project_gid TEXT,
    address     TEXT,
    request_id  TEXT,
    -- Such as a reason or a key id.
    detail      TEXT
);
CREATE INDEX audit_by_time ON audit (at);
CREATE INDEX audit_by_user ON audit (user_gid, at) WHERE user_gid IS NOT NULL;
