-- Who saved an answer at a desk (issuer|subject|reference; a name is not enough), in which
-- form on a page, and how often that form had been changed by then.
ALTER TABLE preference ADD COLUMN saved_by text NOT NULL DEFAULT '',
    ADD COLUMN form text NOT NULL DEFAULT '', ADD COLUMN turn int NOT NULL DEFAULT 0;
