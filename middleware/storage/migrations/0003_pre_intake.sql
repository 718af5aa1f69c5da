-- proof: how the deliveries of a subscription are proved (header, hmac or query), as it
-- was registered with the server. topic: what kind of event a delivery told of, in the
-- server's own words (a topic's canonical, a message's event).
ALTER TABLE subscription ADD COLUMN proof text NOT NULL DEFAULT 'header';
ALTER TABLE notification ADD COLUMN topic text;
-- What waits for a person, and searches that wait for RESOLVE: few rows of very many.
CREATE INDEX notification_quarantined ON notification (id) WHERE state = 'quarantined';
CREATE INDEX inbox_blind ON inbox (shard, endpoint_id, subscription_id, id)
    WHERE state = 'waiting' AND focus IS NULL;
