-- The last `doorward import` into this database. While it is 'loading', the database is refused by every other command.
CREATE TABLE import_state (
    id         INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    -- The same in both databases of an installation.
    import_gid TEXT COLLATE "C" NOT NULL,
    state      TEXT    NOT NULL CHECK (state IN ('loading', 'complete'))
);
