-- heartbeat_seconds: the period that the server agreed to, null where there is none.
-- recover_at: before when a recovery that failed is not tried again; recover_error: why.
ALTER TABLE subscription
    ADD COLUMN heartbeat_seconds int,
    ADD COLUMN recover_at timestamptz, ADD COLUMN recover_error text;

-- In which hours a subscription was heard, for four weeks: what its silence means.
CREATE TABLE heard (
    subscription_id text NOT NULL REFERENCES subscription ON DELETE CASCADE,
    hour timestamptz NOT NULL,
    PRIMARY KEY (subscription_id, hour));

-- read_at: when the last search was read to its end. The three numbers are inbox ids
-- between which the versions that a search found are compared with what was pushed.
ALTER TABLE poll_cursor
    ADD COLUMN read_at timestamptz,
    ADD COLUMN floor_id bigint, ADD COLUMN judged_id bigint, ADD COLUMN seen_id bigint;

-- Of the versions that searches found, how many push had delivered, by day.
CREATE TABLE completeness (
    endpoint_id text NOT NULL REFERENCES endpoint ON DELETE CASCADE,
    resource_type text NOT NULL,
    day date NOT NULL, found bigint NOT NULL, pushed bigint NOT NULL,
    PRIMARY KEY (endpoint_id, resource_type, day));

-- One digest for each number: the same number need not be the same event.
ALTER TABLE tally ADD COLUMN digests text[] NOT NULL DEFAULT '{}';
