-- What the clinician's page said of a patient when it was last written, so that it can be
-- shown to the same reader, marked as such, while the chart is read again.
CREATE TABLE last_answer (
    endpoint_id text NOT NULL, patient text NOT NULL, reader text NOT NULL,
    language text NOT NULL,
    answer jsonb NOT NULL, standing bigint NOT NULL, written_at timestamptz NOT NULL,
    PRIMARY KEY (endpoint_id, patient, reader, language));
