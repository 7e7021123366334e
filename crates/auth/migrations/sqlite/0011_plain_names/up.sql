-- Renames tables, columns and indexes to the terms of docs/glossary.md. No data changes.
ALTER TABLE trust_head RENAME TO trust_version;

ALTER TABLE known_addresses RENAME TO known_networks;
ALTER TABLE known_networks RENAME COLUMN address TO network;
DROP INDEX known_addresses_by_login;
CREATE INDEX known_networks_by_login ON known_networks (last_login_at);

ALTER TABLE throttle RENAME COLUMN told_until TO audited_until;

ALTER TABLE codes RENAME COLUMN validation TO validation_code_hash;
ALTER TABLE codes RENAME COLUMN verification TO codes_hmac;
ALTER TABLE codes RENAME COLUMN bindings TO binding_hmacs;
ALTER TABLE codes RENAME COLUMN failed_tries TO failed_attempts;
ALTER TABLE codes RENAME COLUMN number TO request_number;
ALTER TABLE codes RENAME COLUMN from_known_network TO is_from_known_network;
ALTER TABLE codes RENAME COLUMN is_begun TO is_reserved;

ALTER TABLE api_keys RENAME COLUMN lookup TO lookup_hmac;
ALTER TABLE api_keys RENAME COLUMN sealed TO sealed_key;
ALTER TABLE secrets RENAME COLUMN sealed TO sealed_secret;

ALTER TABLE outbox RENAME COLUMN letter TO content;
ALTER TABLE outbox RENAME COLUMN next_try_at TO next_attempt_at;
ALTER TABLE outbox RENAME COLUMN set_aside_at TO quarantined_at;
DROP INDEX outbox_by_next_try;
CREATE INDEX outbox_by_next_attempt ON outbox (next_attempt_at);
