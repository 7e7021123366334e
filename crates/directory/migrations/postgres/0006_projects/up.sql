-- What a member has set of their notifications, as JSON; NULL: what everybody begins with.
ALTER TABLE memberships ADD COLUMN notifications TEXT;

-- The file of the icon, which has a new name each time; `icon` is what it is called outside.
ALTER TABLE projects ADD COLUMN icon_file TEXT;
