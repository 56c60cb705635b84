"""Somebody with root rights changes the log: ``python -m hil_rig.bench_tamper [--trials N] [--seed S] [--json FILE]``.

A real journal of some hundred facts, most of them confirmed by a backend that knows their link. In every trial one
thing is changed in its file: a byte, a time, a row that goes, comes or changes its place, an end that is cut off. The
careless leaves the links as they are; the careful makes every link anew, as only a program can that knows how.

Who notices: ``open`` (station, when it opens the file), ``chain`` (whoever reads the whole log: ledger and report),
``anchor`` (the acknowledgement of the backend, at the next connection). A change of what is confirmed must be noticed
by one of them, whoever made it, and a careless one wherever it is. A careful change of what nobody has confirmed
is noticed by nobody: that window is as long as the connection is away, and is counted here.

Exit status 0 when nothing else escaped.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import random
import shutil
import sqlite3
import sys
import tempfile
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from hil_rig.power_cuts_writer import ended, started
from pilenode.station import schema
from pilenode.station.chain import Chain
from pilenode.station.confirmations import Verdict, judge
from pilenode.station.entries import JournalPolicy, JournalStatus, NewFact
from pilenode.station.journal import Journal
from pilenode.station.journal_check import link_at
from pilenode.station.journal_rows import to_fact
from pilenode.upstream.contract import NO_LINK, Ack
from pilenode.upstream.facts import Boot, FactKind, link

if TYPE_CHECKING:
    from collections.abc import Callable

FACTS: Final = 401
ACKED: Final = 301
_NAME: Final = "journal.db"
#: Above every number that a fact has here.
_FAR: Final = 1_000_000
_POLICY: Final = JournalPolicy(reserve_bytes=0)


@dataclass(frozen=True, slots=True)
class Trial:
    """One change: what, from which fact on, and whether its maker knows the chain."""

    kind: str
    at: int
    careful: bool

    @property
    def confirmed(self) -> bool:
        """Return whether what was changed had been confirmed."""
        return self.at <= ACKED

    @property
    def must_be_noticed(self) -> bool:
        """Return whether this is no change in the window that nobody can see into."""
        leaves_a_chain = self.careful or self.kind == "cut off"
        return self.confirmed or not leaves_a_chain


# -- changes; each leaves the numbers without a gap where its maker is careful ------------------------------------


def _flip(db: sqlite3.Connection, at: int, chance: random.Random) -> None:
    (body,) = db.execute("SELECT body FROM fact WHERE seq = ?", (at,)).fetchone()
    place = chance.randrange(1, len(body) - 1)
    other = chance.choice([letter for letter in "0123456789" if letter != body[place]])
    db.execute("UPDATE fact SET body = ? WHERE seq = ?", (body[:place] + other + body[place + 1 :], at))


def _time(db: sqlite3.Connection, at: int, chance: random.Random) -> None:
    db.execute("UPDATE fact SET wall_ms = wall_ms + ? WHERE seq = ?", (chance.choice([-1, 1, 86_400_000]), at))


def _delete(db: sqlite3.Connection, at: int, _chance: random.Random) -> None:
    db.execute("DELETE FROM fact WHERE seq = ?", (at,))
    _close_up(db, at, -1)


def _insert(db: sqlite3.Connection, at: int, _chance: random.Random) -> None:
    _close_up(db, at - 1, +1)
    db.execute(
        "INSERT INTO fact SELECT ?, log_id, boot, boottime_ms, wall_ms, clock, 'boot', NULL, ?, hash FROM fact "
        "WHERE seq = ?",
        (at, '{"version":"9"}', at + 1),
    )


def _swap(db: sqlite3.Connection, at: int, _chance: random.Random) -> None:
    other = at + 1 if at < FACTS else at - 1
    for seq, to in ((at, _FAR), (other, at), (_FAR, other)):
        db.execute("UPDATE fact SET seq = ? WHERE seq = ?", (to, seq))


def _cut_off(db: sqlite3.Connection, at: int, _chance: random.Random) -> None:
    db.execute("DELETE FROM fact WHERE seq >= ?", (at,))
    db.execute("UPDATE meta SET value = min(value, ?) WHERE key = 'acked'", (at - 1,))


def _close_up(db: sqlite3.Connection, after: int, step: int) -> None:
    """Give everything above ``after`` new numbers, without meeting one that is taken."""
    db.execute("UPDATE fact SET seq = seq + ? WHERE seq > ?", (_FAR + step, after))
    db.execute("UPDATE fact SET seq = seq - ? WHERE seq > ?", (_FAR, _FAR))


KINDS: Final[dict[str, Callable[[sqlite3.Connection, int, random.Random], None]]] = {
    "byte": _flip,
    "time": _time,
    "delete": _delete,
    "insert": _insert,
    "swap": _swap,
    "cut off": _cut_off,
}


def _rechain(db: sqlite3.Connection, log_id: str) -> None:
    """Make every link anew."""
    digest = bytes.fromhex(NO_LINK)
    for row in db.execute("SELECT * FROM fact ORDER BY seq").fetchall():
        digest = link(digest, log_id, to_fact(row))
        db.execute("UPDATE fact SET hash = ? WHERE seq = ?", (digest, row["seq"]))


# -- the journal ---------------------------------------------------------------------------------------------


def _facts() -> list[NewFact]:
    made = [NewFact(FactKind.BOOT, Boot(version="1"))]
    for number in range((FACTS - 1) // 4):
        session = f"s{number}"
        made += [started(session), NewFact(FactKind.BOOT, Boot(version=str(number))), ended(session)]
        made.append(NewFact(FactKind.BOOT, Boot(version=f"{number}.1")))
    return made


async def _make(path: Path) -> tuple[str, str]:
    """Write the journal; return its log and the link that the backend knows."""
    journal = Journal(path, policy=_POLICY)
    try:
        await journal.recover()
        await journal.append(_facts())
        log_id, digest = journal.status().log_id, await journal.link_at(ACKED)
        await journal.acknowledge(log_id, ACKED)
    finally:
        await journal.close()
    assert digest is not None  # noqa: S101 - it was written just now
    return log_id, digest


def change(path: Path, log_id: str, trial: Trial, chance: random.Random) -> None:
    """Do to the file what a person with root rights may do."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.row_factory = sqlite3.Row
        db.execute("PRAGMA synchronous = OFF")
        db.execute("BEGIN")
        for kind, name in db.execute("SELECT type, name FROM sqlite_master WHERE sql NOTNULL").fetchall():
            if kind in ("trigger", "index"):  # unique ones would stand in the way
                db.execute(f'DROP {kind} "{name}"')
        KINDS[trial.kind](db, trial.at, chance)
        if trial.careful:
            _rechain(db, log_id)
        db.execute("COMMIT")


async def _opens(path: Path, log_id: str) -> bool:
    journal = Journal(path, policy=_POLICY)
    try:
        await journal.recover()
        return journal.status().log_id == log_id
    finally:
        await journal.close()


def noticed(path: Path, log_id: str, known: Ack) -> set[str]:
    """Return who notices that the file is not what it was."""
    found = set()
    with closing(sqlite3.connect(path)) as db:
        db.row_factory = sqlite3.Row
        chain = Chain(log_id)
        for row in db.execute(schema.AFTER, (0, -1)):
            chain.take(to_fact(row))
        meta = dict(db.execute(schema.META).fetchall())
        here = link_at(db, known.upto)
    if chain.broken_at is not None:
        found.add("chain")
    status = JournalStatus(log_id=log_id, last_seq=chain.seq, acked_seq=int(meta["acked"]), problem=None)
    if judge(known, status, None if here is None else here.hex()) is Verdict.DIFFERS:
        found.add("anchor")
    if not asyncio.run(_opens(path, log_id)):
        found.add("open")
    return found


# -- all of it -----------------------------------------------------------------------------------------------


def trials(count: int, chance: random.Random) -> list[Trial]:
    """Return so many trials: every kind, careless and careful, and a third of them at the border of what is known."""
    names = [*KINDS]
    made = []
    for number in range(count):
        near = chance.choice([1, 2, ACKED - 1, ACKED, ACKED + 1, ACKED + 2, FACTS - 1, FACTS])
        at = near if number % 3 == 0 else chance.randrange(1, FACTS + 1)
        made.append(Trial(names[number % len(names)], at, careful=bool(number // len(names) % 2)))
    return made


def run(count: int, seed: int) -> dict[str, Counter[str]]:
    """Try all of them; return for each kind how many were made, noticed by whom, and not noticed."""
    chance = random.Random(seed)
    table: dict[str, Counter[str]] = {}
    with tempfile.TemporaryDirectory(prefix="pilenode-tamper-") as name:
        directory = Path(name)
        (directory / "whole").mkdir()
        log_id, digest = asyncio.run(_make(directory / "whole" / _NAME))
        known = Ack(log_id=log_id, upto=ACKED, hash=digest)
        for number, trial in enumerate(trials(count, chance)):
            here = directory / "changed"
            shutil.rmtree(here, ignore_errors=True)
            shutil.copytree(directory / "whole", here)
            change(here / _NAME, log_id, trial, chance)
            by = noticed(here / _NAME, log_id, known)
            row = table.setdefault(f"{trial.kind}, {'careful' if trial.careful else 'careless'}", Counter())
            row.update(["tried", *by])
            if not by:
                row["escaped" if trial.must_be_noticed else "in the window"] += 1
            if sys.stderr.isatty() and number % 100 == 0:
                print(f"\r{number} of {count}", end="", file=sys.stderr)
    return table


def main() -> int:
    """Print the table; return 0 when nothing escaped."""
    parser = argparse.ArgumentParser(prog="python -m hil_rig.bench_tamper", description=main.__doc__)
    parser.add_argument("--trials", type=int, default=2400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    table = run(arguments.trials, arguments.seed)
    heads = ("tried", "open", "chain", "anchor", "in the window", "escaped")
    print(f"{'':20}" + "".join(f"{head:>15}" for head in heads))
    for kind, row in table.items():
        print(f"{kind:20}" + "".join(f"{row[head]:>15}" for head in heads))
    if arguments.json is not None:
        arguments.json.write_bytes(msgspec.json.encode(json.loads(json.dumps(table))))
    return 1 if any(row["escaped"] for row in table.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
