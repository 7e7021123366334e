-- Renames tables, columns, indexes and constraints to the terms of docs/glossary.md. Two prefixes of stored audiences change
-- with them.
ALTER TABLE feed RENAME TO feed_changes;
ALTER INDEX feed_pkey RENAME TO feed_changes_pkey;
ALTER TABLE feed_changes RENAME CONSTRAINT feed_action_check TO feed_changes_action_check;

ALTER TABLE feed_notices RENAME TO feed_events;
ALTER TABLE feed_events RENAME COLUMN scope TO audience;
ALTER INDEX feed_notices_pkey RENAME TO feed_events_pkey;
ALTER INDEX feed_notices_by_cursor RENAME TO feed_events_by_cursor;
ALTER TABLE feed_events RENAME CONSTRAINT feed_notices_action_check TO feed_events_action_check;

ALTER TABLE feed_listeners RENAME TO feed_subscriptions;
ALTER TABLE feed_subscriptions RENAME COLUMN scope TO audience;
ALTER INDEX feed_listeners_pkey RENAME TO feed_subscriptions_pkey;
ALTER INDEX feed_listeners_by_scope RENAME TO feed_subscriptions_by_audience;
ALTER INDEX feed_listeners_by_until RENAME TO feed_subscriptions_by_until;

UPDATE feed_events SET audience = 'summary/' || substr(audience, 6) WHERE audience LIKE 'card/%';
UPDATE feed_events SET audience = 'published/' || substr(audience, 6) WHERE audience LIKE 'rows/%';
UPDATE feed_subscriptions SET audience = 'summary/' || substr(audience, 6) WHERE audience LIKE 'card/%';

ALTER TABLE feed_seats RENAME TO membership_slots;
ALTER TABLE membership_slots RENAME COLUMN seat TO slot;
ALTER TABLE membership_slots RENAME COLUMN since_cursor TO opened_cursor;
ALTER TABLE membership_slots RENAME COLUMN until_cursor TO closed_cursor;
ALTER INDEX feed_seats_pkey RENAME TO membership_slots_pkey;
ALTER INDEX feed_seats_by_user RENAME TO membership_slots_by_user;
ALTER INDEX feed_seats_by_until RENAME TO membership_slots_by_closed;

ALTER TABLE feed_tail RENAME COLUMN notices_cursor TO events_cursor;

ALTER TABLE feed_release RENAME TO announced_api_version;
ALTER TABLE announced_api_version RENAME COLUMN release TO api_version;
ALTER INDEX feed_release_pkey RENAME TO announced_api_version_pkey;
ALTER TABLE announced_api_version RENAME CONSTRAINT feed_release_id_check TO announced_api_version_id_check;

ALTER TABLE users RENAME COLUMN email_folded TO email_canonical;

ALTER TABLE outbox RENAME COLUMN letter TO content;
ALTER TABLE outbox RENAME COLUMN next_try_at TO next_attempt_at;
ALTER TABLE outbox RENAME COLUMN set_aside_at TO quarantined_at;
ALTER INDEX outbox_by_next_try RENAME TO outbox_by_next_attempt;
