-- merged_into: the record that lives on after two were merged.
ALTER TABLE patient_lock ADD COLUMN merged_into text;
CREATE INDEX patient_merged ON patient_lock (endpoint_id, merged_into)
    WHERE merged_into IS NOT NULL;
-- note: why an item that was read led to no event (a code of mappings.event.NOTES).
ALTER TABLE inbox ADD COLUMN note text;
CREATE INDEX inbox_noted ON inbox (endpoint_id, note, done_at) WHERE note IS NOT NULL;
-- What was planned or sent about one visit, stay or care plan.
CREATE INDEX nudge_focus ON nudge (endpoint_id, focus);
