-- How many calls of CDS Hooks got no card, by reason; no patient and no caller.
CREATE TABLE cds_refusal (
    endpoint_id text NOT NULL, reason text NOT NULL, total bigint NOT NULL,
    PRIMARY KEY (endpoint_id, reason));
