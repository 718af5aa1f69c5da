-- Whose patient wrote from a number: also one to whom nothing went yet.
CREATE INDEX nudge_address ON nudge (channel, address) WHERE address IS NOT NULL;
