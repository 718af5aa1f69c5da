-- Who took a task on, and whom an urgent one that nobody took was passed on to.
ALTER TABLE staff_task ADD COLUMN taken_at timestamptz, ADD COLUMN taken_by text;
CREATE INDEX staff_task_stat ON staff_task (created_at)
 WHERE state = 'requested' AND priority = 'stat' AND taken_at IS NULL;

CREATE TABLE page (
    task_id text NOT NULL REFERENCES staff_task ON DELETE CASCADE, level smallint NOT NULL,
    address text NOT NULL, tried_at timestamptz NOT NULL, sent_at timestamptz, error text,
    PRIMARY KEY (task_id, level));
