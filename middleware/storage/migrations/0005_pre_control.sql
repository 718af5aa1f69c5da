-- What is wanted of each Subscription, what was asked and accepted, and what the
-- controller remembers and does next. One row for each that is wanted: a second command
-- at the same time makes no second one. next_at is empty when all is done.
CREATE TABLE subscription_control (
    subscription_id text PRIMARY KEY REFERENCES subscription ON DELETE CASCADE,
    endpoint_id text NOT NULL REFERENCES endpoint, resource_type text NOT NULL,
    slot text NOT NULL, wanted jsonb NOT NULL, memory jsonb NOT NULL DEFAULT '{}',
    asked jsonb, accepted jsonb, differences jsonb NOT NULL DEFAULT '[]',
    seen_status text, retired boolean NOT NULL DEFAULT false, next_at timestamptz);
CREATE UNIQUE INDEX subscription_control_wanted
    ON subscription_control (endpoint_id, resource_type, slot) WHERE NOT retired;
CREATE INDEX subscription_control_next ON subscription_control (next_at);

-- The heartbeat that the server accepted, in seconds; empty where there is none.
ALTER TABLE subscription ADD COLUMN IF NOT EXISTS heartbeat_seconds int;
