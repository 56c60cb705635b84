"""Promises of the belief in a wall time, and of the dates that follow from it: never wrong by more than is stated."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil_rig.clock_world import ClockWorld
from pilenode.station import anchors, timeline
from pilenode.station.anchors import NTP_MS, RTC_MS, SERVER_MS, Belief, Past, Told
from pilenode.station.wallclock import CEILING_MS, FLOOR_MS, ClockQuality, Reading, Stamp
from pilenode.upstream.facts import Fact, FactKind, canonical
from pilenode.upstream.facts_time import Anchor

if TYPE_CHECKING:
    from collections.abc import Callable

DAY = 86_400_000
NOW = FLOOR_MS + 200 * DAY
UPTIME = 3_600_000
OFFSET = NOW - UPTIME


def reading(wall_ms: int = NOW, *, synced: int | None = None, rtc: bool = False, boottime_ms: int = UPTIME) -> Reading:
    """Return a reading an hour after a boot."""
    return Reading("b", boottime_ms, wall_ms, synced, rtc)


def belief(quality: ClockQuality, offset_ms: int = OFFSET, uncertainty_ms: int = 1000) -> Belief:
    """Return a belief that was confirmed a minute ago."""
    since_ms = UPTIME - 60_000
    return Belief("b", offset_ms, quality, uncertainty_ms, since_ms, UPTIME - 1000, since_ms + offset_ms)


# -- looking at the system's clock -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("past", "believed"),
    [
        (None, False),  # the journal is not read: there is nothing to compare with yet
        (Past(None), True),
        (Past(NOW), True),
        (Past(NOW + 2 * RTC_MS), True),
        (Past(NOW + 2 * RTC_MS + 1), False),  # earlier than it certainly was already
        (Past(NOW - 365 * DAY), True),
        (Past(NOW - 365 * DAY - 1), False),  # more than a year has passed, says a clock nobody vouches for
    ],
)
def test_a_hardware_clock_is_compared_with_the_last_trusted_time(past: Past | None, believed: bool) -> None:  # noqa: FBT001
    """Before it or far after it is a clock that has lost its time, although the year may look good."""
    found = anchors.look(reading(rtc=True), None, past)
    assert (found is not None and found.quality is ClockQuality.RTC) is believed


def test_a_hardware_clock_gives_way_and_never_takes() -> None:
    """What is believed of a server or ntp is kept although the system's own clock says otherwise."""
    for better in (ClockQuality.SERVER, ClockQuality.NTP):
        held = belief(better)
        assert anchors.look(reading(NOW + 9999, rtc=True), held, Past(None)) == held
    synced = anchors.look(reading(synced=NOW - 5), belief(ClockQuality.RTC, 0), Past(None))
    assert synced is not None
    assert (synced.quality, synced.offset_ms) == (ClockQuality.NTP, OFFSET)


@pytest.mark.parametrize("years", [-10, 10])
@pytest.mark.parametrize("held", [ClockQuality.RTC, ClockQuality.SERVER, ClockQuality.NTP])
def test_a_calendar_set_by_hand_changes_nothing(years: int, held: ClockQuality) -> None:
    """Ten years either way in the middle of a boot: the belief stands, because no time service is behind it."""
    known = belief(held)
    assert anchors.look(reading(NOW + years * 365 * DAY, synced=known.synced_ms), known, Past(NOW)) == known


@pytest.mark.parametrize(
    ("by_ms", "synced_for_ms", "follows"),
    [
        (1000, None, True),  # slewed, or cut
        (-1000, None, True),
        (1001, None, False),
        (-1001, None, False),
        (7_200_000, 0, True),  # set by the service just now
        (-7_200_000, 0, True),
        (7_200_000, 1500, True),  # the service came half a second before the last look
        (7_200_000, 2500, False),  # the service came before the clock still agreed: it did not do this
    ],
)
def test_a_step_is_followed_where_a_time_service_made_it(by_ms: int, synced_for_ms: int | None, follows: bool) -> None:  # noqa: FBT001
    """The mark of the service has to be new, and later than the moment at which all was still as before."""
    known = belief(ClockQuality.NTP)
    synced = known.synced_ms if synced_for_ms is None else NOW + by_ms - synced_for_ms
    found = anchors.look(reading(NOW + by_ms, synced=synced), known, Past(None))
    assert found is not None
    assert (found.offset_ms == OFFSET + by_ms) is follows


def test_an_old_mark_explains_no_step() -> None:
    """A clock set back into the moment after its last synchronisation was still not set by the service."""
    known = replace(belief(ClockQuality.NTP), since_ms=UPTIME - 2000, synced_ms=NOW - 2000)
    assert anchors.look(reading(NOW - 1500, synced=NOW - 2000), known, Past(None)) == known
    assert anchors.look(reading(NOW - 1500, synced=NOW - 1999), known, Past(None)) != known


def test_a_belief_in_ntp_is_as_old_as_the_last_synchronisation() -> None:
    """Uncertainty counts from when the service last set the clock, not from when it was looked at."""
    found = anchors.look(reading(synced=NOW - 1_000_000), None, None)
    assert found is not None
    assert found.uncertainty_at(UPTIME) == NTP_MS + 100
    assert found.uncertainty_at(UPTIME + 10_001) == NTP_MS + 102


# -- what the server says --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wall_ms", "asked_ms", "refusal"),
    [
        (FLOOR_MS - 1, UPTIME, "absurd_time"),
        (FLOOR_MS, UPTIME, ""),
        (CEILING_MS - 1, UPTIME, ""),
        (CEILING_MS, UPTIME, "absurd_time"),
        (NOW, UPTIME - 10_000, ""),
        (NOW, UPTIME - 10_001, "late_time"),
        (NOW, UPTIME + 1, "late_time"),
        (NOW, None, ""),
    ],
)
def test_an_absurd_or_late_time_is_refused(wall_ms: int, asked_ms: int | None, refusal: str) -> None:
    """Out of the years a cabinet lives in, or on its way for longer than is worth anything."""
    verdict = anchors.take("b", Told(wall_ms, UPTIME, asked_ms), None)
    assert (verdict if isinstance(verdict, str) else "") == refusal


@pytest.mark.parametrize(("apart_ms", "refused"), [(3_600_000, False), (3_600_001, True), (-3_600_001, True)])
def test_a_server_that_contradicts_ntp_is_refused(apart_ms: int, refused: bool) -> None:  # noqa: FBT001
    """By more than an hour. By less it is believable, and ntp stands all the same."""
    known = belief(ClockQuality.NTP)
    verdict = anchors.take("b", Told(NOW + apart_ms, UPTIME, UPTIME), known)
    assert verdict == ("contradicts_ntp" if refused else known)


def test_the_way_of_an_answer_is_its_uncertainty() -> None:
    """The time holds for the middle of the way, and may be wrong by half of it."""
    found = anchors.take("b", Told(NOW, UPTIME, UPTIME - 801), None)
    assert isinstance(found, Belief)
    assert (found.offset_ms, found.uncertainty_ms) == (NOW + 401 - UPTIME, 401 + 1 + SERVER_MS)
    unasked = anchors.take("b", Told(NOW, UPTIME), None)
    assert isinstance(unasked, Belief)
    assert unasked.uncertainty_ms == 15_000 + 1 + SERVER_MS


def test_of_two_words_of_the_server_the_better_is_kept() -> None:
    """A vaguer answer that agrees changes nothing; one that cannot both be true is the newer truth."""
    known = belief(ClockQuality.SERVER, uncertainty_ms=1100)
    assert anchors.take("b", Told(NOW, UPTIME), known) == known
    sharper = anchors.take("b", Told(NOW, UPTIME, UPTIME - 10), known)
    assert isinstance(sharper, Belief)
    assert sharper.uncertainty_ms == 1006
    contradicting = anchors.take("b", Told(NOW + 60_000, UPTIME), known)
    assert isinstance(contradicting, Belief)
    assert contradicting.offset_ms == OFFSET + 60_000 + 15_000


# -- anchors ---------------------------------------------------------------------------------------------------

LAST = Anchor(boottime_ms=UPTIME, wall_ms=NOW, quality="ntp", step_ms=0, uncertainty_ms=1000)


@pytest.mark.parametrize(
    ("later_ms", "by_ms", "quality", "uncertainty_ms", "written"),
    [
        (1000, 0, ClockQuality.NTP, 1000, False),
        (1000, 1000, ClockQuality.NTP, 1000, False),
        (1000, 1001, ClockQuality.NTP, 1000, True),
        (1000, -1001, ClockQuality.NTP, 1000, True),
        (1000, 0, ClockQuality.SERVER, 1000, True),
        (50_000_000, 0, ClockQuality.NTP, 1000, False),  # 5 s vaguer after half a day
        (50_010_000, 0, ClockQuality.NTP, 1000, True),
        (50_010_000, 0, ClockQuality.NTP, 6000, False),  # and nothing better is known
    ],
)
def test_an_anchor_is_written_when_the_last_does_not_say_it(
    later_ms: int,
    by_ms: int,
    quality: ClockQuality,
    uncertainty_ms: int,
    written: bool,  # noqa: FBT001
) -> None:
    """At a step of more than a second, another quality, or when the last has become vague."""
    anchor = anchors.due(LAST, Stamp("b", UPTIME + later_ms, NOW + later_ms + by_ms, quality, uncertainty_ms))
    assert (anchor is not None) is written
    assert anchor is None or anchor.step_ms == by_ms


def test_the_first_trusted_moment_is_anchored_and_an_untrusted_never() -> None:
    """A boot has its anchor as soon as anything is believed."""
    assert anchors.due(None, Stamp("b", UPTIME, NOW, ClockQuality.NONE)) is None
    first = anchors.due(None, Stamp("b", UPTIME, NOW, ClockQuality.RTC, 300_000))
    assert first == Anchor(boottime_ms=UPTIME, wall_ms=NOW, quality="rtc", step_ms=0, uncertainty_ms=300_000)


def fact(seq: int, boot: str, boottime_ms: int, stamped: Stamp | None = None, body: Anchor | None = None) -> Fact:
    """Return a fact as a journal holds it."""
    return Fact(
        seq=seq,
        boot=boot,
        boottime_ms=boottime_ms,
        wall_ms=0 if stamped is None else stamped.wall_ms,
        clock=ClockQuality.NONE if stamped is None else stamped.clock,
        kind=FactKind.BOOT if body is None else FactKind.ANCHOR,
        body=msgspec.Raw(b"{}" if body is None else canonical(body)),
        hash="0" * 64,
    )


def test_a_belief_outlives_the_process_and_not_the_boot() -> None:
    """What was believed in this boot is believed again; of an earlier boot only the time that was not before."""
    newest = fact(9, "b", UPTIME, Stamp("b", UPTIME, NOW, ClockQuality.NTP, 1000))
    past, found = anchors.recall("b", newest, LAST)
    assert past == Past(NOW)
    assert found == Belief("b", OFFSET, ClockQuality.NTP, 1000, UPTIME, UPTIME)
    assert anchors.recall("c", newest, None) == (Past(NOW), None)
    assert anchors.recall("b", None, None) == (Past(None), None)
    assert anchors.recall("unknown", replace_boot(newest), LAST)[1] is None


def test_a_quality_that_was_not_anchored_yet_is_not_recalled() -> None:
    """A process that died between a better time and its anchor goes on from the anchor."""
    newest = fact(9, "b", UPTIME, Stamp("b", UPTIME, NOW + 9000, ClockQuality.NTP, 1000))
    served = msgspec.structs.replace(LAST, quality="server", boottime_ms=1000, wall_ms=OFFSET + 1000)
    assert anchors.recall("b", newest, served)[1] == Belief("b", OFFSET, ClockQuality.SERVER, 1000, 1000, 1000)


def replace_boot(of: Fact) -> Fact:
    """Return the fact of a boot that has no name."""
    return msgspec.structs.replace(of, boot="unknown")


# -- dates afterwards ------------------------------------------------------------------------------------------


def test_a_fact_is_dated_by_an_anchor_that_came_later() -> None:
    """Before the first trusted moment of a boot nothing was known; afterwards it is, to the drift of the way back."""
    facts = [fact(1, "b", 1000), fact(2, "b", UPTIME, body=LAST)]
    first, _ = timeline.dated(facts, timeline.anchors(facts))
    assert (first.wall_ms, first.uncertainty_ms, first.quality) == (OFFSET + 1000, 1000 + 360, ClockQuality.NTP)


def test_of_several_anchors_the_one_that_says_most_is_taken() -> None:
    """A sharp one an hour away beats a vague one at hand, and another of the same kind the farther."""
    vague = Anchor(boottime_ms=1000, wall_ms=OFFSET + 99_000, quality="rtc", step_ms=0, uncertainty_ms=RTC_MS)
    later = msgspec.structs.replace(LAST, boottime_ms=9 * UPTIME, wall_ms=OFFSET + 9 * UPTIME + 500)
    known = {"b": [vague, LAST, later]}
    assert timeline.date_one("b", 1000, known).wall_ms == OFFSET + 1000
    assert timeline.date_one("b", 5 * UPTIME - 10_000, known).wall_ms == OFFSET + 5 * UPTIME - 10_000
    assert timeline.date_one("b", 5 * UPTIME + 10_000, known).wall_ms == OFFSET + 5 * UPTIME + 10_500
    assert timeline.date_one("c", 1000, known).wall_ms is None


def test_a_boot_without_an_anchor_lies_between_its_neighbours() -> None:
    """Not before the last known moment plus its own uptime, not after the beginning of the next boot."""
    after = msgspec.structs.replace(LAST, boottime_ms=5000, wall_ms=NOW + DAY)
    facts = [fact(1, "b", UPTIME, body=LAST), fact(2, "lost", 60_000), fact(3, "c", 5000, body=after)]
    _, lost, _ = timeline.dated(facts, timeline.anchors(facts))
    assert (lost.wall_ms, lost.quality) == (None, ClockQuality.NONE)
    assert lost.not_before_ms == NOW - 1000 + 60_000 - 6
    assert lost.not_after_ms == NOW + DAY + 1000 - 5000 + 1


@pytest.mark.parametrize("days", [-30, 30])
def test_a_hardware_clock_that_contradicts_the_order_is_not_used(days: int) -> None:
    """It put a boot before the one before, or after the one after: its facts are undated, the others stand."""
    wild = Anchor(boottime_ms=1, wall_ms=NOW + days * DAY, quality="rtc", step_ms=0, uncertainty_ms=RTC_MS)
    after = msgspec.structs.replace(LAST, wall_ms=NOW + DAY)
    facts = [fact(1, "b", UPTIME, body=LAST), fact(2, "w", 1, body=wild), fact(3, "c", UPTIME, body=after)]
    first, middle, last = timeline.dated(facts, timeline.anchors(facts))
    assert (first.wall_ms, middle.wall_ms, last.wall_ms) == (NOW, None, NOW + DAY)


def test_of_two_sources_of_one_kind_that_contradict_the_later_is_believed() -> None:
    """A server that was years ahead and then corrected leaves the early boot undated, not all that follow."""
    wild = Anchor(boottime_ms=1, wall_ms=NOW + 3000 * DAY, quality="server", step_ms=0, uncertainty_ms=1000)
    facts = [fact(1, "w", 1, body=wild), fact(2, "b", UPTIME, body=LAST)]
    first, second = timeline.dated(facts, timeline.anchors(facts))
    assert (first.wall_ms, second.wall_ms) == (None, NOW)
    assert (first.not_before_ms, first.not_after_ms) == (None, NOW + 1000 - UPTIME + 360)


# -- any life --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Kept:
    """A fact and the true time at which it was written."""

    fact: Fact
    truth_ms: int


class Life:
    """A station made of the pure functions alone, in a world whose sources are as good as they are said to be."""

    def __init__(self, drift_ppm: int) -> None:
        self.world = ClockWorld(NOW, drift_ppm)
        self.belief: Belief | None = None
        self.past: Past | None = Past(None)
        self.last: Anchor | None = None
        self.kept: list[Kept] = []

    def look(self) -> Stamp:
        """Look at the clock and write what is due and one fact."""
        for _ in range(2):
            at = self._stamp()
            due = anchors.due(self.last, at)
            if due is not None:
                self.last = due
            number = len(self.kept) + 1
            self.kept.append(Kept(fact(number, at.boot, at.boottime_ms, at, due), self.world.truth_ms))
        return at

    def _stamp(self) -> Stamp:
        now = self.world.reading()
        self.belief = anchors.look(now, self.belief, self.past)
        return anchors.stamp(now, self.belief)

    def restart(self) -> None:
        """Let the process start again."""
        trusted = [kept.fact for kept in self.kept if kept.fact.clock != ClockQuality.NONE]
        mine = [kept.fact for kept in self.kept if kept.fact.kind == FactKind.ANCHOR]
        boot = self.world.boot_id
        last = msgspec.json.decode(mine[-1].body, type=Anchor) if mine and mine[-1].boot == boot else None
        self.last = last
        self.past, self.belief = anchors.recall(boot, trusted[-1] if trusted else None, last)

    def reboot(self, off_ms: int, rtc_error_ms: int | None) -> None:
        """Lose power. A hardware clock is as good as it is said to be, or so wrong that it can be told."""
        if rtc_error_ms is not None and abs(rtc_error_ms) > RTC_MS and self.past == Past(None):
            rtc_error_ms = -20 * 365 * DAY
        self.world.reboot(off_ms, rtc_error_ms)
        self.restart()

    def ask(self, there_ms: int, back_ms: int, error_ms: int, *, asked: bool) -> None:
        """Ask the server and hear its answer."""
        asked_ms = self.world.boottime_ms
        self.world.wait(there_ms)
        says_ms = self.world.truth_ms + error_ms
        self.world.wait(back_ms)
        self._stamp()
        told = Told(says_ms, self.world.boottime_ms, asked_ms if asked else None)
        verdict = anchors.take(self.world.boot_id, told, self.belief)
        self.belief = self.belief if isinstance(verdict, str) else verdict


ms = st.integers
events: st.SearchStrategy[Callable[[Life], object]] = st.one_of(
    ms(1, 30 * DAY).map(lambda span: lambda life: life.world.wait(span)),
    ms(1, 120_000).map(lambda span: lambda life: life.world.wait(span)),
    st.sampled_from([1001, -1001, 60_000, -3_600_001, 3650 * DAY, -3650 * DAY]).map(
        lambda by: lambda life: life.world.step(by)
    ),
    ms(-900, 900).map(lambda error: lambda life: life.world.sync(error)),
    st.just(lambda life: life.restart()),
    st.tuples(ms(1, 60 * DAY), st.one_of(st.none(), ms(-RTC_MS + 99, RTC_MS - 99), st.just(3650 * DAY))).map(
        lambda off: lambda life: life.reboot(*off)
    ),
    st.tuples(ms(0, 9000), ms(0, 9000), ms(-900, 900), st.booleans()).map(
        lambda way: lambda life: life.ask(way[0], way[1], way[2], asked=way[3])
    ),
)


@settings(max_examples=150)
@given(st.lists(events, max_size=25), ms(-90, 90))
def test_whatever_happens_no_date_is_worse_than_it_says(story: list[Callable[[Life], object]], drift_ppm: int) -> None:
    """Steps, reboots, restarts, sources in any order: what is trusted is right, then and afterwards, and in order."""
    life = Life(drift_ppm)
    life.look()
    for event in story:
        event(life)
        life.world.wait(1500)
        at = life.look()
        wrong_ms = abs(at.wall_ms - life.world.truth_ms)
        assert at.uncertainty_ms is None or wrong_ms <= at.uncertainty_ms
    facts = [kept.fact for kept in life.kept]
    dates = timeline.dated(facts, timeline.anchors(facts))
    newest = 0
    for kept, date in zip(life.kept, dates, strict=True):
        assert date.not_before_ms is None or date.not_before_ms <= kept.truth_ms
        assert date.not_after_ms is None or kept.truth_ms <= date.not_after_ms
        has_anchor = any(other.kind == FactKind.ANCHOR and other.boot == kept.fact.boot for other in facts)
        assert (date.wall_ms is not None) is has_anchor
        if date.wall_ms is not None and date.uncertainty_ms is not None:
            assert abs(date.wall_ms - kept.truth_ms) <= date.uncertainty_ms
            assert date.wall_ms >= newest
            newest = date.wall_ms


def test_a_world_of_sources_that_lie_is_noticed_by_this_test() -> None:
    """The property is not empty: a server twice as wrong as it is said to be breaks it."""
    life = Life(0)
    life.ask(0, 0, 2 * SERVER_MS, asked=True)
    at = life.look()
    assert at.uncertainty_ms is not None
    assert abs(at.wall_ms - life.world.truth_ms) > at.uncertainty_ms
    assert replace(at, wall_ms=0).wall_ms == 0
