"""Nothing plugged in, or another charger in place of the first."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from safety.completion_limits import CompletionLimits
from safety.load_change import Added, Plug, watch_plug
from safety.past import Past
from safety.verdict import Sample, Verdict

LIMITS = CompletionLimits()
#: 20 min at constant current.
CHARGED = Past(means_w=(100.0,) * 20, plateau_w=100.0, count=20, quiet=19)


@dataclass
class Socket:
    """Readings of one socket, ``every_s`` apart, judged as they come."""

    past: Past = CHARGED
    tapered: bool = False
    factor: float = 0.6
    limits: CompletionLimits = LIMITS
    every_s: float = 1.0
    t_s: float = 0.0
    plug: Plug = field(default_factory=Plug)
    verdict: Verdict | None = None

    def draw(self, power_w: float, count: int, *, current_a: float | None = None, factor: float = 0.6) -> Socket:
        """Draw ``power_w`` for ``count`` readings, or until there is a verdict."""
        for _ in range(count):
            if self.verdict is not None:
                break
            amps = power_w / (230 * factor) if current_a is None else current_a
            sample = Sample(self.t_s, 230.0, amps, power_w, factor)
            known_s = self.every_s if self.t_s else 0.0
            self.plug, self.verdict = watch_plug(
                self.plug, sample, known_s, self.past, self.factor, self.limits, tapered=self.tapered
            )
            self.t_s += self.every_s
        return self


def charging() -> Socket:
    """Return a socket that draws its 100 W."""
    return Socket().draw(100.0, 10)


@pytest.mark.parametrize(
    ("power_w", "current_a", "nothing"),
    [
        (0.0, 0.0, True),
        (0.6, 0.02, True),
        (0.61, 0.02, False),
        (0.9, 0.011, False),
        (3.0, 0.004, True),
        (3.0, 0.0041, False),
    ],
)
def test_nothing_is_at_the_floor_of_watts_or_of_amperes(power_w: float, current_a: float, nothing: bool) -> None:  # noqa: FBT001
    """0.9 W is a charger in standby; watts without current are a neighbour's."""
    socket = charging().draw(power_w, 900, current_a=current_a)
    assert (socket.verdict is not None) is nothing


def test_no_charger_after_ten_minutes() -> None:
    """From the start, nothing for 600 s."""
    assert Socket().draw(0.0, 600).verdict is None
    assert Socket().draw(0.0, 601).verdict == Verdict("no_charger", "nothing drawn for 10.0 min since the start")


def test_one_stray_reading_is_no_charger() -> None:
    """A single load reading neither counts as a charger nor starts the time again."""
    socket = Socket().draw(50.0, 1).draw(0.0, 300).draw(50.0, 1).draw(0.0, 320)
    assert socket.verdict is not None
    assert socket.verdict.reason == "no_charger"
    seen = Socket().draw(50.0, 2).draw(0.0, 700)
    assert seen.verdict is None


def test_unplugged_after_fourteen_minutes() -> None:
    """After charging, nothing for 840 s; the detail says what it drew before."""
    assert charging().draw(0.0, 840).verdict is None
    assert charging().draw(0.0, 841).verdict == Verdict("unplugged", "nothing drawn for 14.0 min, 100 W before")


def test_single_readings_are_counted_to_the_time_around_them() -> None:
    """One of nothing, one stray, then nothing: all of it is one time with nothing."""
    assert charging().draw(0.0, 1).draw(50.0, 1).draw(0.0, 838).verdict is None
    assert charging().draw(0.0, 1).draw(50.0, 1).draw(0.0, 839).verdict is not None


def test_a_state_begins_empty() -> None:
    """Nothing seen, nothing under examination."""
    assert Plug() == Plug(0, 0, 0.0, False, 0.0, 0.0, None, (), 0.0, 0, None)  # noqa: FBT003 - every field in order
    assert Added() == Added(0.0, 0, 0, 0.0, 0, False, False)  # noqa: FBT003 - every field in order


def test_nothing_after_a_taper_is_full() -> None:
    """Standby that the meter cannot see, after the power had fallen smoothly."""
    socket = charging()
    socket.tapered = True
    socket.draw(0.0, 900)
    assert socket.verdict is not None
    assert socket.verdict.reason == "full"


def test_a_stray_reading_does_not_start_the_time_again_but_two_do() -> None:
    """One wild value in an empty socket is the meter's; two in a row are a load."""
    socket = charging().draw(0.0, 600).draw(50.0, 1).draw(0.0, 260)
    assert socket.verdict is not None
    assert charging().draw(0.0, 600).draw(50.0, 2).draw(0.0, 840).verdict is None
    assert charging().draw(0.0, 600).draw(50.0, 2).draw(0.0, 841).verdict is not None


def swap(
    power_w: float, *, nothing_s: int = 35, factor: float = 0.6, wait_s: int = 125, before: Past = CHARGED
) -> Verdict | None:
    """Return the verdict on what comes back after nothing."""
    socket = Socket(past=before).draw(before.means_w[-1], 10).draw(0.0, nothing_s)
    return socket.draw(power_w, wait_s, factor=factor).verdict


@pytest.mark.parametrize(
    ("power_w", "factor", "other"),
    [
        (100.0, 0.6, False),
        (111.9, 0.6, False),
        (112.1, 0.6, True),
        (245.0, 0.6, True),
        (85.1, 0.6, False),
        (84.9, 0.6, True),
        (12.1, 0.6, True),
        (11.9, 0.6, False),
        (100.0, 0.659, False),
        (100.0, 0.661, True),
        (100.0, 0.539, True),
        (88.1, 0.7, True),
        (87.9, 0.7, False),
    ],
)
def test_another_charger_in_constant_current(power_w: float, factor: float, other: bool) -> None:  # noqa: FBT001
    """12 % more, 15 % less (but not low), or within 12 % and a power factor 0.06 off."""
    verdict = swap(power_w, factor=factor)
    assert (verdict is not None) is other
    if verdict is not None:
        assert verdict.reason == "swapped"


EXACT = replace(LIMITS, swap_more_share=0.25, swap_less_share=0.25, swap_factor=0.125, low_share=0.125)


@pytest.mark.parametrize(
    ("power_w", "factor", "other"),
    [
        (125.0, 0.5, False),
        (75.0, 0.5, False),
        (12.5, 0.5, False),
        (100.0, 0.625, False),
        (125.0, 0.75, True),
        (75.0, 0.75, True),
    ],
)
def test_at_its_limit_it_is_the_same_charger(power_w: float, factor: float, other: bool) -> None:  # noqa: FBT001
    """Every measure of a swap must be passed, not reached; power within the share is similar."""
    socket = Socket(limits=EXACT, factor=0.5).draw(100.0, 10).draw(0.0, 35).draw(power_w, 125, factor=factor)
    assert (socket.verdict is not None) is other


def test_constant_current_begins_at_85_percent_of_plateau() -> None:
    """At 85 W of 100 the level before is the measure, below it the plateau is."""
    for level_w, other in ((85.0, True), (84.9, False)):
        before = Past(means_w=(level_w,) * 5, plateau_w=100.0, count=20)
        assert (swap(96.0, before=before) is not None) is other


def test_what_went_out_of_low_power_is_not_examined_from_the_threshold_down() -> None:
    """12.5 W of 100 is the threshold here, and out of exactly that something may be exchanged."""
    for level_w, other in ((12.5, True), (12.4, False)):
        before = Past(means_w=(level_w,) * 5, plateau_w=100.0, count=20)
        socket = Socket(past=before, limits=EXACT).draw(level_w, 10).draw(0.0, 35).draw(300.0, 125)
        assert (socket.verdict is not None) is other


def test_two_readings_of_nothing_are_enough() -> None:
    """Where a meter is read every five seconds; a single one may be the meter's."""
    assert Socket(every_s=5.0).draw(100.0, 5).draw(0.0, 2).draw(245.0, 30).verdict is not None
    assert Socket(every_s=5.0).draw(100.0, 5).draw(0.0, 1).draw(245.0, 30).verdict is None


def test_the_first_forty_seconds_do_not_count() -> None:
    """The reading at exactly 40 s does."""
    for early, other in ((5, False), (6, True)):
        socket = Socket(every_s=10.0).draw(100.0, 5).draw(0.0, 2).draw(100.0, 1)
        socket.draw(900.0, early).draw(100.0, 9)
        assert (socket.verdict is not None) is other, early


def test_an_examination_is_bounded_in_memory() -> None:
    """Ten readings a second for eighty seconds leave 120."""
    socket = Socket(every_s=0.1).draw(100.0, 20).draw(0.0, 100).draw(100.0, 1190)
    assert 118 <= len(socket.plug.watts) <= 121
    assert socket.plug.factor_count > 700


def test_after_an_examination_the_charger_was_seen() -> None:
    """What is pulled then is unplugged, not missing since the start."""
    socket = charging().draw(0.0, 35).draw(100.0, 130)
    assert socket.plug.back_s is None
    socket.draw(0.0, 841)
    assert socket.verdict is not None
    assert socket.verdict.reason == "unplugged"


def test_before_the_first_block_there_is_no_level() -> None:
    """Something that comes and goes in the first minute is not examined against anything."""
    socket = Socket(past=Past()).draw(100.0, 10).draw(0.0, 20)
    assert (socket.plug.level_w, socket.verdict) == (0.0, None)
    assert socket.draw(245.0, 130).verdict is None


def test_the_detail_of_a_swap() -> None:
    """Power and power factor before and after."""
    assert swap(245.0, factor=0.55) == Verdict("swapped", "100 W at power factor 0.60 before, 245 W at 0.55 after")


@pytest.mark.parametrize(("nothing_s", "examined"), [(4, False), (5, True), (240, True), (241, False)])
def test_a_swap_takes_five_to_240_seconds(nothing_s: int, examined: bool) -> None:  # noqa: FBT001
    """Shorter is a contact, longer is a pause or somebody else's business."""
    assert (swap(245.0, nothing_s=nothing_s) is not None) is examined


def test_a_swap_is_judged_two_minutes_after_the_return() -> None:
    """The soft start is over by then; the first 40 s do not count."""
    assert swap(245.0, wait_s=121) is None
    assert swap(245.0, wait_s=122) is not None
    socket = charging().draw(0.0, 35).draw(300.0, 41).draw(100.0, 100)
    assert socket.verdict is None
    assert charging().draw(0.0, 35).draw(300.0, 90).draw(100.0, 35).verdict is not None


def test_in_the_tail_only_more_than_the_plateau_is_another_charger() -> None:
    """A pack that rested a moment takes more than before."""
    tail = Past(means_w=(100.0,) * 10 + (60.0,) * 10, plateau_w=100.0, count=20)
    assert swap(90.0, before=tail) is None
    assert swap(30.0, before=tail) is None
    assert swap(112.1, before=tail) is not None
    assert swap(60.0, before=tail, factor=0.7) is not None


def test_before_a_plateau_and_out_of_low_power_nothing_is_examined() -> None:
    """There is no measure yet, or what went was no charge."""
    assert swap(245.0, before=Past(means_w=(100.0,) * 3, plateau_w=None, count=3)) is None
    assert swap(245.0, before=Past(means_w=(100.0,) * 9 + (11.9,), plateau_w=100.0, count=10)) is None
    assert swap(245.0, before=Past(means_w=(100.0,) * 9 + (12.1,), plateau_w=100.0, count=10)) is not None


def test_pulses_on_a_meter_that_cannot_see_standby_are_no_swap() -> None:
    """What comes and goes all the time is not examined; nine minutes of peace make it worth a look again."""
    pulses = charging()
    for _ in range(10):
        pulses.draw(0.0, 8).draw(100.0, 12)
    assert pulses.draw(30.0, 130).verdict is None
    pulses.past = Past(means_w=(100.0,) * 20, plateau_w=100.0, count=28)
    assert pulses.draw(100.0, 10).draw(0.0, 8).draw(245.0, 130).verdict is None
    calm = charging().draw(0.0, 8).draw(100.0, 130)
    calm.past = Past(means_w=(100.0,) * 20, plateau_w=100.0, count=29)
    assert calm.draw(0.0, 8).draw(245.0, 130).verdict is not None


def test_a_plug_that_is_fumbled_is_one_change() -> None:
    """What it drew before the first gap stays the measure."""
    socket = charging().draw(0.0, 20).draw(30.0, 1).draw(0.0, 10)
    assert socket.draw(245.0, 130).verdict is not None


def test_a_few_wild_readings_make_no_swap() -> None:
    """The examined power is a trimmed mean, the power factor never counts above 1."""
    socket = charging().draw(0.0, 35).draw(100.0, 60).draw(3900.0, 4, current_a=0.7, factor=9.0).draw(100.0, 70)
    assert socket.verdict is None
