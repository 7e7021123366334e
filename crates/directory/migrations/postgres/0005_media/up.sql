-- Pictures that no user or project uses, or that may become unused. They must be deleted from the store.
CREATE TABLE discarded_media (
    -- Such as avatars/<gid>.<ext>.
    name      TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    -- Not before.
    delete_at BIGINT NOT NULL
);
CREATE INDEX discarded_media_by_delete_at ON discarded_media (delete_at);
