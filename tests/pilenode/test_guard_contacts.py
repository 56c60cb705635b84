"""From a line to a standing alarm: contacts on simulated pins, judged by the core in ticks of any length."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from gpiozero.pins.mock import MockFactory, MockPin
from hypothesis import given
from hypothesis import strategies as st

from drivers.gpio import GpioContacts, InputSpec
from safety.contacts import judge_contacts
from safety.state import Contact

if TYPE_CHECKING:
    from collections.abc import Iterator

DEBOUNCE_S = 0.1
CONTACT = Contact("smoke", "smoke", DEBOUNCE_S)


class Loop:
    """A contact on a line and the core's judgement of it, tick by tick."""

    def __init__(self, factory: MockFactory, *, normally_closed: bool = True, pull_up: bool = True) -> None:
        self._contacts = GpioContacts(factory, [InputSpec("smoke", 6, normally_closed, pull_up)])
        self._pin = factory.pin(6)
        self._pull_up = pull_up
        self._since: dict[str, float] = {}

    def contact(self, *, closed: bool) -> None:
        """Close the contact (it connects the line to the other rail) or open it (the line reads its bias)."""
        level = self._pull_up != closed
        (self._pin.drive_high if level else self._pin.drive_low)()

    def cut(self) -> None:
        """Cut the wire: nothing drives the line any more, so its bias does."""
        self._pin._set_pull("up" if self._pull_up else "down")

    def stands(self, now: float) -> bool:
        """Look at the line as a tick at ``now`` does; return whether the alarm stands."""
        alarms = judge_contacts(self._since, (CONTACT,), self._contacts.alarms(), now)
        self._since = dict(alarms.since_s)
        return bool(alarms.cabinet)


class Unreadable(MockPin):  # type: ignore[misc] # gpiozero has no types
    """A pin that can become unreadable."""

    broken = False

    def _get_state(self) -> bool:
        if self.broken:
            raise OSError("line is gone")
        return bool(super()._get_state())


@pytest.fixture
def factory() -> Iterator[MockFactory]:
    """Return simulated pins."""
    with MockFactory(pin_class=Unreadable) as made:
        yield made


@pytest.mark.parametrize("pull_up", [True, False])
def test_a_cut_wire_alarms_with_either_bias(factory: MockFactory, *, pull_up: bool) -> None:
    """A healthy loop is quiet; cut, it stands after its debounce time."""
    loop = Loop(factory, pull_up=pull_up)
    loop.contact(closed=True)
    assert not any(loop.stands(tick * 0.05) for tick in range(20))
    loop.cut()
    assert [loop.stands(1.0 + tick * 0.05) for tick in range(4)] == [False, False, True, True]


@pytest.mark.parametrize("pull_up", [True, False])
def test_a_cut_wire_of_a_normally_open_contact_goes_unseen(factory: MockFactory, *, pull_up: bool) -> None:
    """Why the manual says: prefer normally closed."""
    loop = Loop(factory, normally_closed=False, pull_up=pull_up)
    loop.contact(closed=False)
    loop.cut()
    assert not any(loop.stands(tick * 0.05) for tick in range(20))
    loop.contact(closed=True)
    assert [loop.stands(1.0 + tick * 0.05) for tick in range(3)] == [False, False, True]


@pytest.mark.parametrize("ticks_s", [[0.05] * 4, [0.01] * 20, [0.099, 0.002], [0.1], [0.5]])
def test_the_debounce_is_a_time_and_no_count(factory: MockFactory, ticks_s: list[float]) -> None:
    """Twenty looks within the time are not enough, one look after it is."""
    loop = Loop(factory)
    loop.contact(closed=False)
    now = 10.0
    assert not loop.stands(now)
    for tick_s in ticks_s:
        now += tick_s
        assert loop.stands(now) is (now - 10.0 >= DEBOUNCE_S)
    assert loop.stands(now + DEBOUNCE_S)


@given(st.lists(st.tuples(st.floats(0.0, 0.099), st.floats(0.001, 0.3)), min_size=1, max_size=20))
def test_chatter_shorter_than_the_debounce_does_nothing(bounces: list[tuple[float, float]]) -> None:
    """However often a contact opens for less than its time: what bounced adds nothing up."""
    with MockFactory() as factory:
        loop = Loop(factory)
        now = 100.0
        for open_s, closed_s in bounces:
            loop.contact(closed=False)
            assert not loop.stands(now)
            now += open_s
            assert not loop.stands(now)
            loop.contact(closed=True)
            assert not loop.stands(now)
            now += closed_s
            assert not loop.stands(now)


def test_a_line_that_cannot_be_read_alarms_after_its_time(factory: MockFactory) -> None:
    """One failed look is noise, a line that stays away is an alarm."""
    loop = Loop(factory)
    loop.contact(closed=True)
    pin = factory.pin(6)
    pin.broken = True
    assert not loop.stands(1.0)
    pin.broken = False
    assert not loop.stands(1.09)
    pin.broken = True
    assert [loop.stands(2.0 + tick * 0.05) for tick in range(3)] == [False, False, True]
