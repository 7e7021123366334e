-- Notification settings of the member, as JSON; NULL: the default.
ALTER TABLE memberships ADD COLUMN notifications TEXT;

-- The file of the icon, which has a new name each time; `icon` is what it is called outside.
ALTER TABLE projects ADD COLUMN icon_file TEXT;
