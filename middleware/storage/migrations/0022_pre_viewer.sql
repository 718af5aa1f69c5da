-- The language that a clinician chose for one launch; none: as the browser asks.
ALTER TABLE launch ADD COLUMN language text;
