-- actor: the RelatedPerson whom an answer is about; null where it is about the patient.
ALTER TABLE consent ADD COLUMN actor text;
-- Which patients' charts have a number or address; adult_from is the 18th birthday.
CREATE TABLE bearer (
    endpoint_id text NOT NULL, patient text NOT NULL, system text NOT NULL,
    value text NOT NULL, adult_from date,
    PRIMARY KEY (endpoint_id, patient, system, value));
CREATE INDEX bearer_point ON bearer (system, value);
