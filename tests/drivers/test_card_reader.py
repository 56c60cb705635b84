"""The thread of a reader: one presentation per card, a bounded queue, a state with a reason, and an end on time."""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING

import pytest

from drivers.card_contracts import FrameFault, ReaderState, Trouble
from drivers.card_reader import REPEAT_S, ROOM, CardSeen, ReaderThread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

A = bytes.fromhex("0100072A5F")
B = bytes.fromhex("0100072A60")


class Script:
    """A link that gives what the test puts in: ids, faults, trouble, or an exception to raise."""

    def __init__(self) -> None:
        self.opens: list[Trouble | Exception | None] = []
        self.given: queue.Queue[Sequence[bytes | FrameFault] | Trouble | Exception] = queue.Queue()
        self.opened = 0
        self.closed = 0

    def open(self) -> Trouble | None:
        """Do what the script says, else succeed."""
        self.opened += 1
        outcome = self.opens.pop(0) if self.opens else None
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def receive(self, wait_s: float) -> Sequence[bytes | FrameFault] | Trouble:
        """Return or raise what was given."""
        try:
            outcome = self.given.get(timeout=min(wait_s, 0.02))
        except queue.Empty:
            return ()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def close(self) -> None:
        """Count."""
        self.closed += 1


class Clock:
    """A clock that stands until it is moved."""

    now_s = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now_s


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again soon."""
    monkeypatch.setattr("drivers.card_reader.REOPEN_S", 0.05)


@pytest.fixture
def link() -> Script:
    """Return a scripted link."""
    return Script()


@pytest.fixture
def clock() -> Clock:
    """Return a clock that stands."""
    return Clock()


@pytest.fixture
def reader(link: Script, clock: Clock) -> Iterator[ReaderThread]:
    """Return a reader that runs, and end it."""
    thread = ReaderThread("front", link, clock=clock)
    thread.start()
    yield thread
    assert thread.close()


def until(true: Callable[[], bool]) -> None:
    """Wait until something is so."""
    end_s = time.monotonic() + 5.0
    while not true():
        assert time.monotonic() < end_s
        time.sleep(0.005)


def state_of(reader: ReaderThread) -> ReaderState:
    """Return the state now; a type checker takes an attribute for constant."""
    return reader.status.state


def take(link: Script, reader: ReaderThread, *outcomes: bytes | FrameFault) -> None:
    """Hand the reader what came in one go, and wait until all of it was looked at."""
    before = sum(map(reader.counters.__getitem__, ("frames", *FrameFault)))
    link.given.put(outcomes)
    until(lambda: sum(map(reader.counters.__getitem__, ("frames", *FrameFault))) == before + len(outcomes))


def test_a_card_is_its_reader_its_id_and_its_time(link: Script, reader: ReaderThread, clock: Clock) -> None:
    """Big-endian upper-case hex, and the moment at which it was seen."""
    clock.now_s = 123.5
    link.given.put([A])
    assert reader.get(2.0) == CardSeen("front", "0100072A5F", 123.5)
    assert reader.status.state is ReaderState.READY
    assert reader.get() is None


def test_reversed_readers_give_the_same_id(link: Script) -> None:
    """A reader that sends the lowest byte first names the same card."""
    reader = ReaderThread("back", link, reverse=True)
    reader.start()
    link.given.put([A[::-1]])
    seen = reader.get(2.0)
    assert reader.close()
    assert seen is not None
    assert seen.uid == "0100072A5F"


@pytest.mark.parametrize(("pause_s", "presentations"), [(REPEAT_S, 1), (REPEAT_S + 0.001, 2)])
def test_a_card_that_lies_there_is_one_presentation(
    link: Script, reader: ReaderThread, clock: Clock, pause_s: float, presentations: int
) -> None:
    """Frames up to a second apart are one; each frame counts from the last, not from the first."""
    for _ in range(5):
        take(link, reader, A)
        clock.now_s += REPEAT_S * 0.9
    clock.now_s += pause_s - REPEAT_S * 0.9
    take(link, reader, A)
    assert sum(reader.get() is not None for _ in range(9)) == presentations
    assert reader.counters["frames"] == 6
    assert reader.counters["repeated"] == 6 - presentations


def test_two_cards_that_take_turns_are_two_presentations(link: Script, reader: ReaderThread) -> None:
    """Two cards in one wallet do not flood the queue."""
    take(link, reader, A, B, A, B, A, B)
    seen = [one.uid for one in (reader.get(), reader.get(), reader.get()) if one]
    assert seen == [A.hex().upper(), B.hex().upper()]


def test_bad_frames_are_dropped_and_counted_by_what_was_wrong(link: Script, reader: ReaderThread) -> None:
    """Nothing of them reaches the queue; an id of zeros is a dead line, not a card."""
    take(link, reader, *FrameFault, bytes(4))
    assert reader.get() is None
    counted = {name: count for name, count in reader.counters.items() if count}
    assert counted == {"bad_parity": 1, "bad_checksum": 1, "bad_frame": 2, "collision": 1}


def test_the_queue_is_bounded_and_the_oldest_gives_way(link: Script, reader: ReaderThread) -> None:
    """Nobody takes anything: the newest stay, the others are counted."""
    cards = [bytes([1, number]) for number in range(ROOM + 5)]
    take(link, reader, *cards)
    seen = [one.uid for _ in range(ROOM + 5) if (one := reader.get())]
    assert seen == [card.hex().upper() for card in cards[5:]]
    assert reader.counters["dropped"] == 5


def test_memory_of_repeats_is_bounded(link: Script, reader: ReaderThread) -> None:
    """Noise that passes a weak parity fills no memory."""
    take(link, reader, *(number.to_bytes(4, "big") for number in range(1, 500)))
    assert len(reader._last_s) <= 16


def test_a_slow_consumer_does_not_hold_the_reader_up(link: Script, reader: ReaderThread) -> None:
    """A hundred cards are read while nobody takes one: the thread never waits for a place."""
    started_s = time.monotonic()
    take(link, reader, *(bytes([1, number]) for number in range(100)))
    assert time.monotonic() - started_s < 1.0
    assert reader.counters["dropped"] == 100 - ROOM


def test_it_is_tried_again_about_once_a_second(link: Script) -> None:
    """Without anybody's doing, and no faster: a missing device must not cost a processor."""
    link.opens = [Trouble(ReaderState.ABSENT, "why")]
    reader = ReaderThread("front", link)
    started_s = time.monotonic()
    reader.start()
    until(lambda: reader.status.state is ReaderState.READY)
    assert 1.0 <= time.monotonic() - started_s < 2.0
    assert link.opened == 2
    assert reader.close()


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("state", [ReaderState.ABSENT, ReaderState.BUSY, ReaderState.DENIED, ReaderState.SILENT])
def test_trouble_is_a_state_with_a_reason(link: Script, state: ReaderState) -> None:
    """It is kept until the reader is ready; the first opening is no reconnect."""
    link.opens = [Trouble(state, "why")] * 5
    reader = ReaderThread("front", link)
    assert reader.status.state is ReaderState.STARTING
    reader.start()
    until(lambda: reader.status.state is state)
    assert reader.status.detail == "why"
    since_s = reader.status.since_s
    until(lambda: link.opened >= 4)
    assert reader.status.since_s == since_s
    until(lambda: reader.status.state is ReaderState.READY)
    assert reader.counters["reconnects"] == 0
    assert link.closed == 5
    assert reader.close()
    assert state_of(reader) is ReaderState.STOPPED


@pytest.mark.usefixtures("quick")
def test_what_was_there_and_has_gone_is_lost_not_absent(link: Script) -> None:
    """A technician must know whether the plug was ever right; a return is counted."""
    link.opens = [None, Trouble(ReaderState.ABSENT, "no such file")]
    reader = ReaderThread("front", link)
    reader.start()
    link.given.put(Trouble(ReaderState.LOST, "hung up"))
    until(lambda: reader.status.detail == "no such file")
    assert reader.status.state is ReaderState.LOST
    until(lambda: reader.status.state is ReaderState.READY)
    assert reader.counters["reconnects"] == 1
    link.given.put([A])
    assert reader.get(2.0) is not None
    assert reader.close()


@pytest.mark.usefixtures("quick")
def test_a_device_that_leaves_while_it_is_opened_for_the_first_time_is_absent(link: Script) -> None:
    """It never was a reader of ours."""
    link.opens = [Trouble(ReaderState.LOST, "no such device")]
    reader = ReaderThread("front", link)
    reader.start()
    until(lambda: reader.status.detail == "no such device")
    assert reader.status.state is ReaderState.ABSENT
    assert reader.close()


@pytest.mark.usefixtures("quick")
def test_a_bug_shows_as_a_state_and_the_reader_goes_on(link: Script) -> None:
    """An exception in opening or reading ends neither the thread nor the next card."""
    link.opens = [RuntimeError("in open")]
    reader = ReaderThread("front", link)
    reader.start()
    until(lambda: reader.status.state is ReaderState.FAILED)
    assert reader.status.detail == "RuntimeError: in open"
    until(lambda: reader.status.state is ReaderState.READY)
    link.given.put(ValueError("in receive"))
    until(lambda: reader.status.detail == "ValueError: in receive")
    link.given.put([A])
    assert reader.get(3.0) is not None
    assert reader.close()


@pytest.mark.parametrize("opens", [[], [Trouble(ReaderState.ABSENT, "")] * 9])
def test_it_ends_within_a_second(link: Script, opens: list[Trouble | Exception | None]) -> None:
    """While it listens, and while it waits to try again."""
    link.opens = opens
    reader = ReaderThread("front", link)
    reader.start()
    until(lambda: reader.status.state is not ReaderState.STARTING)
    started_s = time.monotonic()
    reader.stop()
    reader.join(1.0)
    assert not reader.is_alive()
    assert time.monotonic() - started_s < 1.0
    assert link.closed >= 1


def test_closing_one_that_never_ran_is_no_error(link: Script) -> None:
    """A program that fails before it starts its readers can still tidy up."""
    assert ReaderThread("front", link).close()


def test_whoever_waits_is_woken_for_cards_and_states_and_may_break(link: Script, clock: Clock) -> None:
    """``wake`` follows every card and every change; an event loop that is gone does not end the reader."""
    woken = threading.Semaphore(0)

    def wake() -> None:
        woken.release()
        raise RuntimeError("the loop is closed")

    reader = ReaderThread("front", link, wake=wake, clock=clock)
    reader.start()
    assert woken.acquire(timeout=2.0)
    until(lambda: reader.status.state is ReaderState.READY)
    link.given.put([A])
    assert woken.acquire(timeout=2.0)
    assert reader.get(2.0) is not None
    take(link, reader, A)
    assert not woken.acquire(blocking=False)
    assert reader.close()
    assert woken.acquire(timeout=2.0)


def test_counters_cannot_be_changed_from_outside(reader: ReaderThread) -> None:
    """A view, not a copy and not the thing itself."""
    with pytest.raises(TypeError):
        reader.counters["frames"] = 1  # type: ignore[index]
