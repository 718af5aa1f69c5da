-- Each look at a chart is in the audit: found by launch, so that a page that is read
-- again within a minute adds nothing, and by the patients whom a search brought up.
CREATE INDEX audit_viewed ON audit (subject, at) WHERE action = 'chart-viewed';
CREATE INDEX audit_searched ON audit USING gin ((detail -> 'patients'))
    WHERE action = 'patients-searched';

-- Rows are added and never changed, whoever asks.
CREATE FUNCTION keep_audit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    RAISE EXCEPTION 'rows of the audit are added and never changed' USING ERRCODE = '42501';
END $$;
CREATE TRIGGER audit_only_grows BEFORE UPDATE OR DELETE ON audit
    FOR EACH ROW EXECUTE FUNCTION keep_audit();
