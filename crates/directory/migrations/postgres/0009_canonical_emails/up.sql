-- email_folded becomes the canonical form of the address. Where two accounts then have the same mailbox under two spellings,
-- this marks the younger: it does not get what goes to the address while an older account has it.
ALTER TABLE users ADD COLUMN has_email_conflict BOOLEAN NOT NULL DEFAULT FALSE;
CREATE INDEX users_by_email_conflict ON users (gid) WHERE has_email_conflict;
