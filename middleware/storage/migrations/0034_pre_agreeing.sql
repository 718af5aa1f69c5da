-- When the chart was last compared with what a task asks to correct in it.
ALTER TABLE staff_task ADD COLUMN looked_at timestamptz;
-- When something was first sent that has no identifier: sent again, it is looked for.
ALTER TABLE outbox ADD COLUMN begun_at timestamptz;
