-- What the page last said rests on places too: what is said or learned of one of them is
-- heard, whoever it was said by.
ALTER TABLE last_answer ADD COLUMN points jsonb NOT NULL DEFAULT '[]';
-- Since when the Patient in the EHR itself says it: from then on the chart is the truth.
ALTER TABLE preference ADD COLUMN in_chart_at timestamptz;
