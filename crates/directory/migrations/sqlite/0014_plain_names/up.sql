-- Renames tables, columns and indexes to the terms of docs/glossary.md. Two prefixes of stored audiences change with them.
ALTER TABLE feed RENAME TO feed_changes;

ALTER TABLE feed_notices RENAME TO feed_events;
ALTER TABLE feed_events RENAME COLUMN scope TO audience;
DROP INDEX feed_notices_by_cursor;
CREATE INDEX feed_events_by_cursor ON feed_events (cursor, audience);

ALTER TABLE feed_listeners RENAME TO feed_subscriptions;
ALTER TABLE feed_subscriptions RENAME COLUMN scope TO audience;
DROP INDEX feed_listeners_by_scope;
DROP INDEX feed_listeners_by_until;
CREATE INDEX feed_subscriptions_by_audience ON feed_subscriptions (audience, until_cursor);
CREATE INDEX feed_subscriptions_by_until ON feed_subscriptions (until_cursor);

UPDATE feed_events SET audience = 'summary/' || substr(audience, 6) WHERE audience LIKE 'card/%';
UPDATE feed_events SET audience = 'published/' || substr(audience, 6) WHERE audience LIKE 'rows/%';
UPDATE feed_subscriptions SET audience = 'summary/' || substr(audience, 6) WHERE audience LIKE 'card/%';

ALTER TABLE feed_seats RENAME TO membership_slots;
ALTER TABLE membership_slots RENAME COLUMN seat TO slot;
ALTER TABLE membership_slots RENAME COLUMN since_cursor TO opened_cursor;
ALTER TABLE membership_slots RENAME COLUMN until_cursor TO closed_cursor;
DROP INDEX feed_seats_by_user;
DROP INDEX feed_seats_by_until;
CREATE UNIQUE INDEX membership_slots_by_user ON membership_slots (project_gid, user_gid, closed_cursor);
CREATE INDEX membership_slots_by_closed ON membership_slots (closed_cursor);

ALTER TABLE feed_tail RENAME COLUMN notices_cursor TO events_cursor;

ALTER TABLE feed_release RENAME TO announced_api_version;
ALTER TABLE announced_api_version RENAME COLUMN release TO api_version;

ALTER TABLE users RENAME COLUMN email_folded TO email_canonical;

ALTER TABLE outbox RENAME COLUMN letter TO content;
ALTER TABLE outbox RENAME COLUMN next_try_at TO next_attempt_at;
ALTER TABLE outbox RENAME COLUMN set_aside_at TO quarantined_at;
DROP INDEX outbox_by_next_try;
CREATE INDEX outbox_by_next_attempt ON outbox (next_attempt_at);
