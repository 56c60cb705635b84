"""Promises of the log: readable lines, never waited for, never flooded."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from pilenode import log

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Return the two ends of a pipe and put the log back afterwards."""
    read, write = os.pipe()
    yield read, write
    structlog.reset_defaults()
    for descriptor in (read, write):
        os.close(descriptor)


def test_line_is_json_with_process_level_and_time(pipe: tuple[int, int]) -> None:
    """Without a terminal a line is one JSON object that names process, level, time and event, Chinese unescaped."""
    log.configure("station", descriptor=pipe[1])
    structlog.get_logger().warning("port refused", port=3, words="端口")
    raw = os.read(pipe[0], 4096).decode()
    line = json.loads(raw)
    assert raw.count("\n") == 1
    assert "端口" in raw
    assert (line["process"], line["level"], line["event"], line["port"]) == ("station", "warning", "port refused", 3)
    assert line["timestamp"]


def test_journald_gets_its_priority(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """When journald reads, a line begins with its priority and carries no second time stamp."""
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    log.configure("station", descriptor=pipe[1])
    structlog.get_logger().error("broken")
    raw = os.read(pipe[0], 4096).decode()
    assert raw.startswith("<3>{")
    assert "timestamp" not in raw


def test_debug_is_silent_by_default(pipe: tuple[int, int]) -> None:
    """A line below the level is not written."""
    log.configure("station", descriptor=pipe[1])
    structlog.get_logger().debug("detail")
    structlog.get_logger().info("news")
    assert json.loads(os.read(pipe[0], 4096))["event"] == "news"


def _log_in(password: str) -> None:
    if password:
        raise ValueError(len(password))


def test_exception_tells_its_traceback_but_no_variables(pipe: tuple[int, int]) -> None:
    """A logged exception shows where it happened and no local variable, which might be a secret."""
    log.configure("station", descriptor=pipe[1])
    try:
        _log_in("open" + "sesame")
    except ValueError:
        structlog.get_logger().exception("bug")
    line = json.loads(os.read(pipe[0], 8192))
    assert "_log_in" in line["exception"]
    assert "opensesame" not in line["exception"]


def test_full_pipe_drops_lines_instead_of_waiting(pipe: tuple[int, int]) -> None:
    """A reader that does not read costs lines, never time: writing goes on and the drops are counted."""
    writer = log.LineWriter(pipe[1])
    for _ in range(1000):
        writer.write("x" * 1000 + "\n")
    assert writer.dropped > 0
    os.read(pipe[0], 1_000_000)
    dropped = writer.dropped
    writer.write("again\n")
    assert writer.dropped == dropped
    assert os.read(pipe[0], 4096) == b"again\n"


def test_long_line_is_cut_and_still_a_line(pipe: tuple[int, int]) -> None:
    """A line longer than a pipe takes in one piece is cut there and still ends like a line."""
    log.LineWriter(pipe[1]).write("x" * 10_000 + "\n")
    data = os.read(pipe[0], 65_536)
    assert len(data) == 4096
    assert data.endswith(b"x\n")


def test_gone_reader_is_no_exception() -> None:
    """A closed pipe costs the line and nothing else."""
    read, write = os.pipe()
    os.close(read)
    writer = log.LineWriter(write)
    writer.write("nobody hears\n")
    os.close(write)
    assert writer.dropped == 1


@pytest.mark.parametrize(("later_s", "admitted"), [(9.99, None), (10.0, 3), (10.01, 3)])
def test_limiter_counts_what_it_held_back(later_s: float, admitted: int | None) -> None:
    """The first warning passes, the next of its kind only after the interval, with the number held back."""
    limiter = log.RateLimiter(10.0)
    assert limiter.admit("a", 100.0) == 0
    assert [limiter.admit("a", 100.0 + n) for n in (1, 2, 3)] == [None, None, None]
    assert limiter.admit("b", 101.0) == 0
    assert limiter.admit("a", 100.0 + later_s) == admitted


def test_limiter_memory_is_bounded() -> None:
    """Invented keys share one allowance once the table is full."""
    limiter = log.RateLimiter(10.0, max_keys=5)
    passed = [limiter.admit(f"key-{n}", 0.0) for n in range(1000)]
    assert sum(admitted is not None for admitted in passed) == 6


@given(st.lists(st.floats(0, 3), max_size=200))
def test_limiter_loses_no_count(steps: list[float]) -> None:
    """Every call is either admitted or counted in a later admission."""
    limiter, now, admitted, told = log.RateLimiter(10.0), 0.0, 0, 0
    for step in steps:
        now += step
        held_back = limiter.admit("a", now)
        if held_back is not None:
            admitted, told = admitted + 1, told + held_back
    last = limiter.admit("a", now + 11.0)
    assert last is not None
    assert admitted + 1 + told + last == len(steps) + 1
