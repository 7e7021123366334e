-- Project in whose feed another service published the row; NULL: a change of the directory's own entries.
ALTER TABLE feed ADD COLUMN project_gid TEXT COLLATE "C";

-- Changes and notices up to these cursors were deleted. Changes of earlier releases have no notices.
CREATE TABLE feed_tail (
    id             INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    changes_cursor BIGINT  NOT NULL,
    notices_cursor BIGINT  NOT NULL
);
INSERT INTO feed_tail (id, changes_cursor, notices_cursor) SELECT 1, 0, cursor FROM feed_head;

-- Feed events: each change is stored under its cursor, once for each scope of users that receive it.
CREATE TABLE feed_notices (
    -- 'user/<gid>', 'card/<project gid>', 'project/<project gid>', 'rows/<project gid>', 'all'.
    scope        TEXT COLLATE "C" NOT NULL,
    cursor       BIGINT NOT NULL,
    -- Of a notice about all members of a project, which has a range of cursors: the first of them; `cursor` is the last.
    first_cursor BIGINT,
    action       TEXT   NOT NULL CHECK (action IN ('INSERT', 'UPDATE', 'DELETE')),
    data_type    TEXT   NOT NULL,
    data_key     TEXT   NOT NULL,
    PRIMARY KEY (scope, cursor)
);
CREATE INDEX feed_notices_by_cursor ON feed_notices (cursor, scope);

-- Subscriptions: a user receives the events of a scope after one cursor and up to another.
CREATE TABLE feed_listeners (
    user_gid     TEXT COLLATE "C" NOT NULL,
    -- 9223372036854775807: listens still.
    until_cursor BIGINT NOT NULL,
    scope        TEXT COLLATE "C" NOT NULL,
    after_cursor BIGINT NOT NULL,
    PRIMARY KEY (user_gid, until_cursor, scope)
);
CREATE INDEX feed_listeners_by_scope ON feed_listeners (scope, until_cursor);
CREATE INDEX feed_listeners_by_until ON feed_listeners (until_cursor);

-- Lifetime of each membership, in every status: its position in its project, and its first and last cursor.
CREATE TABLE feed_seats (
    project_gid  TEXT COLLATE "C" NOT NULL,
    seat         BIGINT NOT NULL,
    user_gid     TEXT COLLATE "C" NOT NULL,
    since_cursor BIGINT NOT NULL,
    -- 9223372036854775807: it is there still.
    until_cursor BIGINT NOT NULL,
    PRIMARY KEY (project_gid, seat)
);
CREATE UNIQUE INDEX feed_seats_by_user ON feed_seats (project_gid, user_gid, until_cursor);
CREATE INDEX feed_seats_by_until ON feed_seats (until_cursor);

INSERT INTO feed_seats (project_gid, seat, user_gid, since_cursor, until_cursor)
    SELECT project_gid, ROW_NUMBER() OVER (PARTITION BY project_gid ORDER BY user_gid) - 1, user_gid, feed_head.cursor,
        9223372036854775807
    FROM memberships, feed_head;
INSERT INTO feed_listeners (user_gid, until_cursor, scope, after_cursor)
    SELECT user_gid, 9223372036854775807,
        CASE WHEN projects.status = 'active' AND memberships.status = 'active' THEN 'project/' ELSE 'card/' END || projects.gid,
        feed_head.cursor
    FROM memberships JOIN projects ON projects.gid = memberships.project_gid, feed_head
    WHERE projects.status = 'active' AND memberships.status IN ('active', 'invited')
        OR projects.status = 'deleted' AND memberships.role = 'owner';

-- The release that was announced to clients last.
CREATE TABLE feed_release (
    id      INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    release TEXT    NOT NULL
);
