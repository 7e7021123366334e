-- The signup that made the account, so that the same once more is known.
ALTER TABLE users ADD COLUMN signup_gid TEXT;
CREATE UNIQUE INDEX users_by_signup ON users (signup_gid) WHERE signup_gid IS NOT NULL;
