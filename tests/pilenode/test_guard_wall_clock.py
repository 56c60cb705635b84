"""The wall clock may be anything: what cuts does not read it."""

from __future__ import annotations

import ast
import time
from pathlib import Path
from typing import TYPE_CHECKING

import safety
from pilenode import clock
from safety.state import Grant
from tests.pilenode.test_guard_loop import Bench

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

ROOT = Path(safety.__file__).parent.parent
#: Names that read the wall clock.
WALL = {"time", "time_ns", "now", "utcnow", "today", "wall_ms", "localtime", "gmtime"}
#: The black box is stamped with it, for people.
STAMPS = {"pilenode/guard/boxes.py"}


def readers() -> set[str]:
    """Return the files of the cutoff process that call something that reads the wall clock."""
    found = set()
    for folder in ("safety", "drivers", "pilenode/guard"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                called = node.func if isinstance(node, ast.Call) else None
                if isinstance(called, ast.Attribute) and called.attr in WALL:
                    found.add(path.relative_to(ROOT).as_posix())
    return found


def test_nothing_that_cuts_reads_the_wall_clock() -> None:
    """Deadlines, ages and dwell times live on the monotonic clock; only the black box is stamped."""
    assert readers() <= STAMPS


def life(bench: Bench, before_tick: Callable[[int], None] = lambda _: None) -> list[list[tuple[str, object]]]:
    """Charge, overload, cut: return what the outputs were told in every tick."""
    told = []
    for number in range(14):
        before_tick(number)
        requests = (Grant(1, 1, "s", 60.0),) if number == 0 else ()
        told.append(bench.tick(*requests, amps=9.5 if number >= 8 else 1.0))
    return told


def test_a_wall_clock_that_jumps_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten years forwards and back between ticks: the same outputs as without, tick for tick."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    plain = life(Bench(tmp_path / "a"))
    assert ("close", 1) in [call for tick in plain for call in tick]
    assert ("open", 1) in [call for tick in plain for call in tick]
    years_ms = 10 * 365 * 86_400_000

    def jump(number: int) -> None:
        wall_ms = 1_700_000_000_000 + (years_ms if number % 2 else -years_ms)
        monkeypatch.setattr(clock, "wall_ms", lambda: wall_ms)
        monkeypatch.setattr(time, "time", lambda: wall_ms / 1000)

    assert life(Bench(tmp_path / "b"), jump) == plain
