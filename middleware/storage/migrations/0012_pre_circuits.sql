-- circuit: a channel or EHR that one worker leaves alone for a while, because it failed
-- several times in a row. Each worker learns it by itself; the rows are there to be seen
-- and say nothing once shut_until is past.
CREATE TABLE circuit (
    worker text NOT NULL,
    name text NOT NULL,
    shut_until timestamptz NOT NULL,
    PRIMARY KEY (worker, name)
);
