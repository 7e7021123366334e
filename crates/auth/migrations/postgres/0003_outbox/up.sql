-- Mails that wait to be sent.
CREATE TABLE outbox (
    id           TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    recipient    TEXT   NOT NULL,
    -- In which it is written.
    language     TEXT   NOT NULL,
    kind         TEXT   NOT NULL,
    -- Content of the mail: JSON, sealed where it holds secrets.
    letter       TEXT   NOT NULL,
    -- A newer mail of the same topic replaces one that waits.
    topic        TEXT COLLATE "C",
    -- The user whose account the mail is about, or NULL.
    user_gid     TEXT COLLATE "C",
    created_at   BIGINT NOT NULL,
    -- The mail is not sent after this time.
    expires_at   BIGINT,
    attempts     BIGINT NOT NULL,
    -- While it is being sent: the end of the lease.
    next_try_at  BIGINT NOT NULL,
    -- One process sends the mail until this time; NULL while no process does.
    leased_until BIGINT
);
CREATE INDEX outbox_by_next_try ON outbox (next_try_at);
CREATE INDEX outbox_by_topic ON outbox (topic) WHERE topic IS NOT NULL;
