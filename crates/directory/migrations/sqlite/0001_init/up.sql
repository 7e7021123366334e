-- Times are microseconds since 1970-01-01 UTC; gids are lower-case UUIDs.
CREATE TABLE users (
    gid          TEXT   NOT NULL PRIMARY KEY,
    username     TEXT            UNIQUE,
    email        TEXT,
    email_folded TEXT,
    name         TEXT   NOT NULL,
    avatar       TEXT,
    status       TEXT   NOT NULL CHECK (status IN ('active', 'invited', 'inactive', 'deleted')),
    language     TEXT   NOT NULL,
    timezone     TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX users_by_email ON users (email_folded) WHERE email_folded IS NOT NULL;

CREATE TABLE projects (
    gid        TEXT   NOT NULL PRIMARY KEY,
    name       TEXT   NOT NULL,
    icon       TEXT,
    owner_gid  TEXT   NOT NULL REFERENCES users (gid),
    status     TEXT   NOT NULL CHECK (status IN ('active', 'deleted')),
    timezone   TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX projects_by_owner ON projects (owner_gid);

CREATE TABLE memberships (
    project_gid           TEXT   NOT NULL REFERENCES projects (gid),
    user_gid              TEXT   NOT NULL REFERENCES users (gid),
    role                  TEXT   NOT NULL CHECK (role IN ('owner', 'member', 'api')),
    status                TEXT   NOT NULL CHECK (status IN ('active', 'invited', 'declined', 'inactive')),
    rate_limit_per_second BIGINT,
    created_at            BIGINT NOT NULL,
    updated_at            BIGINT NOT NULL,
    PRIMARY KEY (project_gid, user_gid)
) WITHOUT ROWID;
CREATE INDEX memberships_by_user ON memberships (user_gid);

-- Every change of an entry, appended in the transaction that makes it.
CREATE TABLE feed (
    cursor       BIGINT NOT NULL PRIMARY KEY,
    action       TEXT   NOT NULL CHECK (action IN ('INSERT', 'UPDATE', 'DELETE')),
    data_type    TEXT   NOT NULL,
    data_key     TEXT   NOT NULL,
    -- The status of the entry after the change; '' when it is gone.
    entry_status TEXT   NOT NULL,
    changed_at   BIGINT NOT NULL
) WITHOUT ROWID;

-- The last assigned cursor. Every append locks this row until the commit, so cursors are committed in their order.
CREATE TABLE feed_head (
    id     INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    cursor BIGINT  NOT NULL
);
INSERT INTO feed_head (id, cursor) VALUES (1, 0);
