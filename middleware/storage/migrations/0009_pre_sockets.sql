-- channel: how the server is to notify us: rest-hook, or websocket where it cannot reach
-- us and we connect to it.
ALTER TABLE subscription ADD COLUMN channel text NOT NULL DEFAULT 'rest-hook';
