"""The bench of hazards in short form: real processes, several kinds on several ports at once, every one cut in time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hil_rig import bench_cabinet_hazards, bench_hazards
from hil_rig.bench_hazards import Bench, Plan, Shot, deck, figures
from hil_rig.hazard_kinds import PORT_KINDS, SLOW

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.long
@pytest.mark.bench
@pytest.mark.timeout(120)
def test_hazards_of_ports_are_cut_within_their_bounds(tmp_path: Path) -> None:
    """Ten ports, one dead meter: every quick kind at least once, all cut within what is computed, all named rightly."""
    shots, failures = bench_hazards.shoot(tmp_path, Plan(10, 1, 38_400, 1, 1.0), 14, quick=True)
    assert failures == []
    assert {shot.kind for shot in shots} == {kind.name for kind in PORT_KINDS} - SLOW
    assert [shot for shot in shots if not 0 <= shot.took_s <= shot.bound_s] == []


@pytest.mark.long
@pytest.mark.bench
@pytest.mark.timeout(120)
def test_hazards_of_the_cabinet_are_cut_within_their_bounds(tmp_path: Path) -> None:
    """Smoke, emergency stop, lost feedback and a welded relay: no current anywhere, the contactor open."""
    wanted = {"smoke", "E-stop", "contactor feedback lost", "relay welded", "cabinet overload"}
    kinds = [kind for kind in bench_cabinet_hazards.KINDS if kind.name in wanted]
    shots, failures = bench_cabinet_hazards.shoot(tmp_path, Plan(4, 1, 38_400, 0, 1.0), kinds)
    assert failures == []
    assert {shot.kind for shot in shots} == wanted
    assert [shot for shot in shots if not 0 <= shot.took_s <= shot.bound_s] == []


@pytest.mark.parametrize("count", [1, 30, 1000])
def test_a_deck_holds_every_kind(count: int) -> None:
    """However few are asked for, no kind is left out; the long ones come first, the quick form has none of them."""
    cards = deck(count)
    assert {kind.name for kind in cards} == {kind.name for kind in PORT_KINDS}
    assert all(kind.name in SLOW for kind in cards[: sum(kind.name in SLOW for kind in cards)])
    assert not SLOW.intersection(kind.name for kind in deck(count, quick=True))
    assert len(cards) >= min(count, len(PORT_KINDS))


def test_a_line_bears_no_more_failing_meters_than_promised() -> None:
    """With two meters failing on a line, the next card is one that lets the others be read."""
    assert Bench.__doc__
    failing = next(kind for kind in PORT_KINDS if kind.failing)
    other = next(kind for kind in PORT_KINDS if not kind.failing and kind.port is None)

    class Site:
        """A cabinet of one line."""

        class cabinet:  # noqa: N801 - stands for an instance
            """Its harness."""

            setup = Plan(4, 1, 9600, 0, 1.0).setup()

    bench = Bench(Site(), {}, "t", [failing, other], frozenset())  # type: ignore[arg-type]
    bench.failing["main"] = 2
    assert bench._draw(1) is other
    assert bench._draw(1) is None
    bench.failing["main"] = 1
    assert bench._draw(1) is failing


def test_a_figure_of_shots_shows_what_was_late_or_failed() -> None:
    """One late shot: the figure is missed; a failure stands with the first figure and spoils it."""
    good, late = Shot("a", "p", 0.1, 1.0), Shot("b", "p", 1.1, 1.0)
    assert [figure.good for figure in figures([good, late], [])] == [True, False]
    assert [figure.good for figure in figures([good], ["x"])] == [False]
