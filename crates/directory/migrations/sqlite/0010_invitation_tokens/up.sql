-- A random UUID, which only the link in the invitation's email has. An invitation of before gets one when it is sent again.
ALTER TABLE memberships ADD COLUMN invitation_id TEXT;
CREATE UNIQUE INDEX memberships_by_invitation ON memberships (invitation_id) WHERE invitation_id IS NOT NULL;
