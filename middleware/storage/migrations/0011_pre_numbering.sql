-- reference: the id by which a delivery named its Subscription: two that use one hook
-- number their events each for itself.
ALTER TABLE tally ADD COLUMN reference text;
-- blind_at: when a type was last searched because a notification named nothing.
ALTER TABLE poll_cursor ADD COLUMN blind_at timestamptz;
