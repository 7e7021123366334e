-- Several requests of one subject are valid at the same time, each with its own pair of codes.
ALTER TABLE codes DROP CONSTRAINT codes_purpose_subject_key;
ALTER TABLE codes
    -- Order of the requests of one subject, counted in this table: clocks of several machines give none.
    ADD COLUMN number             BIGINT  NOT NULL DEFAULT 0,
    -- Whether the request came from a network from which the account had logged in.
    ADD COLUMN from_known_network BOOLEAN NOT NULL DEFAULT FALSE,
    -- Whether the second step has begun: from then on no other request invalidates this one.
    ADD COLUMN is_begun           BOOLEAN NOT NULL DEFAULT FALSE;
-- Earlier releases moved a signup whose second step had begun to its own gid as subject.
UPDATE codes SET is_begun = TRUE WHERE purpose = 'signup' AND subject = signup_gid;
CREATE INDEX codes_by_subject ON codes (purpose, subject, number);
