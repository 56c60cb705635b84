"""What guard counts, and how it is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from pilenode.guard import counters, durable
from pilenode.guard.board import CABINET
from pilenode.guard.counters import Counts, RelayCount, Tally
from safety.hazards import PortInputs
from safety.reading import MeterReading, Missing, MissingReason

if TYPE_CHECKING:
    from pathlib import Path

HELD = Counts(
    relays={1: RelayCount(closings=5, openings=5, openings_loaded=2)}, trips={"over_current": 1, "smoke": 2}, starts=9
)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    """Counts survive a restart, the contactor's and codes that this version does not know included."""
    relays = HELD.relays | {CABINET: RelayCount(closings=7, closings_loaded=1)}
    held = msgspec.structs.replace(HELD, trips={"a_code_of_tomorrow": 3}, relays=relays)
    counters.save(tmp_path, held)
    assert counters.load(tmp_path) == (held, "")


def test_a_file_of_an_older_version_is_read(tmp_path: Path) -> None:
    """It knew no closings under load."""
    (tmp_path / "counters.json").write_bytes(
        b'{"relays":{"1":{"closings":5,"openings":5,"openings_loaded":2}},"starts":9}'
    )
    counts, complaint = counters.load(tmp_path)
    assert (counts.relays, complaint) == (HELD.relays, "")


def test_a_new_cabinet_starts_at_zero(tmp_path: Path) -> None:
    """No file is no complaint."""
    assert counters.load(tmp_path) == (Counts(), "")


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{", b"\xff\xfe", b'{"other": 1}', b'{"starts": -1}', b'{"starts": 1.5}', b'{"trips": {"x": -1}}'),
        *(b'{"relays": {"1": {"openings": -1}}}', b'{"relays": {"x": {}}}'),
    ],
)
def test_a_damaged_file_is_set_aside_and_said(tmp_path: Path, content: bytes) -> None:
    """Counting starts at zero, what was there is kept for a person, and the complaint names both."""
    path = tmp_path / "counters.json"
    path.write_bytes(content)
    counts, complaint = counters.load(tmp_path)
    assert counts == Counts()
    assert "counting starts at zero" in complaint
    assert "counters.json.damaged" in complaint
    assert (tmp_path / "counters.json.damaged").read_bytes() == content
    assert counters.load(tmp_path) == (Counts(), "")


def test_a_file_that_cannot_be_set_aside_stops_nobody(tmp_path: Path) -> None:
    """Also then guard starts, at zero, and says so."""
    (tmp_path / "counters.json").mkdir()
    (tmp_path / "counters.json.damaged").write_text("")
    counts, complaint = counters.load(tmp_path)
    assert counts == Counts()
    assert "stays where it is" in complaint


def test_each_operation_is_counted_for_its_port() -> None:
    """Closings, openings, those under load, trips by code, and the start itself."""
    tally = Tally(HELD, now=100.0)
    tally.closed(1, 100.0)
    tally.opened(1, under_load=True)
    tally.closed(2, 100.0)
    tally.opened(2, under_load=False)
    tally.tripped("smoke")
    tally.tripped("leak")
    assert tally.counts == Counts(
        relays={
            1: RelayCount(closings=6, openings=6, openings_loaded=3, closings_loaded=1),
            2: RelayCount(closings=1, openings=1, openings_loaded=0),
        },
        trips={"over_current": 1, "smoke": 3, "leak": 1},
        starts=10,
    )
    assert HELD.trips == {"over_current": 1, "smoke": 2}


def test_counts_taken_once_do_not_change_any_more() -> None:
    """Another thread writes them while the tick goes on counting."""
    tally = Tally(Counts(), now=0.0)
    taken = tally.counts
    tally.closed(1, 100.0)
    tally.tripped("leak")
    assert taken == Counts(starts=1)


def test_at_most_one_write_a_minute() -> None:
    """The start is written at once; then a change waits until the minute is over; no change, no write."""
    tally = Tally(HELD, now=100.0)
    first = tally.due(100.0)
    assert first == tally.counts
    tally.written(tally.counts)
    assert tally.due(161.0) is None
    tally.closed(1, 100.0)
    assert tally.due(220.9) is None
    assert tally.due(221.0) == tally.counts


def test_a_write_that_failed_is_tried_again_a_minute_later() -> None:
    """The disk may come back; it is not asked in every tick."""
    tally = Tally(HELD, now=0.0)
    assert tally.due(0.0) is not None
    assert tally.due(59.9) is None
    assert tally.due(60.0) == tally.counts


def test_the_last_write_has_what_is_not_on_disk() -> None:
    """At the end the minute does not matter."""
    tally = Tally(HELD, now=0.0)
    tally.written(tally.counts)
    assert tally.unwritten is None
    tally.closed(3, 100.0)
    assert tally.unwritten == tally.counts


@pytest.mark.parametrize(
    ("count", "life"),
    [
        (RelayCount(), 0.0),
        (RelayCount(closings=50_000, openings=50_000, openings_loaded=25_000), 0.5),
        (RelayCount(closings=50_000, openings=50_000, closings_loaded=40_000), 0.8),
        (RelayCount(closings=100_000, openings=100_000, openings_loaded=50_000), 1.0),
        (RelayCount(closings=5_000_000, openings=5_000_000), 0.5),
    ],
)
def test_contact_life(count: RelayCount, life: float) -> None:
    """Operations under load against the rated life, all of them against the mechanical one; the worse counts."""
    assert count.life_used(50_000) == pytest.approx(life)


def reading(taken_s: float, current_a: float) -> PortInputs:
    """Return what a meter shows."""
    return PortInputs(MeterReading(taken_s, 220.0, current_a, 0.0))


@pytest.mark.parametrize(("current_a", "loaded"), [(0.0, 0), (0.05, 0), (0.051, 1), (6.0, 1)])
def test_the_first_reading_two_seconds_after_a_closing_tells_whether_it_was_under_load(
    current_a: float, loaded: int
) -> None:
    """Not one before, whose registers may be older than the closing; and each closing is judged once."""
    tally = Tally(Counts(), 0.0)
    tally.closed(1, 100.0)
    tally.look({1: reading(101.9, 5.0)})
    assert tally.counts.relays[1] == RelayCount(closings=1)
    tally.look({1: PortInputs(Missing(MissingReason.TIMEOUT, 0.0))})
    tally.look({1: reading(102.0, current_a)})
    tally.look({1: reading(103.0, 5.0)})
    assert tally.counts.relays[1] == RelayCount(closings=1, closings_loaded=loaded)


@pytest.mark.parametrize("under_load", [True, False])
def test_a_closing_that_nobody_saw_is_as_loaded_as_its_opening(*, under_load: bool) -> None:
    """A port that opens within two seconds leaves no reading between."""
    tally = Tally(Counts(), 0.0)
    tally.closed(1, 100.0)
    tally.opened(1, under_load=under_load)
    tally.look({1: reading(200.0, 5.0)})
    assert (tally.counts.relays[1].closings_loaded, tally.counts.relays[1].openings_loaded) == (under_load, under_load)


@pytest.mark.parametrize(
    ("inputs", "opening", "loaded"),
    [
        ({1: reading(1.0, 0.0), 2: reading(1.0, 0.05)}, set(), False),
        ({1: reading(1.0, 0.0), 2: reading(1.0, 0.051)}, set(), True),
        ({1: reading(1.0, 0.0), 2: reading(1.0, 5.0)}, {2}, False),
        ({1: reading(1.0, 0.1), 2: reading(1.0, 5.0)}, {2}, True),
        ({1: PortInputs(Missing(MissingReason.TIMEOUT, 0.0))}, set(), False),
    ],
)
def test_load_at_the_contactors_opening(inputs: dict[int, PortInputs], opening: set[int], *, loaded: bool) -> None:
    """A relay that opens in the same tick is faster; one that is welded is not."""
    assert counters.contactor_loaded(inputs, opening) is loaded


@pytest.mark.parametrize(("used", "is_worn"), [(79, False), (80, True), (120, True)])
def test_a_contact_is_worth_a_word_at_four_fifths_of_its_life(used: int, *, is_worn: bool) -> None:
    """Each against its own rated life: relays and contactor differ."""
    counts = Counts(relays={1: RelayCount(openings_loaded=used), CABINET: RelayCount(openings_loaded=used)})
    assert counters.worn(counts, 100, 1000) == (frozenset({1}) if is_worn else frozenset())
    assert counters.worn(counts, 1000, 100) == (frozenset({CABINET}) if is_worn else frozenset())


def test_new_contacts_begin_at_zero() -> None:
    """And a closing of the old ones is not counted for them."""
    tally = Tally(HELD, 0.0)
    tally.closed(1, 100.0)
    tally.renewed(1)
    tally.look({1: reading(200.0, 5.0)})
    assert tally.counts.relays[1] == RelayCount()


@pytest.mark.parametrize(("current_a", "under_load"), [(0.0, False), (0.05, False), (0.051, True), (6.0, True)])
def test_load_at_opening(current_a: float, *, under_load: bool) -> None:
    """Above 50 mA it is an opening under load."""
    reading = MeterReading(taken_s=1.0, voltage_v=220.0, current_a=current_a, power_w=0.0)
    assert counters.loaded(PortInputs(reading)) is under_load


def test_an_opening_of_which_nothing_is_known_counts_as_loaded() -> None:
    """The figure may be too high, never too low."""
    assert counters.loaded(PortInputs(Missing(MissingReason.NEVER_READ, 0.0)))


def test_a_file_is_the_old_or_the_new_one(tmp_path: Path) -> None:
    """A half-written successor hurts nothing, and is overwritten."""
    path = tmp_path / "file"
    durable.replace(path, b"old")
    (tmp_path / "file.new").write_bytes(b"ha")
    assert path.read_bytes() == b"old"
    durable.replace(path, b"new")
    assert path.read_bytes() == b"new"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file"]
