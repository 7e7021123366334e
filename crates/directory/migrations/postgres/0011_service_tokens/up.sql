-- Tokens of clients that are not one of the three services. The databases of auth and of the directory have one row each
-- for a token; the command line writes both.
CREATE TABLE service_tokens (
    name       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    -- SHA-256 of the token, base64.
    hash       TEXT COLLATE "C" NOT NULL,
    -- Comma-separated: verify, read, follow, publish.
    scopes     TEXT   NOT NULL,
    -- Comma-separated gids: the projects for which `publish` holds.
    projects   TEXT   NOT NULL,
    created_at BIGINT NOT NULL
);
