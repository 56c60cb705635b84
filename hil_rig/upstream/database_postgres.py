"""PostgreSQL at a URL. The only importer of psycopg.

Several workers write at the same time; whoever writes facts of a log holds its row until the commit.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

import psycopg

from hil_rig.upstream.database import LostError, RefusedError, schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hil_rig.upstream.database import Row

_CONNECT_S: Final = 10
#: One at a time makes the tables; any number will do, if it is always the same.
_SCHEMA_LOCK: Final = 0x70696C65

#: Stands on the tables; the next version of them has a file that makes it from this one.
_SCHEMA: Final = "pilenode 1"

_FACT: Final = (*["int8"] * 4, *["text"] * 5, "bytea")
_ADD_FACTS: Final = b"COPY fact FROM STDIN (FORMAT BINARY)"
_THESE: Final = "(node, log_id) IN (SELECT * FROM unnest(?::text[], ?::text[]))"


class PostgresDatabase:
    """One connection to PostgreSQL."""

    held = " FOR UPDATE"
    free = " FOR UPDATE SKIP LOCKED"

    def __init__(self, url: str) -> None:
        self._url = url
        self._db: psycopg.Connection[Row] | None = None

    def open(self) -> None:
        """Connect, anew if need be, and make the tables where there are none."""
        self.close()
        with _told():
            self._db = psycopg.connect(self._url, autocommit=True, connect_timeout=_CONNECT_S)
        try:
            if self.run("SHOW synchronous_commit") == [("off",)]:  # what is acknowledged must survive a crash
                self.run("SET synchronous_commit = on")
            if not self._is_made():
                self._make()
        except BaseException:
            self.close()
            raise

    def _is_made(self) -> bool:
        """Return whether the tables are there. Making them again would hold up everybody who writes."""
        (word,) = self.run("SELECT obj_description(to_regclass('log'), 'pg_class')")[0]
        if word not in (None, _SCHEMA):
            raise RefusedError(f"the tables are of another version: {word}")
        return word is not None

    def _make(self) -> None:
        with self.write():
            self.run("SELECT pg_advisory_xact_lock(?)", _SCHEMA_LOCK)
            if not self._is_made():
                with _told():
                    self._connection().execute(schema("postgres", "CREATE VIEW").encode())
                self.run(f"COMMENT ON TABLE log IS '{_SCHEMA}'")

    def close(self) -> None:
        """Hang up."""
        if self._db is not None:
            self._db.close()
            self._db = None

    @contextlib.contextmanager
    def write(self) -> Iterator[None]:
        """Return one transaction that may write. It is undone when its block raises."""
        with _told(), self._connection().transaction():
            yield

    def run(self, statement: str, *parameters: object) -> list[Row]:
        """Carry out one statement and return what it says."""
        with _told():
            cursor = self._connection().execute(_dialect(statement), parameters)
            return cursor.fetchall() if cursor.description is not None else []

    def many(self, statement: str, rows: Sequence[Row]) -> None:
        """Carry out one statement for every row."""
        if rows:
            with _told(), self._connection().cursor() as cursor:
                cursor.executemany(_dialect(statement), rows)

    def add_facts(self, rows: Sequence[Row]) -> None:
        """Insert facts that are not there."""
        if rows:
            with _told(), self._connection().cursor() as cursor, cursor.copy(_ADD_FACTS) as copy:
                copy.set_types(_FACT)
                for row in rows:
                    copy.write_row(row)

    def logs(self, columns: str, keys: Sequence[tuple[str, str]]) -> list[Row]:
        """Return and hold the rows of these logs, new ones where there are none.

        Everybody takes them in the same order. A log that two meet for the first time at once may still be a deadlock:
        one of both is told so, and tries again.
        """
        found = self._hold(columns, keys)
        if len(found) < len(keys):
            have = {(row[0], row[1]) for row in found}
            rest = [key for key in keys if key not in have]
            self.run(
                "INSERT INTO log (node, log_id) SELECT * FROM unnest(?::text[], ?::text[]) ON CONFLICT DO NOTHING",
                *_columns(rest),
            )
            found += self._hold(columns, rest)
        return found

    def sizes(self, table: str) -> tuple[int, int]:
        """Return the bytes of a table, without and with its indexes."""
        self.run("CHECKPOINT")
        rows = self.run("SELECT pg_table_size(?::regclass), pg_total_relation_size(?::regclass)", table, table)
        return rows[0][0], rows[0][1]

    def _hold(self, columns: str, keys: Sequence[tuple[str, str]]) -> list[Row]:
        select = f"SELECT node, log_id, {columns} FROM log WHERE {_THESE} ORDER BY node, log_id FOR UPDATE"  # noqa: S608 - our own names
        return self.run(select, *_columns(keys))

    def _connection(self) -> psycopg.Connection[Row]:
        if self._db is None:
            raise LostError("not open")
        return self._db


def _dialect(statement: str) -> bytes:
    return statement.replace("?", "%s").encode()


def _columns(keys: Sequence[tuple[str, str]]) -> tuple[list[str], list[str]]:
    return [node for node, _ in keys], [log_id for _, log_id in keys]


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:  # gone, ending, a deadlock, no room
        raise LostError(str(error)) from error
    except psycopg.Error as error:
        raise RefusedError(str(error)) from error
