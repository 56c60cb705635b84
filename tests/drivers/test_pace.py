"""The pace of a slave: looks come at the end of its replies, time-outs follow its slowest ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.pace import LATER, LATER_S, MARGIN_S, PATIENCE, SOONER_S, Pace, learned

seconds = st.floats(0.0, 1.0)


def test_the_first_reply_is_the_pace() -> None:
    """Nothing is known before it; a reply that seems to begin before the request counts as begun at once."""
    assert learned(None, 0.007, at_first_look=False) == Pace(0.007, 0.007)
    assert learned(None, -0.001, at_first_look=False) == Pace(0.0, 0.0)


def test_a_look_that_found_everything_is_followed_by_a_sooner_one() -> None:
    """What was complete at once may have been so for a while."""
    assert learned(Pace(0.007, 0.007), 0.0072, at_first_look=True).look_s == pytest.approx(0.007 - SOONER_S)
    assert learned(Pace(0.007, 0.007), 0.005, at_first_look=True).look_s == pytest.approx(0.005 - SOONER_S)
    assert learned(Pace(0.0, 0.0), 0.0, at_first_look=True).look_s == 0.0


def test_looks_that_keep_finding_everything_come_sooner_and_sooner() -> None:
    """A unit that was slow once, by 35 ms, is read at its own pace again within a dozen reads."""
    pace, reads = Pace(0.04, 0.04), 0
    while pace.look_s > 0.005:
        pace, reads = learned(pace, pace.look_s, at_first_look=True), reads + 1
    assert reads <= 14
    assert learned(pace, 0.005, at_first_look=False).sooner_s == SOONER_S


def test_a_look_that_came_too_early_moves_the_next_one_to_the_end_of_the_reply() -> None:
    """But a single slow reply does not make the next looks late: late looks cost time, early ones a wake-up."""
    assert learned(Pace(0.005, 0.005), 0.0052, at_first_look=False).look_s == pytest.approx(0.0052)
    assert learned(Pace(0.005, 0.005), 0.0054, at_first_look=False).look_s == pytest.approx(0.005 + LATER_S)
    assert learned(Pace(0.005, 0.005), 0.015, at_first_look=False).look_s == pytest.approx(0.005 + LATER * 0.01)
    assert learned(Pace(0.005, 0.005), 0.003, at_first_look=False).look_s == 0.003


def test_a_steady_slave_is_looked_for_at_its_moment() -> None:
    """Replies that begin after 7 ms: within twenty reads looks come within 0.2 ms of it and stay there."""
    pace = Pace(0.009, 0.009)
    for number in range(200):
        begun_s = 0.007
        late = pace.look_s >= begun_s
        pace = learned(pace, max(pace.look_s, begun_s), at_first_look=late)
        if number > 60:
            assert abs(pace.look_s - begun_s) <= 0.0002


@pytest.mark.parametrize(
    ("slowest_s", "limit_s", "patience_s"),
    [(0.0, 0.1, MARGIN_S), (0.01, 0.1, PATIENCE * 0.01 + MARGIN_S), (0.05, 0.1, 0.1), (1.0, 0.1, 0.1)],
)
def test_the_time_out_follows_the_slave_and_never_passes_the_limit(
    slowest_s: float, limit_s: float, patience_s: float
) -> None:
    """Three times the slowest recent reply and a margin, at most what the configuration grants."""
    assert Pace(0.0, slowest_s).patience_s(limit_s) == pytest.approx(patience_s)


@given(st.lists(seconds, min_size=1, max_size=30), st.data())
def test_a_slave_that_keeps_its_pace_is_never_given_up(begun: list[float], data: st.DataObject) -> None:
    """Whatever came before, a reply no slower than twice the last one is waited for."""
    pace = None
    for one in begun:
        pace = learned(pace, one, at_first_look=data.draw(st.booleans()))
    assert pace is not None
    assert pace.look_s >= 0.0
    assert pace.patience_s(1e9) >= 2.0 * begun[-1]
