-- What a delivery told of its subscription, until it was counted. Intake only adds
-- rows: whoever updated the subscription's own row would make all others wait for it.
CREATE TABLE tally (
    notification_id bigint PRIMARY KEY, subscription_id text NOT NULL,
    received_at timestamptz NOT NULL, type text NOT NULL, status text,
    count bigint, numbers bigint[] NOT NULL DEFAULT '{}');
CREATE INDEX tally_subscription ON tally (subscription_id, notification_id);
ALTER TABLE tally SET (autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_analyze_scale_factor = 0.02);

-- numbering: how this server numbers its events and what was seen of it so far.
-- trouble: why events may be missing (silent, error, off, gap, reset, tail-loss), since
-- when; recovered_at: up to when everything was read again. Re-activation is asked for
-- only when recovered_at is not before trouble_at.
ALTER TABLE subscription
    ADD COLUMN numbering jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN trouble text, ADD COLUMN trouble_at timestamptz,
    ADD COLUMN recovered_at timestamptz;
