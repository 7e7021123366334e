-- The channels, orderings and fieldlists of a project: a row each, so that changes at the same time don't undo each other.
CREATE TABLE project_items (
    project_gid TEXT   NOT NULL REFERENCES projects (gid),
    kind        TEXT   NOT NULL CHECK (kind IN ('channel', 'ordering', 'fieldlist')),
    gid         TEXT   NOT NULL,
    name        TEXT   NOT NULL,
    -- In the order of these, and then of the gids.
    position    BIGINT NOT NULL,
    PRIMARY KEY (project_gid, kind, gid)
) WITHOUT ROWID;

CREATE TABLE project_languages (
    project_gid TEXT   NOT NULL REFERENCES projects (gid),
    language    TEXT   NOT NULL,
    position    BIGINT NOT NULL,
    PRIMARY KEY (project_gid, language)
) WITHOUT ROWID;

-- Projects that exist get what new ones start with. The expression makes a random UUID (RFC 9562, version 4), because SQLite has no function for it.
INSERT INTO project_items (project_gid, kind, gid, name, position)
SELECT projects.gid, main.kind,
    lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-'
        || substr('89ab', 1 + (abs(random()) % 4), 1) || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))),
    main.name, 1
FROM projects,
    (SELECT 'channel' AS kind, 'Main channel' AS name UNION ALL SELECT 'ordering', 'Main ordering'
        UNION ALL SELECT 'fieldlist', 'Main fieldlist') AS main;
INSERT INTO project_languages (project_gid, language, position) SELECT gid, 'en', 1 FROM projects;
