-- Who is known, and when the whole chart is looked at next; state off: the site does not
-- review, ended: the record is closed. paced: it waited for its turn already.
CREATE TABLE review (
    endpoint_id text NOT NULL REFERENCES endpoint, patient text NOT NULL,
    shard smallint NOT NULL, state text NOT NULL DEFAULT 'waiting',
    due_at timestamptz NOT NULL, paced boolean NOT NULL DEFAULT false,
    known_at timestamptz NOT NULL, added_at timestamptz, reviewed_at timestamptz,
    PRIMARY KEY (endpoint_id, patient));
CREATE INDEX review_due ON review (shard, due_at) WHERE state = 'waiting';
-- From when on the EHR of an endpoint may be asked for one more chart.
CREATE TABLE review_pace (
    endpoint_id text PRIMARY KEY REFERENCES endpoint, free_at timestamptz NOT NULL);

-- Clinical content that a site added; endpoint_id '' is for every site.
CREATE TABLE content (
    seq bigint GENERATED ALWAYS AS IDENTITY, endpoint_id text NOT NULL DEFAULT '',
    type text NOT NULL, url text NOT NULL, version text NOT NULL,
    resource jsonb NOT NULL, imported_at timestamptz NOT NULL,
    imported_by text NOT NULL, PRIMARY KEY (endpoint_id, url, version));
CREATE UNIQUE INDEX content_seq ON content (seq);
