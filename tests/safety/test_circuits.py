"""What every port is told of its own switching and of its neighbours."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

import safety
from safety.circuits import around
from safety.contactor import Contactor
from safety.inputs import PortInputs
from safety.limits import PortLimits
from safety.port import PortStatus
from safety.reading import MeterReading, Missing, MissingReason
from safety.state import CabinetState, PortState, Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from safety.circuit import Circuit

NOW = 1000.0
LOST = Missing(MissingReason.TIMEOUT, 990.0)


def circuits(
    readings: Mapping[int, tuple[float, float] | None],
    ports: Mapping[int, PortState] | None = None,
    age_s: float = 0.0,
    *,
    contactor: bool = True,
) -> dict[int, Circuit]:
    """Return the circuits of ports that show these volts and amperes, None: no reading; fed since 900 s."""
    settings = Settings(ports={number: PortLimits() for number in readings}, contactor=contactor)
    state = safety.initial(settings)
    state = replace(
        state, ports={**state.ports, **(ports or {})}, cabinet=CabinetState(contactor=Contactor(since_s=900.0))
    )
    inputs = {
        number: PortInputs(LOST if shown is None else MeterReading(NOW - age_s, shown[0], shown[1], 0.0))
        for number, shown in readings.items()
    }
    return around(state, inputs, NOW)


def test_neighbours_are_all_others() -> None:
    """Their highest voltage and the sum of their currents; never the port's own."""
    made = circuits({1: (230.0, 1.0), 2: (225.0, 2.0), 3: (221.0, 4.0)})
    assert {number: one.neighbours_v for number, one in made.items()} == {1: 225.0, 2: 230.0, 3: 230.0}
    assert {number: one.neighbours_a for number, one in made.items()} == pytest.approx({1: 6.0, 2: 5.0, 3: 3.0})


def test_a_port_alone_has_no_neighbours() -> None:
    """Nobody can say whether the supply is there."""
    alone = circuits({1: (230.0, 1.0)})[1]
    assert (alone.neighbours_v, alone.neighbours_a) == (None, 0.0)
    deaf = circuits({1: (230.0, 1.0), 2: None})
    assert (deaf[1].neighbours_v, deaf[1].neighbours_a) == (None, 0.0)
    assert (deaf[2].neighbours_v, deaf[2].neighbours_a) == (230.0, 1.0)


@pytest.mark.parametrize(("age_s", "heard"), [(2.99, True), (3.0, True), (3.01, False)])
def test_only_fresh_readings_of_neighbours_count(age_s: float, *, heard: bool) -> None:
    """As old as the limit of that port's meter, no older."""
    made = circuits({1: (230.0, 1.0), 2: (225.0, 2.0)}, age_s=age_s)
    assert (made[1].neighbours_v, made[1].neighbours_a) == ((225.0, 2.0) if heard else (None, 0.0))


def test_a_closed_port_knows_since_when_and_an_open_one_when_it_was_opened() -> None:
    """Never both: the rules of the one do not apply to the other."""
    on = PortState(status=PortStatus.ON, closed_at_s=950.0, relay_opened_s=940.0)
    ended = replace(on, status=PortStatus.ENDED, relay_opened_s=960.0)
    made = circuits({1: (230.0, 1.0), 2: (230.0, 1.0), 3: (230.0, 1.0)}, {1: on, 2: ended})
    assert (made[1].closed_s, made[1].opened_s) == (950.0, None)
    assert (made[2].closed_s, made[2].opened_s) == (None, 960.0)
    assert (made[3].closed_s, made[3].opened_s) == (None, None)


def test_without_a_contactor_a_port_is_always_fed() -> None:
    """With one, since it closed."""
    assert circuits({1: (230.0, 1.0)})[1].fed_s == 900.0
    assert circuits({1: (230.0, 1.0)}, contactor=False)[1].fed_s == -math.inf


def test_rounding_makes_no_negative_current() -> None:
    """The sum of the others is a difference of sums."""
    made = circuits({1: (230.0, 0.1), 2: (230.0, 0.2), 3: (230.0, 0.0)})
    assert all(one.neighbours_a >= 0.0 for one in made.values())
