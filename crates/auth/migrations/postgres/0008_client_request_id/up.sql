-- The id that the client sent with the request. request_id is the server's own.
ALTER TABLE audit ADD COLUMN client_request_id TEXT;
