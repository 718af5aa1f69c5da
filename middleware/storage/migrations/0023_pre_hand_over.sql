-- When the gate's commit had returned and the channel was about to be called: until
-- sent_at a denial comes too late.
ALTER TABLE delivery ADD COLUMN handed_at timestamptz;
