-- What a member has set of their notifications, as JSON; NULL: what everybody begins with.
ALTER TABLE memberships ADD COLUMN notifications TEXT;
