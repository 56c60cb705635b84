-- What the reference backend keeps in SQLite: the tables of schema_postgres.sql, whose comments say what they are for.
CREATE TABLE IF NOT EXISTS log (
    id INTEGER PRIMARY KEY,
    node TEXT NOT NULL,
    log_id TEXT NOT NULL,
    upto INTEGER NOT NULL DEFAULT 0,
    link BLOB NOT NULL DEFAULT (zeroblob(32)),
    top INTEGER NOT NULL DEFAULT 0,
    head_seq INTEGER NOT NULL DEFAULT 0,
    head BLOB NOT NULL DEFAULT x'',
    broken_at INTEGER,
    old_log_id TEXT NOT NULL DEFAULT '',
    carried INTEGER NOT NULL DEFAULT 0,
    ask_at_ms INTEGER,
    asks INTEGER NOT NULL DEFAULT 0,
    duplicates INTEGER NOT NULL DEFAULT 0,
    UNIQUE (node, log_id)
);
CREATE INDEX IF NOT EXISTS log_ask ON log (ask_at_ms) WHERE ask_at_ms IS NOT NULL;
CREATE TABLE IF NOT EXISTS fact (
    log INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    boottime_ms INTEGER NOT NULL,
    wall_ms INTEGER NOT NULL,
    boot TEXT NOT NULL,
    clock TEXT NOT NULL,
    kind TEXT NOT NULL,
    session TEXT,
    body TEXT NOT NULL,
    hash BLOB,
    PRIMARY KEY (log, seq)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS fact_time ON fact (log, wall_ms);
CREATE INDEX IF NOT EXISTS fact_session ON fact (session) WHERE session IS NOT NULL;
CREATE TABLE IF NOT EXISTS contradiction (
    log INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    reason TEXT NOT NULL,
    content BLOB NOT NULL,
    digest BLOB NOT NULL,
    PRIMARY KEY (log, seq, digest)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS result (
    node TEXT NOT NULL,
    id TEXT NOT NULL,
    content BLOB NOT NULL,
    digest BLOB NOT NULL,
    PRIMARY KEY (node, id, digest)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS latest (node TEXT, leaf TEXT, content BLOB NOT NULL, PRIMARY KEY (node, leaf)) WITHOUT ROWID;
