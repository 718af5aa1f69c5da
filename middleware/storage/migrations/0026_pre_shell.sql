-- The look at a patient that the first piece of a page is, as the audit keeps it: known
-- when the launch is opened, so that showing and auditing it are one statement.
ALTER TABLE launch ADD COLUMN look jsonb;
