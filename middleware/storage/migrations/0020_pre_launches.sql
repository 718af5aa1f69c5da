-- What a launch was told, how far it came step by step, and who renews its token.
ALTER TABLE launch
    ADD COLUMN context jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN steps jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN renewing_at timestamptz,
    ADD COLUMN handoff_hash text UNIQUE,
    ADD COLUMN handoff_until timestamptz;
CREATE INDEX launch_created ON launch (created_at);

-- Launches that failed before there was anything to keep of them.
CREATE TABLE launch_failure (
    id text PRIMARY KEY, at timestamptz NOT NULL, code text NOT NULL,
    endpoint_id text, detail jsonb NOT NULL DEFAULT '{}');
CREATE INDEX launch_failure_at ON launch_failure (at);
