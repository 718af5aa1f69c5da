-- Which plans are switched on where, for how many of the patients, and what they were
-- tried on before.
CREATE TABLE plan_rollout (
    endpoint_id text NOT NULL REFERENCES endpoint ON DELETE CASCADE, plan text NOT NULL,
    version text NOT NULL, percent smallint NOT NULL CHECK (percent BETWEEN 0 AND 100),
    state text NOT NULL CHECK (state IN ('on', 'off', 'paused')), reason text NOT NULL,
    changed_at timestamptz NOT NULL, changed_by text NOT NULL,
    PRIMARY KEY (endpoint_id, plan));

CREATE TABLE plan_trial (
    id text PRIMARY KEY, endpoint_id text NOT NULL REFERENCES endpoint ON DELETE CASCADE,
    plan text NOT NULL, version text NOT NULL, tried_at timestamptz NOT NULL,
    tried_by text NOT NULL, result jsonb NOT NULL);
CREATE INDEX plan_trial_plan ON plan_trial (endpoint_id, plan, version, tried_at);

-- What sent messages before goes on sending them.
INSERT INTO plan_rollout (endpoint_id, plan, version, percent, state, reason, changed_at,
    changed_by)
SELECT DISTINCT ON (n.endpoint_id, n.plan) n.endpoint_id,
       regexp_replace(n.plan, '^.*/', ''), n.plan_version, 100, 'on',
       'it was on before plans were switched on one by one', n.created_at, 'migration'
  FROM nudge AS n JOIN endpoint AS e ON e.id = n.endpoint_id WHERE e.kind <> 'sandbox'
 ORDER BY n.endpoint_id, n.plan, n.created_at DESC;
