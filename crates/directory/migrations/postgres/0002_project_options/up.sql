-- The channels, orderings and fieldlists of a project: a row each, so that changes at the same time don't undo each other.
CREATE TABLE project_items (
    project_gid TEXT COLLATE "C" NOT NULL REFERENCES projects (gid),
    kind        TEXT   NOT NULL CHECK (kind IN ('channel', 'ordering', 'fieldlist')),
    gid         TEXT COLLATE "C" NOT NULL,
    name        TEXT   NOT NULL,
    -- In the order of these, and then of the gids.
    position    BIGINT NOT NULL,
    PRIMARY KEY (project_gid, kind, gid)
);

CREATE TABLE project_languages (
    project_gid TEXT COLLATE "C" NOT NULL REFERENCES projects (gid),
    language    TEXT COLLATE "C" NOT NULL,
    position    BIGINT NOT NULL,
    PRIMARY KEY (project_gid, language)
);

-- Projects that exist get what new ones start with.
INSERT INTO project_items (project_gid, kind, gid, name, position)
SELECT projects.gid, main.kind, gen_random_uuid()::text, main.name, 1
FROM projects, (VALUES ('channel', 'Main channel'), ('ordering', 'Main ordering'), ('fieldlist', 'Main fieldlist')) AS main (kind, name);
INSERT INTO project_languages (project_gid, language, position) SELECT gid, 'en', 1 FROM projects;
