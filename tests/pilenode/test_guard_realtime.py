"""What keeps the ticks on time, and how their lateness is counted."""

from __future__ import annotations

import errno
import gc
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilenode.guard import realtime
from pilenode.guard.lateness import EDGES_S, Lateness

REFUSED = PermissionError(errno.EPERM, os.strerror(errno.EPERM))
#: Prepares itself in a process of its own, then shows what the kernel says about it.
PROGRAM = """
import mmap, os, sys, threading
from pilenode.guard import realtime
{before}
prepared = realtime.prepare()
late = mmap.mmap(-1, 64 << 20)  # and never touched
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
policies = []
thread = threading.Thread(target=lambda: policies.append(os.sched_getscheduler(0)))
thread.start()
thread.join()
print(prepared)
print(int(status["VmLck"].split()[0]), int(status["VmRSS"].split()[0]), int(status["VmSize"].split()[0]))
print(os.sched_getscheduler(0), os.sched_getparam(0).sched_priority, policies[0], sys.getswitchinterval())
"""


def prepared_process(before: str = "") -> list[str]:
    """Return what a process prints that has prepared itself after ``before``."""
    return subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM.format(before=before)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
    ).stdout.splitlines()


@pytest.mark.needs("root")
def test_everything_that_the_machine_grants_is_in_force() -> None:
    """FIFO 40 in every thread, memory locked without filling the stacks, a short switch interval."""
    prepared, memory, scheduling = prepared_process()
    locked_kb, resident_kb, size_kb = map(int, memory.split())
    assert resident_kb < 60_000
    assert scheduling.endswith(" 0.0005")
    # A container may have taken these rights from root; then the refusal is told instead.
    granted = scheduling.startswith(f"{os.SCHED_FIFO} 40 {os.SCHED_FIFO} ")
    assert ("real_time=True" in prepared) is granted
    assert ("no real-time scheduling" in prepared) is not granted
    locked = locked_kb > 0.9 * size_kb
    assert ("memory_locked=True" in prepared) is locked
    assert ("memory not locked" in prepared) is not locked


@pytest.mark.needs("root")
def test_a_priority_that_systemd_gave_is_left_alone() -> None:
    """A technician may set another one in a drop-in."""
    before = (
        "import contextlib\n"
        "with contextlib.suppress(PermissionError): os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(7))\n"
    )
    prepared, _, scheduling = prepared_process(before)
    assert scheduling.startswith(f"{os.SCHED_FIFO} 7 ") or "no real-time scheduling" in prepared


@pytest.mark.needs("root")
def test_refusals_of_the_kernel_are_reported_and_survived() -> None:
    """An ordinary user without limits: the process goes on and says what it did not get."""
    before = (
        "import resource\n"
        "resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))\n"
        "resource.setrlimit(resource.RLIMIT_RTPRIO, (0, 0))\n"
        "os.setgroups([])\nos.setgid(65534)\nos.setuid(65534)\n"
    )
    prepared, _, scheduling = prepared_process(before)
    assert "real_time=False, memory_locked=False" in prepared
    assert "no real-time scheduling: Operation not permitted" in prepared
    assert "memory not locked: " in prepared
    assert scheduling.startswith(f"{os.SCHED_OTHER} 0 ")


def refuse(*_: object) -> None:
    """Stand in for a kernel that says no."""
    raise REFUSED


@pytest.fixture
def tame(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Let nothing change this process."""
    for name in ("raise_priority", "lock_memory", "shorten_switch_interval"):
        monkeypatch.setattr(realtime, name, lambda: None)
    monkeypatch.setattr(realtime, "freeze_garbage", lambda: 123)
    return monkeypatch


@pytest.mark.parametrize(
    ("name", "real_time", "memory_locked", "words"),
    [
        ("raise_priority", False, True, "no real-time scheduling: Operation not permitted"),
        ("lock_memory", True, False, "memory not locked: Operation not permitted"),
    ],
)
def test_one_refusal_keeps_none_of_the_others_away(
    tame: pytest.MonkeyPatch, name: str, words: str, *, real_time: bool, memory_locked: bool
) -> None:
    """Each measure stands alone."""
    tame.setattr(realtime, name, refuse)
    assert realtime.prepare() == realtime.Prepared(real_time, memory_locked, 123, (words,))


def test_nothing_is_refused_where_everything_is_granted(tame: pytest.MonkeyPatch) -> None:
    """Then there is nothing to tell."""
    tame.setattr(realtime, "SWITCH_INTERVAL_S", 0.001)
    assert realtime.prepare() == realtime.Prepared(real_time=True, memory_locked=True, frozen_objects=123, refused=())


def test_what_start_up_made_is_out_of_the_collectors_reach() -> None:
    """Frozen objects are not walked any more; the collector itself stays on."""
    try:
        assert realtime.freeze_garbage() > 10_000
        assert len(gc.get_objects()) < gc.get_freeze_count()
        assert gc.isenabled()
    finally:
        gc.unfreeze()


def test_the_unit_gives_the_priority_that_guard_would_ask_for() -> None:
    """One number in two places."""
    unit = (Path(__file__).parents[2] / "systemd/pilenode-guard.service").read_text(encoding="utf-8")
    assert f"\nCPUSchedulingPriority={realtime.PRIORITY}\n" in unit


# -- lateness ----------------------------------------------------------------------------------------------------


def counted(latenesses: list[float]) -> Lateness:
    """Return a histogram of ``latenesses``."""
    histogram = Lateness()
    for late_s in latenesses:
        histogram.add(late_s)
    return histogram


def test_no_tick_is_no_lateness() -> None:
    """Before the first tick everything is 0."""
    empty = Lateness()
    assert (empty.count, empty.p50_s, empty.p99_s, empty.p999_s, empty.max_s) == (0, 0.0, 0.0, 0.0, 0.0)


def test_the_buckets_reach_from_a_tenth_of_a_millisecond_to_a_second() -> None:
    """Rising, twenty to a decade."""
    assert EDGES_S[0] == pytest.approx(1e-4)
    assert EDGES_S[-1] == pytest.approx(1.0)
    assert all(high / low == pytest.approx(10**0.05) for low, high in pairwise(EDGES_S))


@given(st.lists(st.floats(0.0, 3.0), min_size=1, max_size=300), st.sampled_from([0.5, 0.9, 0.99, 0.999, 1.0]))
def test_a_percentile_is_never_too_low_and_at_most_a_bucket_too_high(latenesses: list[float], share: float) -> None:
    """Against the exact value of the same samples."""
    histogram = counted(latenesses)
    ordered = sorted(latenesses)
    exact = next(value for place, value in enumerate(ordered, 1) if place >= share * len(ordered))
    shown = histogram.percentile_s(share)
    assert shown >= exact
    assert shown <= max(exact * 10**0.05 * (1 + 1e-9), EDGES_S[0]) or shown == histogram.max_s
    assert histogram.max_s == max(latenesses)
    assert histogram.count == len(latenesses)


@pytest.mark.parametrize(("late", "p999_is_late"), [(1, False), (2, True)])
def test_one_late_tick_in_a_thousand_is_the_boundary(late: int, *, p999_is_late: bool) -> None:
    """Of a thousand ticks one may be late at p99.9, two may not."""
    histogram = counted([0.001] * (1000 - late) + [0.5] * late)
    assert (histogram.p999_s > 0.01) is p999_is_late
    assert histogram.p99_s < 0.01
    assert histogram.max_s == 0.5


def test_the_edge_of_a_bucket_belongs_to_it() -> None:
    """A lateness of exactly an edge is not told as the next one."""
    assert counted([EDGES_S[20], EDGES_S[20], 1.0]).p50_s == EDGES_S[20]


def test_a_tick_that_is_early_or_on_time_counts() -> None:
    """Zero and less fall into the first bucket."""
    histogram = counted([0.0, -1e-9])
    assert (histogram.count, histogram.p999_s, histogram.max_s) == (2, 0.0, 0.0)
