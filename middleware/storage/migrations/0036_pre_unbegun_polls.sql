-- Polls that failed before the first that came to its end: there is no cursor yet to
-- bear the fault.
CREATE TABLE poll_unbegun (
    endpoint_id text NOT NULL REFERENCES endpoint, resource_type text NOT NULL,
    polled_at timestamptz NOT NULL, error text NOT NULL,
    PRIMARY KEY (endpoint_id, resource_type));
