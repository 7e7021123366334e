-- When a mail that can't be read was set aside; NULL for all others.
ALTER TABLE outbox ADD COLUMN set_aside_at BIGINT;
