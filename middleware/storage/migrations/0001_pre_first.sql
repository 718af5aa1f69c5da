-- Times are timestamptz; SQL never asks for the time, callers pass :now.
-- Ids of rows that people quote are text (UUID); queue-like rows use bigint.

CREATE TABLE clock (one boolean PRIMARY KEY DEFAULT true CHECK (one),
    offset_seconds double precision NOT NULL DEFAULT 0);
INSERT INTO clock DEFAULT VALUES;

CREATE TABLE mark (name text PRIMARY KEY, value jsonb NOT NULL);

CREATE TABLE endpoint (
    id text PRIMARY KEY, name text NOT NULL, kind text NOT NULL,
    fhir_base text NOT NULL UNIQUE, record jsonb NOT NULL, created_at timestamptz NOT NULL);

CREATE TABLE subscription (
    id text PRIMARY KEY, endpoint_id text NOT NULL REFERENCES endpoint,
    hook_key text NOT NULL UNIQUE, secrets bytea NOT NULL,
    resource_type text NOT NULL, form text NOT NULL, criteria text NOT NULL,
    server_id text, status text NOT NULL, last_number bigint,
    last_seen_at timestamptz, created_at timestamptz NOT NULL);

CREATE TABLE poll_cursor (
    endpoint_id text NOT NULL REFERENCES endpoint, resource_type text NOT NULL,
    since timestamptz NOT NULL, polled_at timestamptz, error text,
    PRIMARY KEY (endpoint_id, resource_type));

-- The raw delivery, as received.
CREATE TABLE notification (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subscription_id text NOT NULL REFERENCES subscription,
    received_at timestamptz NOT NULL, method text NOT NULL, path text NOT NULL,
    headers jsonb NOT NULL, body bytea NOT NULL, type text, form text,
    state text NOT NULL, error text);
CREATE INDEX notification_received ON notification (received_at);

-- One item of work for RESOLVE: a focus that may have changed (source push or poll),
-- or, without a focus, a subscription whose criteria must be read again.
CREATE TABLE inbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key text NOT NULL UNIQUE, endpoint_id text NOT NULL REFERENCES endpoint,
    subscription_id text, notification_id bigint, source text NOT NULL,
    focus text, version text, event_number bigint, resource_type text,
    interaction text NOT NULL DEFAULT 'update',
    shard smallint NOT NULL, state text NOT NULL DEFAULT 'waiting',
    received_at timestamptz NOT NULL, due_at timestamptz NOT NULL,
    attempts int NOT NULL DEFAULT 0, error text, done_at timestamptz);
CREATE INDEX inbox_due ON inbox (shard, due_at, id) WHERE state = 'waiting';

CREATE TABLE focus_state (
    endpoint_id text NOT NULL REFERENCES endpoint, reference text NOT NULL,
    version text NOT NULL, status text NOT NULL, fingerprint text NOT NULL,
    last_updated timestamptz NOT NULL, patient text,
    PRIMARY KEY (endpoint_id, reference));

CREATE TABLE event (
    id text PRIMARY KEY, key text NOT NULL UNIQUE,
    endpoint_id text NOT NULL REFERENCES endpoint, kind text NOT NULL,
    patient text NOT NULL, shard smallint NOT NULL, focus text NOT NULL,
    focus_version text NOT NULL, occurred_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL, inbox_id bigint, source text NOT NULL,
    chart bytea, state text NOT NULL DEFAULT 'waiting', due_at timestamptz NOT NULL,
    attempts int NOT NULL DEFAULT 0, error text, done_at timestamptz,
    seq bigint GENERATED ALWAYS AS IDENTITY);
CREATE INDEX event_due ON event (shard, due_at, seq) WHERE state = 'waiting';
CREATE INDEX event_patient ON event (endpoint_id, patient);
CREATE UNIQUE INDEX event_seq ON event (seq);

CREATE TABLE nudge (
    id text PRIMARY KEY, key text NOT NULL UNIQUE,
    endpoint_id text NOT NULL REFERENCES endpoint, event_id text NOT NULL REFERENCES event,
    patient text NOT NULL, shard smallint NOT NULL, plan text NOT NULL,
    plan_version text NOT NULL, action text NOT NULL, topic text NOT NULL,
    focus text NOT NULL, occasion text NOT NULL, recipient text NOT NULL,
    state text NOT NULL, reason text NOT NULL, due_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL, created_at timestamptz NOT NULL,
    attempts int NOT NULL DEFAULT 0, channel text, address text, language text,
    title text NOT NULL DEFAULT '', why text NOT NULL DEFAULT '',
    stops text NOT NULL DEFAULT '', priority int NOT NULL DEFAULT 50,
    detail jsonb NOT NULL DEFAULT '{}', error text, done_at timestamptz,
    seq bigint GENERATED ALWAYS AS IDENTITY);
CREATE INDEX nudge_due ON nudge (shard, due_at, seq) WHERE state IN ('planned', 'held');
CREATE INDEX nudge_patient ON nudge (endpoint_id, patient);
CREATE INDEX nudge_event ON nudge (event_id);

-- Every candidate that was decided on, also those that never became a nudge.
CREATE TABLE decision (
    id text PRIMARY KEY, endpoint_id text NOT NULL, patient text NOT NULL,
    event_id text, nudge_id text, stage text NOT NULL, plan text NOT NULL,
    plan_version text NOT NULL, action text NOT NULL, outcome text NOT NULL,
    reason text NOT NULL, facts jsonb NOT NULL, detail text NOT NULL DEFAULT '',
    decided_at timestamptz NOT NULL, seq bigint GENERATED ALWAYS AS IDENTITY);
CREATE INDEX decision_nudge ON decision (nudge_id);
CREATE INDEX decision_event ON decision (event_id);

CREATE TABLE delivery (
    id text PRIMARY KEY, nudge_id text REFERENCES nudge, endpoint_id text NOT NULL,
    patient text NOT NULL, channel text NOT NULL, address text NOT NULL,
    language text NOT NULL, subject text NOT NULL, body text NOT NULL,
    topic text NOT NULL DEFAULT '', state text NOT NULL, provider_id text,
    sending_at timestamptz NOT NULL, sent_at timestamptz, delivered_at timestamptz,
    answered_at timestamptz, reason text, error text);
CREATE UNIQUE INDEX delivery_provider ON delivery (channel, provider_id);
CREATE INDEX delivery_nudge ON delivery (nudge_id);
CREATE INDEX delivery_patient ON delivery (endpoint_id, patient);
CREATE INDEX delivery_address ON delivery (channel, address, sending_at DESC);
CREATE INDEX delivery_sending ON delivery (sending_at) WHERE state = 'sending';

-- What goes back to the EHR: CommunicationRequest, Communication, Task.
CREATE TABLE outbox (
    id text PRIMARY KEY, key text NOT NULL UNIQUE, endpoint_id text NOT NULL,
    patient text NOT NULL, shard smallint NOT NULL, resource jsonb NOT NULL,
    state text NOT NULL DEFAULT 'waiting', due_at timestamptz NOT NULL,
    attempts int NOT NULL DEFAULT 0, error text, server_reference text,
    done_at timestamptz, seq bigint GENERATED ALWAYS AS IDENTITY);
CREATE INDEX outbox_due ON outbox (shard, due_at, seq) WHERE state = 'waiting';
CREATE INDEX outbox_patient ON outbox (endpoint_id, patient);

-- What a patient sent back, or a provider told us (source reply or receipt).
CREATE TABLE inbound (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key text NOT NULL UNIQUE, channel text NOT NULL, source text NOT NULL,
    address text NOT NULL, body text NOT NULL, detail jsonb NOT NULL DEFAULT '{}',
    received_at timestamptz NOT NULL, shard smallint NOT NULL,
    state text NOT NULL DEFAULT 'waiting', due_at timestamptz NOT NULL,
    attempts int NOT NULL DEFAULT 0, error text, intent text, done_at timestamptz);
CREATE INDEX inbound_due ON inbound (shard, due_at, id) WHERE state = 'waiting';
CREATE INDEX inbound_address ON inbound (channel, address, received_at);

CREATE TABLE preference (
    id text PRIMARY KEY, endpoint_id text NOT NULL, patient text NOT NULL,
    name text NOT NULL, value jsonb NOT NULL, who text NOT NULL, how text NOT NULL,
    recorded_by text, recorded_at timestamptz NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY);
CREATE INDEX preference_patient ON preference (endpoint_id, patient, name, seq DESC);

CREATE TABLE consent (
    id text PRIMARY KEY, endpoint_id text NOT NULL, patient text, system text NOT NULL,
    value text NOT NULL, topic text NOT NULL, permit boolean NOT NULL, who text NOT NULL,
    how text NOT NULL, recorded_by text, recorded_at timestamptz NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY);
CREATE INDEX consent_point ON consent (system, value);
CREATE INDEX consent_patient ON consent (endpoint_id, patient);

-- Contact points as lock rows and as memory of what is wrong with them.
CREATE TABLE contact_point (
    system text NOT NULL, value text NOT NULL, bad_reason text, bad_at timestamptz,
    PRIMARY KEY (system, value));
CREATE TABLE patient_lock (
    endpoint_id text NOT NULL, patient text NOT NULL, name text, shard smallint NOT NULL,
    seen_at timestamptz, PRIMARY KEY (endpoint_id, patient));

CREATE TABLE staff_task (
    id text PRIMARY KEY, endpoint_id text NOT NULL, patient text, nudge_id text,
    priority text NOT NULL, reason text NOT NULL, text text NOT NULL,
    state text NOT NULL DEFAULT 'requested', created_at timestamptz NOT NULL,
    due_at timestamptz, done_at timestamptz, done_by text);
CREATE INDEX staff_task_open ON staff_task (endpoint_id, patient) WHERE state = 'requested';

CREATE TABLE switch (
    id text PRIMARY KEY, scope text NOT NULL, target text NOT NULL, reason text NOT NULL,
    set_by text NOT NULL, set_at timestamptz NOT NULL, released_by text,
    released_at timestamptz);
CREATE UNIQUE INDEX switch_on ON switch (scope, target) WHERE released_at IS NULL;

CREATE TABLE shard (stage text NOT NULL, number smallint NOT NULL,
    epoch bigint NOT NULL DEFAULT 0, PRIMARY KEY (stage, number));
CREATE TABLE schedule (name text PRIMARY KEY, every_seconds double precision NOT NULL,
    next_at timestamptz NOT NULL, last_at timestamptz, error text);

CREATE TABLE launch (
    id text PRIMARY KEY, endpoint_id text NOT NULL, state_hash text UNIQUE,
    cookie_hash text NOT NULL, sealed bytea NOT NULL, patient text, encounter text,
    user_reference text, user_name text, scope text, need_patient_banner boolean,
    stage text NOT NULL, created_at timestamptz NOT NULL, expires_at timestamptz NOT NULL,
    seen_at timestamptz, error text);
CREATE TABLE login_link (
    token_hash text PRIMARY KEY, person text NOT NULL, expires_at timestamptz NOT NULL,
    used_at timestamptz);
CREATE TABLE console_session (
    cookie_hash text PRIMARY KEY, person text NOT NULL, expires_at timestamptz NOT NULL);

CREATE TABLE audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL,
    who text NOT NULL, action text NOT NULL, endpoint_id text, patient text,
    subject text, detail jsonb NOT NULL DEFAULT '{}');
CREATE INDEX audit_patient ON audit (endpoint_id, patient);

-- The planner must know how few of many rows still wait, soon after they came in.
DO $$ DECLARE name text; BEGIN
    FOREACH name IN ARRAY ARRAY['inbox', 'event', 'nudge', 'delivery', 'outbox',
                                'inbound', 'procrastinate_jobs'] LOOP
        EXECUTE format('ALTER TABLE %I SET (autovacuum_analyze_scale_factor = 0.02, '
            'autovacuum_vacuum_scale_factor = 0.05)', name);
    END LOOP;
END $$;
-- Rows that are written on every batch: room for the new version on the same page.
ALTER TABLE shard SET (fillfactor = 10, autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 500);
ALTER TABLE schedule SET (fillfactor = 10, autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 500);
