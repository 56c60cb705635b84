"""A PostgreSQL of a rig's own: a cluster in a temporary directory, reached over a Unix socket, ended with its rig.

The programs are found in PATH or where Debian keeps them. PostgreSQL does not run as root; there it becomes another
user that the system has for such things.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import weakref
from functools import cache
from pathlib import Path
from typing import Any, Final, Self

_DEBIAN: Final = Path("/usr/lib/postgresql")
_USERS: Final = ("postgres", "nobody")
_START_S: Final = 20.0
_STOP_S: Final = 10.0
#: A cluster that nobody else uses, small; without flushes it survives its own end but no power cut.
_SETTINGS: Final = ("listen_addresses=", "shared_buffers=32MB", "max_connections=40", "logging_collector=off")
_NO_FLUSH: Final = ("fsync=off", "full_page_writes=off")


class PostgresError(RuntimeError):
    """PostgreSQL does not run, or did not begin to listen in time."""


@cache
def programs() -> Path | None:
    """Return the directory of ``initdb`` and ``postgres``, the newest there is; None: not installed."""
    versions = sorted(_DEBIAN.glob("*/bin"), key=lambda path: _number(path.parent.name), reverse=True)
    found = next((path for path in versions if (path / "initdb").exists() and (path / "postgres").exists()), None)
    if found is not None:
        return found
    initdb = shutil.which("initdb")
    return Path(initdb).resolve().parent if initdb is not None and shutil.which("postgres") is not None else None


def _number(name: str) -> int:
    return int(name) if name.isdigit() else 0


class Postgres:
    """A running cluster. A context manager. ``flushes`` False is for tests: it does not wait for the disk."""

    def __init__(self, *, flushes: bool = False) -> None:
        self._settings = (*_SETTINGS, *(() if flushes else _NO_FLUSH))
        self._user = _user()
        self._directory = Path(tempfile.mkdtemp(prefix="pilenode-pg-"))
        weakref.finalize(self, shutil.rmtree, self._directory, ignore_errors=True)
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0

    def __enter__(self) -> Self:
        self.create()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()  # its files go, too

    def create(self) -> None:
        """Make the cluster. Raises PostgresError."""
        if self._user is not None:
            os.chown(self._directory, self._user.pw_uid, self._user.pw_gid)
        made = self._run(
            "initdb", "-D", str(self._directory / "data"), "-U", "rig", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"
        )
        if made.returncode:
            raise PostgresError(made.stdout.decode(errors="replace")[-2000:])

    def start(self) -> None:
        """Start it and wait until it answers. Raises PostgresError."""
        options = [word for setting in self._settings for word in ("-c", setting)]
        command = [self._program("postgres"), "-D", str(self._directory / "data"), "-k", str(self._directory), *options]
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self._directory, **self._as_user()
            )
        end = time.monotonic() + _START_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                self.kill()
                raise PostgresError((self._directory / "log").read_text(errors="replace")[-2000:])
            time.sleep(0.02)

    def kill(self) -> None:
        """End it as a crash would: by SIGQUIT, with which its children end, too (with SIGKILL they would live on)."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGQUIT)
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def database(self) -> str:
        """Make a place for tables of its own and return its URL: a schema, which is made ten times as fast."""
        import psycopg  # noqa: PLC0415 - a heavy import that only this needs

        self._databases += 1
        name = f"rig{self._databases}"
        with psycopg.connect(self._url(), autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}".encode())
        return f"{self._url()}&options=-csearch_path%3D{name}"

    def _url(self) -> str:
        return f"postgresql://rig@/postgres?host={self._directory}"

    # -- small things ------------------------------------------------------------------------------------------

    def _answers(self) -> bool:
        import psycopg  # noqa: PLC0415 - as above

        try:
            psycopg.connect(self._url(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, *command: str) -> subprocess.CompletedProcess[bytes]:
        words = [self._program(command[0]), *command[1:]]
        return subprocess.run(
            words,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self._directory,
            **self._as_user(),
        )

    def _as_user(self) -> dict[str, Any]:
        if self._user is None:
            return {}
        return {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}

    @staticmethod
    def _program(name: str) -> str:
        directory = programs()
        if directory is None:
            raise PostgresError("PostgreSQL is not installed")
        return str(directory / name)


def _user() -> pwd.struct_passwd | None:
    """Return whom to become, None where this is not root already."""
    if os.geteuid() != 0:
        return None
    for name in _USERS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise PostgresError("no user but root")
