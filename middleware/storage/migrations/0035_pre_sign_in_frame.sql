-- Which header of an EHR's sign-in page refuses the EHR's frame; '' where none does.
CREATE TABLE sign_in_frame (
    endpoint_id text PRIMARY KEY, refusal text NOT NULL, looked_at timestamptz NOT NULL);
-- Whether launches of an EHR come back from its frame is looked for at each new one.
CREATE INDEX launch_framed ON launch (endpoint_id, created_at)
    WHERE context ->> 'framed' = 'true';
