"""What a store needs of a database, and the two that it can have: SQLite in a file, PostgreSQL at a URL.

Statements are written once, in the SQL that both understand, with ``?`` for every parameter.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

Row = tuple[Any, ...]

_HERE: Final = Path(__file__).parent
#: How long a writer waits for another one, seconds.
_LOCK_S: Final = 10.0
_CREATE_VIEW: Final = "CREATE VIEW fact_once"

#: Of the tables in a file.
_VERSION: Final = 1
_WHAT_IS_THERE: Final = "SELECT (SELECT count(*) FROM sqlite_master), user_version FROM pragma_user_version"

_ADD_FACT: Final = "INSERT INTO fact VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


class LostError(Exception):
    """The database cannot be reached, or is busy beyond patience. Try again later; nothing of it was committed."""


class RefusedError(Exception):
    """The database would not have what it was given. Nothing of it was committed."""


class Database(Protocol):
    """One connection. Every method raises LostError and RefusedError."""

    #: Ends a SELECT whose rows nobody else may change before the transaction ends.
    held: str
    #: The same, and rows that somebody else holds are left out.
    free: str

    def open(self) -> None:
        """Connect, anew if need be, and make what is missing of the tables."""

    def close(self) -> None:
        """Hang up."""

    def write(self) -> AbstractContextManager[None]:
        """Return one transaction that may write. It is undone when its block raises."""

    def run(self, statement: str, *parameters: object) -> list[Row]:
        """Carry out one statement and return what it says."""

    def many(self, statement: str, rows: Sequence[Row]) -> None:
        """Carry out one statement for every row."""

    def add_facts(self, rows: Sequence[Row]) -> None:
        """Insert facts that are not there."""

    def logs(self, columns: str, keys: Sequence[tuple[str, str]]) -> list[Row]:
        """Return and hold the rows of these logs, new ones where there are none. ``keys``: (node, log_id), sorted."""

    def sizes(self, table: str) -> tuple[int, int]:
        """Return the bytes of a table, without and with its indexes."""


def connect(where: Path | str) -> Database:
    """Return the database at a path, or at a URL ``postgresql://…``, opened. Raises LostError."""
    if isinstance(where, str) and where.startswith(("postgresql://", "postgres://")):
        from hil_rig.upstream.database_postgres import PostgresDatabase  # noqa: PLC0415 - only where it is used

        database: Database = PostgresDatabase(where)
    else:
        database = SqliteDatabase(Path(where))
    database.open()
    return database


def schema(name: str, view: str) -> str:
    """Return the tables of a database and the views of both. ``view``: how it creates one that may be there."""
    views = (_HERE / "views.sql").read_text(encoding="utf-8").replace(_CREATE_VIEW, f"{view} fact_once")
    return (_HERE / f"schema_{name}.sql").read_text(encoding="utf-8") + views


class SqliteDatabase:
    """A file. Several processes may have it open; they write one at a time."""

    held = ""
    free = ""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db: sqlite3.Connection | None = None

    def open(self) -> None:
        """Connect, anew if need be, and make what is missing of the tables."""
        self.close()
        with _told():
            # Used by one thread at a time: the store sees to that.
            self._db = sqlite3.connect(self._path, isolation_level=None, timeout=_LOCK_S, check_same_thread=False)
        try:
            self._prepare(self._db)
        except BaseException:
            self.close()
            raise

    @staticmethod
    def _prepare(database: sqlite3.Connection) -> None:
        with _told():
            database.execute("PRAGMA page_size = 16384")  # of a new file: a fact has about half a kilobyte
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")
            database.execute("PRAGMA cache_size = -65536")
            tables, version = database.execute(_WHAT_IS_THERE).fetchone()
            if tables and version != _VERSION:
                raise RefusedError(f"the file has tables of another version: {version}")
            made = schema("sqlite", "CREATE VIEW IF NOT EXISTS")
            database.executescript(f"BEGIN IMMEDIATE; {made}; PRAGMA user_version = {_VERSION}; COMMIT")

    def close(self) -> None:
        """Hang up."""
        if self._db is not None:
            self._db.close()
            self._db = None

    @contextlib.contextmanager
    def write(self) -> Iterator[None]:
        """Return one transaction that may write. It is undone when its block raises."""
        self.run("BEGIN IMMEDIATE")
        try:
            yield
            self.run("COMMIT")
        except BaseException:
            with contextlib.suppress(LostError, RefusedError):
                self.run("ROLLBACK")
            raise

    def run(self, statement: str, *parameters: object) -> list[Row]:
        """Carry out one statement and return what it says."""
        with _told():
            return self._connection().execute(statement, parameters).fetchall()

    def many(self, statement: str, rows: Sequence[Row]) -> None:
        """Carry out one statement for every row."""
        with _told():
            self._connection().executemany(statement, rows)

    def add_facts(self, rows: Sequence[Row]) -> None:
        """Insert facts that are not there."""
        self.many(_ADD_FACT, rows)

    def logs(self, columns: str, keys: Sequence[tuple[str, str]]) -> list[Row]:
        """Return the rows of these logs, new ones where there are none. The whole file is held by now."""
        self.many("INSERT OR IGNORE INTO log (node, log_id) VALUES (?, ?)", keys)
        select = f"SELECT node, log_id, {columns} FROM log WHERE node = ? AND log_id = ?"  # noqa: S608 - our own names
        return [row for key in keys for row in self.run(select, *key)]

    def sizes(self, table: str) -> tuple[int, int]:
        """Return the bytes of a table, without and with its indexes; the tree of a table is its first index, too."""
        pages = self.run("SELECT name, sum(pgsize) FROM dbstat WHERE name LIKE ? GROUP BY name", f"{table}%")
        return sum(size for name, size in pages if name == table), sum(size for _, size in pages)

    def _connection(self) -> sqlite3.Connection:
        if self._db is None:
            raise LostError("not open")
        return self._db


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:  # busy, full, not there
        raise LostError(str(error)) from error
    except (sqlite3.Error, OverflowError, UnicodeEncodeError) as error:
        raise RefusedError(str(error)) from error
