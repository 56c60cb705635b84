-- What the reference backend keeps in PostgreSQL. Applied once, where the table `log` is not there.
--
-- `fact` is made so that it can become a hypertable of TimescaleDB: it has no foreign key, no identity, and its time
-- (`wall_ms`, what the cabinet wrote, so the same for every copy of a fact) is part of the primary key. That a number
-- of a log stands for one fact only is not left to that key: whoever writes holds the row of the log.
CREATE TABLE log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    node text NOT NULL,
    log_id text NOT NULL,
    upto bigint NOT NULL DEFAULT 0,           -- complete and chained up to here
    link bytea NOT NULL DEFAULT decode(repeat('00', 32), 'hex'),  -- of fact `upto`, as computed here
    top bigint NOT NULL DEFAULT 0,            -- newest fact stored; above `upto`: behind a gap
    head_seq bigint NOT NULL DEFAULT 0,       -- link that the cabinet has announced and that was not reached yet
    head bytea NOT NULL DEFAULT '',
    broken_at bigint,                         -- first link of the cabinet that ours is not
    old_log_id text NOT NULL DEFAULT '',      -- log_salvaged: facts 2 to carried + 1 are copies of that log
    carried bigint NOT NULL DEFAULT 0,
    ask_at_ms bigint,                         -- when to ask for what is missing
    asks integer NOT NULL DEFAULT 0,
    duplicates bigint NOT NULL DEFAULT 0,
    UNIQUE (node, log_id)
) WITH (fillfactor = 70);                     -- every commit updates its row in place
CREATE INDEX log_ask ON log (ask_at_ms) WHERE ask_at_ms IS NOT NULL;
CREATE TABLE fact (
    log bigint NOT NULL,
    seq bigint NOT NULL,
    boottime_ms bigint NOT NULL,
    wall_ms bigint NOT NULL,
    boot text NOT NULL,
    clock text NOT NULL,
    kind text NOT NULL,
    session text,
    body text NOT NULL,                       -- the very bytes that the link covers: jsonb would order them anew
    hash bytea,                               -- the link that the cabinet told, where it told one
    PRIMARY KEY (log, seq, wall_ms)
);
CREATE INDEX fact_time ON fact (log, wall_ms);
CREATE INDEX fact_session ON fact (session) WHERE session IS NOT NULL;
CREATE TABLE contradiction (
    log bigint NOT NULL,
    seq bigint NOT NULL,
    reason text NOT NULL,
    content bytea NOT NULL,
    digest bytea NOT NULL,
    PRIMARY KEY (log, seq, digest)
);
CREATE TABLE result (
    node text NOT NULL,
    id text NOT NULL,
    content bytea NOT NULL,
    digest bytea NOT NULL,
    PRIMARY KEY (node, id, digest)
);
CREATE TABLE latest (
    node text NOT NULL,
    leaf text NOT NULL,
    content bytea NOT NULL,
    PRIMARY KEY (node, leaf)
);

-- Where TimescaleDB is installed `fact` becomes a hypertable in chunks of 30 days (not run by the tests here).
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb') THEN
        EXECUTE $timescale$
            SELECT create_hypertable('fact', 'wall_ms', chunk_time_interval => 2592000000::bigint,
                                     create_default_indexes => FALSE)
        $timescale$;
    END IF;
END $$;
