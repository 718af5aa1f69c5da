-- The limits look at a year of messages, and at what is planned, before each message.
CREATE INDEX delivery_patient_sending ON delivery (endpoint_id, patient, sending_at);
CREATE INDEX nudge_patient_open ON nudge (endpoint_id, patient)
    WHERE state IN ('planned', 'held');
