"""The tables of the journal, as numbered migrations. Pure data: the statements run in ``journal``.

A migration that has shipped is never edited; a change is a new number.
"""

from __future__ import annotations

from typing import Final

#: Statements of each migration, in order. Each migration and the record of it are one transaction.
MIGRATIONS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    (
        "0001_facts",
        (
            """
            CREATE TABLE meta (
                key TEXT PRIMARY KEY,
                value TEXT NOT NULL
            ) STRICT, WITHOUT ROWID
            """,
            """
            CREATE TABLE fact (
                seq INTEGER PRIMARY KEY CHECK (seq > 0),
                log_id TEXT NOT NULL,
                boot TEXT NOT NULL,
                boottime_ms INTEGER NOT NULL,
                wall_ms INTEGER NOT NULL,
                clock TEXT NOT NULL,
                kind TEXT NOT NULL,
                session TEXT,
                body TEXT NOT NULL,
                hash BLOB NOT NULL CHECK (length(hash) = 32)
            ) STRICT
            """,
            "CREATE INDEX starts ON fact (seq) WHERE kind = 'session_started'",
            "CREATE UNIQUE INDEX one_start_per_session ON fact (session) WHERE kind = 'session_started'",
            """
            CREATE UNIQUE INDEX one_start_per_order ON fact (json_extract(body, '$.order'))
            WHERE kind = 'session_started'
            """,
            "CREATE UNIQUE INDEX one_end_per_session ON fact (session) WHERE kind = 'session_ended'",
            """
            CREATE UNIQUE INDEX one_result_per_command ON fact (json_extract(body, '$.id'))
            WHERE kind = 'command_result'
            """,
            """
            CREATE UNIQUE INDEX one_fact_per_guard_event
            ON fact (json_extract(body, '$.guard_boot'), json_extract(body, '$.event'))
            WHERE kind IN ('fault_latched', 'fault_found', 'fault_cleared')
            """,
            "CREATE INDEX readings_of_session ON fact (session, seq) WHERE kind = 'checkpoint'",
            """
            CREATE TRIGGER facts_never_change BEFORE UPDATE ON fact
            BEGIN SELECT RAISE(ABORT, 'a fact is never changed'); END
            """,
            """
            CREATE TRIGGER facts_never_go BEFORE DELETE ON fact
            BEGIN SELECT RAISE(ABORT, 'a fact is never removed'); END
            """,
            "INSERT INTO meta VALUES ('log_id', lower(hex(randomblob(8)))), ('acked', '0')",
        ),
    ),
    (
        "0002_tests",
        (
            "CREATE INDEX tests ON fact (json_extract(body, '$.test'), seq) WHERE kind = 'tested'",
            """
            CREATE UNIQUE INDEX one_test_per_guard_event
            ON fact (json_extract(body, '$.guard_boot'), json_extract(body, '$.event')) WHERE kind = 'tested'
            """,
        ),
    ),
    (
        "0003_kinds",
        (
            "CREATE INDEX kinds ON fact (kind, seq)",
            """
            CREATE INDEX turns_of_session ON fact (session, seq)
            WHERE kind IN ('leg_ended', 'leg_started', 'session_modified')
            """,
            """
            CREATE UNIQUE INDEX one_beginning_per_leg ON fact (session, json_extract(body, '$.leg'))
            WHERE kind = 'leg_started'
            """,
            """
            CREATE UNIQUE INDEX one_end_per_leg ON fact (session, json_extract(body, '$.leg'))
            WHERE kind = 'leg_ended'
            """,
        ),
    ),
    ("0004_trusted", ("CREATE INDEX trusted ON fact (seq) WHERE clock != 'none'",)),
    (
        "0005_gaps",
        (
            # Holes of the log: since..upto were removed, hash is the link of upto. Disjoint and never adjoining.
            """
            CREATE TABLE gap (
                upto INTEGER PRIMARY KEY,
                since INTEGER NOT NULL CHECK (since BETWEEN 1 AND upto),
                hash BLOB NOT NULL CHECK (length(hash) = 32)
            ) STRICT
            """,
            "CREATE INDEX gaps_by_begin ON gap (since)",
            """
            CREATE TRIGGER gap_tells_the_truth BEFORE INSERT ON gap
            WHEN NOT EXISTS (SELECT 1 FROM fact WHERE seq = NEW.upto AND hash = NEW.hash)
            BEGIN SELECT RAISE(ABORT, 'a gap ends with a fact that was there'); END
            """,
            """
            CREATE TRIGGER gap_only_grows BEFORE UPDATE ON gap
            WHEN NEW.upto != OLD.upto OR NEW.hash != OLD.hash OR NEW.since > OLD.since
            BEGIN SELECT RAISE(ABORT, 'a gap only grows'); END
            """,
            """
            CREATE TRIGGER gap_never_goes BEFORE DELETE ON gap
            WHEN NOT EXISTS (SELECT 1 FROM gap WHERE upto > OLD.upto AND since <= OLD.since)
            BEGIN SELECT RAISE(ABORT, 'a gap goes only into a wider one'); END
            """,
            "DROP TRIGGER facts_never_go",
            """
            CREATE TRIGGER facts_never_go BEFORE DELETE ON fact
            WHEN coalesce((SELECT since FROM gap WHERE upto >= OLD.seq ORDER BY upto LIMIT 1), OLD.seq + 1) > OLD.seq
            BEGIN SELECT RAISE(ABORT, 'a fact is never removed unless a gap tells it'); END
            """,
            "INSERT INTO meta VALUES ('removed', '0')",
        ),
    ),
    (
        # Readings are most of what is written, and every index would be one more page with every commit
        # (``hil_rig.day``): none has them. What is asked of them is near a known place of the log. Up to ``trimmed``
        # they are taken out, but for the one that a session without an end still needed then.
        "0006_readings",
        (
            "DROP INDEX readings_of_session",
            "DROP INDEX kinds",
            "DROP INDEX trusted",
            "CREATE INDEX kinds ON fact (kind, seq) WHERE kind != 'checkpoint'",
            "CREATE INDEX trusted ON fact (seq, wall_ms) WHERE clock != 'none' AND kind != 'checkpoint'",
            "INSERT INTO meta VALUES ('trimmed', '0')",
        ),
    ),
)

INSERT: Final = """
    INSERT INTO fact (seq, log_id, boot, boottime_ms, wall_ms, clock, kind, session, body, hash)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
HEAD: Final = "SELECT seq, hash FROM fact ORDER BY seq DESC LIMIT 1"
NEWEST: Final = "SELECT * FROM fact ORDER BY seq DESC LIMIT 1"
#: What a log begins with that had to take the place of another one. An older such fact may have been carried over.
BEGAN: Final = "SELECT * FROM fact WHERE seq = 1 AND kind = 'log_salvaged'"
LAST: Final = "SELECT seq FROM fact ORDER BY seq DESC LIMIT 1"
META: Final = "SELECT key, value FROM meta"
ACKNOWLEDGE: Final = "UPDATE meta SET value = ? WHERE key = 'acked'"
AT: Final = "SELECT hash FROM fact WHERE seq = ?1 UNION ALL SELECT hash FROM gap WHERE upto = ?1"
COUNTS: Final = """
    SELECT (SELECT coalesce(max(seq), 0) FROM fact), (SELECT count(*) FROM fact),
    (SELECT coalesce(sum(upto - since + 1), 0) FROM gap)
"""
COUNT_REMOVED: Final = "UPDATE meta SET value = CAST(value + ? AS TEXT) WHERE key = 'removed'"
#: What stands in the log in the place of a hole.
_HOLES: Final = """
    SELECT upto AS seq, '' AS log_id, '' AS boot, 0 AS boottime_ms, 0 AS wall_ms, 'none' AS clock, 'removed' AS kind,
    NULL AS session, json_object('since', since) AS body, hash FROM gap
"""
AFTER: Final = f"""
    SELECT * FROM fact WHERE seq > ?1 UNION ALL {_HOLES} WHERE upto > ?1 ORDER BY seq LIMIT ?2
"""  # noqa: S608 - made of our own words
#: Whether there is a fact of a kind that is not among the given ones (a JSON list) after a ``seq``.
OTHER_AFTER: Final = """
    SELECT EXISTS (SELECT 1 FROM fact WHERE seq > ?1 AND kind NOT IN (SELECT value FROM json_each(?2)))
"""
STARTS: Final = "SELECT * FROM fact WHERE kind = 'session_started' ORDER BY seq DESC LIMIT ?"
OPEN_STARTS: Final = """
    SELECT * FROM fact AS started WHERE kind = 'session_started' AND NOT EXISTS
    (SELECT 1 FROM fact AS ended WHERE ended.kind = 'session_ended' AND ended.session = started.session)
    ORDER BY seq
"""
#: The newest reading of a session (1) between two facts (2, 3), looked for from the later one back.
LAST_READING: Final = """
    SELECT * FROM fact WHERE kind = 'checkpoint' AND session = ?1 AND seq > ?2 AND seq < ?3 ORDER BY seq DESC LIMIT 1
"""
#: What became of a session between its start and its end, without its readings.
TURNS: Final = """
    SELECT * FROM fact WHERE kind IN ('leg_ended', 'leg_started', 'session_modified') AND session = ? ORDER BY seq
"""
END: Final = "SELECT * FROM fact WHERE kind = 'session_ended' AND session = ?"
ORDER: Final = "SELECT * FROM fact WHERE kind = 'session_started' AND json_extract(body, '$.order') = ?"
COMMAND: Final = "SELECT * FROM fact WHERE kind = 'command_result' AND json_extract(body, '$.id') = ?"
#: In two halves, so that each finds its own index.
LAST_GUARD_EVENT: Final = """
    SELECT max(event) FROM (
        SELECT max(json_extract(body, '$.event')) AS event FROM fact
        WHERE kind IN ('fault_latched', 'fault_found', 'fault_cleared') AND json_extract(body, '$.guard_boot') = ?1
        UNION ALL
        SELECT max(json_extract(body, '$.event')) AS event FROM fact
        WHERE kind = 'tested' AND json_extract(body, '$.guard_boot') = ?1
    )
"""
#: The newest result of every periodic test.
LAST_TESTS: Final = """
    SELECT * FROM fact WHERE seq IN
    (SELECT max(seq) FROM fact WHERE kind = 'tested' GROUP BY json_extract(body, '$.test'))
"""
#: The newest fact whose wall time was trusted: one that is no reading, or a reading after it. Of a long time without a
#: clock only the newest readings are looked through.
NEWEST_TRUSTED: Final = """
    WITH other AS (
        SELECT seq FROM fact INDEXED BY trusted WHERE clock != 'none' AND kind != 'checkpoint' ORDER BY seq DESC LIMIT 1
    ), late AS (
        SELECT seq, clock FROM fact WHERE seq > coalesce((SELECT seq FROM other), 0) ORDER BY seq DESC LIMIT 5000
    )
    SELECT * FROM fact WHERE seq = coalesce(
        (SELECT seq FROM late WHERE clock != 'none' ORDER BY seq DESC LIMIT 1), (SELECT seq FROM other)
    )
"""
#: The newest of one kind, which is not that of readings.
NEWEST_OF: Final = "SELECT * FROM fact WHERE kind = ? AND kind != 'checkpoint' ORDER BY seq DESC LIMIT 1"
#: The anchors of some boots; the boots as a JSON list.
ANCHORS: Final = """
    SELECT * FROM fact WHERE kind = 'anchor' AND kind != 'checkpoint'
    AND boot IN (SELECT value FROM json_each(?)) ORDER BY seq
"""
_KINDS: Final = "SELECT * FROM fact WHERE kind IN (SELECT value FROM json_each(?1)) AND seq > ?2"
#: Facts of some kinds after a ``seq``, oldest first; the kinds as a JSON list. With readings the whole log is walked.
OF_KINDS: Final = f"{_KINDS} AND kind != 'checkpoint' ORDER BY seq LIMIT ?3"
OF_KINDS_AND_READINGS: Final = f"{_KINDS} ORDER BY seq LIMIT ?3"
#: The same with the holes.
OF_KINDS_AND_HOLES: Final = f"""
    {_KINDS} AND kind != 'checkpoint' UNION ALL {_HOLES} WHERE upto > ?2 ORDER BY seq LIMIT ?3
"""
OF_ALL_THAT: Final = f"{_KINDS} UNION ALL {_HOLES} WHERE upto > ?2 ORDER BY seq LIMIT ?3"
