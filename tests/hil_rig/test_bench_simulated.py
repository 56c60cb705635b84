"""Hazards in simulated time: reproducible, cut in time, and a cut that comes late or never is told."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

import pytest

from hil_rig import bench_simulated, sim_cases
from hil_rig.bench_simulated import Result, names, rows, tell
from hil_rig.hazard_pictures import Drawn, write_pictures
from hil_rig.sim_cabinet import SimCabinet
from hil_rig.sim_story import Sample, Story
from safety import budget

if TYPE_CHECKING:
    from pathlib import Path


def told(name: str, wanted: int) -> Story:
    """Return a story that has been told."""
    story = Story(sim_cases.make(name), wanted)
    story.tell()
    return story


@pytest.mark.parametrize("number", range(4))
def test_every_hazard_of_a_port_is_cut_within_its_computed_bound(number: int) -> None:
    """Random cabinets, some fifteen hazards each: nothing late, nothing cut that was well."""
    story = told(f"test:{number}:ports", 15)
    assert story.failures == []
    assert len(story.samples) >= 15
    assert all(0 <= sample.took_s <= sample.bound_s for sample in story.samples)


def test_the_same_name_is_the_same_story() -> None:
    """A failure can be told again: same cabinet, same hazards, same times."""
    first, again = told("test:7:ports", 8), told("test:7:ports", 8)
    assert first.samples == again.samples
    assert first.samples != told("test:8:ports", 8).samples


def test_a_core_that_does_not_cut_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the rules of the fast and slow stage an over-current is never cut, and the story says so."""
    monkeypatch.setattr("safety.overload.standing", lambda *_: ())
    found = [failure for number in range(3) for failure in told(f"test:{number}:ports", 15).failures]
    assert any("over-current" in failure and "inf s" in failure for failure in found)


def test_a_port_that_closes_without_a_grant_is_found_out() -> None:
    """The property of every tick: what nobody granted must not be on."""
    story = Story(sim_cases.make("test:1:ports"), 1)
    story.tell()
    story.failures.clear()
    living = next(port for port in story.case.layout.settings.ports if port not in story.case.dead)
    story.cabinet.closed = frozenset({living})
    story.check(frozenset())
    assert any("closed" in failure for failure in story.failures)


@pytest.mark.parametrize("number", range(20))
def test_every_random_cabinet_would_pass_the_config_check(number: int) -> None:
    """The promise of 5 s holds and no healthy port is cut for its age, with two dead meters on every line."""
    case = sim_cases.make(f"cases:{number}:ports")
    for bounds in case.bounds.values():
        worst = max(
            budget.seen(bounds.own, bounds.others, 2, bounds.limits, bounds.relay_s).total_s,
            budget.silence(bounds.own, bounds.limits, bounds.relay_s).total_s,
        )
        assert worst <= 5.0
        assert budget.oldest_s(bounds.own, bounds.others, 2) < bounds.limits.meter_max_age_s
    dead_per_line = [len(case.dead.intersection(line)) for line in case.layout.lines]
    assert max(dead_per_line) <= 2


def test_the_meter_shows_nothing_newer_than_it_can_have_renewed() -> None:
    """Registers that renew once a second do not show a load that began half a second ago."""
    case = next(
        case for number in range(50) if (case := sim_cases.make(f"r:{number}:ports")).layout.timing.refresh_s == 1.0
    )
    cabinet = SimCabinet(case.layout, random.Random(1))  # noqa: S311 - the same every time
    for _ in range(60):
        cabinet.advance()
    socket = cabinet.sockets[1]
    before = socket.shown
    socket.own_v = 100.0
    assert socket.sample(cabinet.now, slow=False) == before
    for _ in range(21):
        cabinet.advance()
    shown = socket.sample(cabinet.now, slow=False)
    assert shown is not None
    assert shown.voltage_v < 110.0


def test_a_bug_in_a_case_is_a_failure_of_that_case(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception names the case and does not end the bench."""
    monkeypatch.setattr(Story, "tell", lambda _: 1 / 0)
    samples, failures, _ = tell("test:1:ports")
    assert samples == []
    assert failures == ["--case test:1:ports: ZeroDivisionError: division by zero"]


def test_enough_cases_are_told() -> None:
    """As many cases as make the wanted number of injections, all kinds of them among the first eight."""
    kinds = [name.rpartition(":")[2] for name in names("s", 2000)]
    assert sum(bench_simulated._PER_CASE[kind] for kind in kinds) >= 2000
    assert set(kinds) == {"ports", "slow", "whole"}


def test_rows_tell_the_late_and_the_never_cut() -> None:
    """One late cut of two: half in time, and the worst share of its bound above 1."""
    result = Result([Sample("k", 1, 0.0, 0.5, 1.0), Sample("k", 1, 0.0, math.inf, 1.0)])
    (row,) = rows(result.samples)
    assert (row["n"], row["in time"], row["worst_share"]) == (2, 1, math.inf)


def test_pictures_are_drawn_per_kind_and_say_what_was_never_cut(tmp_path: Path) -> None:
    """One SVG per kind, one page; an injection that was never cut stands in the title."""
    write_pictures(tmp_path, "here", [Drawn("a b", 0.5, 1.0), Drawn("a b", math.inf, 1.0), Drawn("c", 0.1, 1.0)])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a-b.svg", "c.svg", "index.html"]
    assert "1 NEVER CUT" in (tmp_path / "a-b.svg").read_text()
    assert "bound 1.00 s" in (tmp_path / "c.svg").read_text()
