-- JWTs of CDS Hooks calls that were used (a hash each), and the cards that were shown.
CREATE TABLE cds_token (mark text PRIMARY KEY, expires_at timestamptz NOT NULL);
CREATE INDEX cds_token_expires ON cds_token (expires_at);

CREATE TABLE cds_card (
    id text PRIMARY KEY, seq bigint GENERATED ALWAYS AS IDENTITY,
    endpoint_id text NOT NULL, patient text NOT NULL,
    user_reference text NOT NULL, service text NOT NULL, verdict text NOT NULL,
    shown_at timestamptz NOT NULL, outcome text);
CREATE INDEX cds_card_shown
    ON cds_card (endpoint_id, patient, user_reference, service, seq DESC);
CREATE INDEX cds_card_age ON cds_card (shown_at);
