-- What was asked, in its exact words, and who gave the answer where it was not the patient.
ALTER TABLE consent ADD COLUMN asked text NOT NULL DEFAULT '', ADD COLUMN said_by text NOT NULL DEFAULT '';

-- What somebody had filled in when their session ended; offered to them alone, for minutes.
CREATE TABLE draft (
    id text PRIMARY KEY, endpoint_id text NOT NULL REFERENCES endpoint, user_reference text NOT NULL,
    patient text NOT NULL, sealed bytea NOT NULL, created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL);
CREATE INDEX draft_whose ON draft (endpoint_id, user_reference, patient);
