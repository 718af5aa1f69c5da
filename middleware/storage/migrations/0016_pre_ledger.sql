-- How many candidates each day had, counted where they are made: what became of them is
-- read from their own rows, so that the two can be compared.
CREATE TABLE ledger (
    day date NOT NULL, endpoint_id text NOT NULL, shard smallint NOT NULL,
    plan text NOT NULL, candidates int NOT NULL, not_applicable int NOT NULL,
    PRIMARY KEY (day, endpoint_id, shard, plan));

-- What was decided before is counted as it lies there.
INSERT INTO ledger (day, endpoint_id, shard, plan, candidates, not_applicable)
SELECT day, endpoint_id, -1, plan, count(*), 0 FROM (
    SELECT (created_at AT TIME ZONE 'UTC')::date AS day, endpoint_id, plan FROM nudge
    UNION ALL
    SELECT (decided_at AT TIME ZONE 'UTC')::date, endpoint_id, plan FROM decision
     WHERE stage = 'decide' AND nudge_id IS NULL) AS known
GROUP BY day, endpoint_id, plan;

CREATE INDEX nudge_created ON nudge USING brin (created_at);
CREATE INDEX decision_decided ON decision USING brin (decided_at);
