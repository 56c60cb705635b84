"""External contacts: when they stand, whom they concern, and when their cause is gone."""

from __future__ import annotations

import pytest

from safety.catalogue_entry import Effect
from safety.contacts import cause_present, judge_contacts
from safety.state import Contact

SMOKE = Contact("smoke", "smoke", 0.5)
DOOR = Contact("door", "door_open", 0.0, Effect.TELL)
RCD = Contact("rcd", "rcd", 0.5, ports=(2, 3))
LID = Contact("lid", "door_open", 0.0, Effect.INHIBIT, ports=(2,))


@pytest.mark.parametrize(("now", "stands"), [(100.4, False), (100.5, True), (100.6, True)])
def test_a_contact_stands_after_its_time(now: float, *, stands: bool) -> None:
    """Counted from the tick in which it went to alarm."""
    alarms = judge_contacts({"smoke": 100.0}, (SMOKE,), {"smoke": True}, now)
    assert alarms.since_s == {"smoke": 100.0}
    assert alarms.cabinet == ((("smoke", Effect.CUT),) if stands else ())


def test_a_contact_that_is_well_again_begins_anew() -> None:
    """What bounced adds nothing up."""
    assert judge_contacts({"smoke": 100.0}, (SMOKE,), {"smoke": False}, 101.0) == ({}, (), {})
    assert judge_contacts({}, (SMOKE,), {"smoke": True}, 101.0) == ({"smoke": 101.0}, (), {})


def test_a_contact_that_does_not_report_is_in_alarm() -> None:
    """A broken wire or a forgotten input is the unsafe case."""
    assert judge_contacts({}, (DOOR,), {}, 100.0).cabinet == (("door_open", Effect.TELL),)


def test_a_contact_of_some_ports_concerns_those() -> None:
    """Every one of them, and not the cabinet; with every code that stands there."""
    alarms = judge_contacts({"rcd": 0.0}, (RCD, LID, DOOR), {"rcd": True, "lid": True, "door": True}, 100.0)
    assert alarms.ports == {2: ("rcd", "door_open"), 3: ("rcd",)}
    assert alarms.cabinet == (("door_open", Effect.TELL),)


@pytest.mark.parametrize(
    ("since", "ports", "present"),
    [
        ({}, {2}, False),
        ({"rcd": 1.0}, {2}, True),
        ({"rcd": 1.0}, {3}, True),
        ({"rcd": 1.0}, {1}, False),
        ({"rcd": 1.0}, (), False),
        ({"smoke": 1.0}, (), True),
        ({"smoke": 1.0}, {2}, False),
        ({"door": 1.0, "lid": 1.0}, (), False),  # a door latches nothing
        ({"door": 1.0, "lid": 1.0}, {2}, False),
    ],
)
def test_a_cause_is_present_where_a_latching_contact_is_in_alarm(
    since: dict[str, float], ports: set[int], *, present: bool
) -> None:
    """Debounced or not, of the cabinet or of that port."""
    assert cause_present(since, (SMOKE, DOOR, RCD, LID), frozenset(ports)) is present
