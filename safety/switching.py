"""Relay of one port against its meter: whether it opens, whether it closes, and current that nobody ordered.

Only readings taken ``weld_settle_s`` (``close_settle_s``) after the order say anything: a meter lags behind, and a
verdict on an old value would be wrong for most of a minute with some of them (field lesson 7).

``relay_not_closed`` is about no voltage from the closing on, with neighbours well; voltage that was there and went is
the fuse's or the supply's (``voltage``). A meter before the relay cannot tell a relay that did not close from a socket
with nothing in it; then only several empty starts in a row are told (``never_draws``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from safety.circuit import Circuit
    from safety.limits import PortLimits
    from safety.reading import MeterReading

#: From here a load counts as one, W: twice the dead band of the coarsest meter in use.
_DRAWS_W = 10.0
#: A meter behind an open relay shows less than this, V: half of the mains, what an open pole couples over is less.
_LIVE_V = 110.0
#: A closing without a load counts as an empty start when it was watched that long, s: a plug may come after the start,
#: and a start that is taken back at once tells nothing.
_EMPTY_S = 30.0
#: Codes that say: the socket is live although its relay is open. Only the master contactor can help.
LIVE_THOUGH_OPEN = frozenset({"relay_welded", "load_before_closing"})


@dataclass(frozen=True, slots=True)
class Switching:
    """Memory of the rules.

    ``live_count``: readings in a row that see the socket live with its relay open; ``dead_count``: without voltage with
    it closed, while neighbours have it. ``closed_s``: the present closing; it was seen for ``watched_s``, ``lived``
    (showed voltage) and ``drew`` (a load). ``empty_starts``: closings in a row that never drew. ``loaded``: the last
    reading before the opening saw a load. ``proved_s``: when an opening under load was last seen to work.
    """

    live_count: int = 0
    dead_count: int = 0
    closed_s: float | None = None
    watched_s: float = 0.0
    lived: bool = False
    drew: bool = False
    loaded: bool = False
    empty_starts: int = 0
    proved_s: float | None = None


def follow(memory: Switching, limits: PortLimits, circuit: Circuit) -> Switching:  # noqa: ARG001
    """Return the memory with openings and closings counted, once a tick."""
    if circuit.closed_s == memory.closed_s:
        return memory
    memory = replace(memory, live_count=0, dead_count=0, closed_s=circuit.closed_s)
    if circuit.closed_s is not None:
        return replace(memory, watched_s=0.0, lived=False, drew=False, loaded=False)
    empty = not memory.drew and memory.watched_s >= _EMPTY_S
    return replace(memory, empty_starts=memory.empty_starts + 1) if empty else memory


def observe(memory: Switching, reading: MeterReading, limits: PortLimits, circuit: Circuit) -> Switching:
    """Return the memory with one more reading."""
    if circuit.closed_s is not None:
        return _closed(follow(memory, limits, circuit), reading, limits, circuit)
    if circuit.opened_s is not None and reading.taken_s < circuit.opened_s + limits.opened_after_s:
        return memory
    if _live(reading, limits, circuit):
        return replace(memory, live_count=memory.live_count + 1)
    # Behind an open contactor nothing flows whatever the relay does: that is no proof.
    proves = memory.loaded and circuit.fed_s is not None
    return replace(memory, live_count=0, loaded=False, proved_s=reading.taken_s if proves else memory.proved_s)


def _closed(memory: Switching, reading: MeterReading, limits: PortLimits, circuit: Circuit) -> Switching:
    if circuit.closed_s is None or reading.taken_s <= circuit.closed_s:
        return memory
    draws = reading.power_w >= _DRAWS_W
    lived = memory.lived or reading.voltage_v >= limits.supply_lost_v
    settled = reading.taken_s >= circuit.closed_s + limits.closed_after_s
    # Voltage elsewhere says that the supply is there; without it nobody can tell a relay from a power cut.
    fed = circuit.neighbours_v is not None and circuit.neighbours_v >= limits.voltage_low_v
    dead = limits.meter_behind_relay and not lived and settled and fed
    return replace(
        memory,
        watched_s=reading.taken_s - circuit.closed_s,
        lived=lived,
        drew=memory.drew or draws,
        loaded=draws,
        dead_count=memory.dead_count + 1 if dead else 0,
        empty_starts=0 if draws else memory.empty_starts,
    )


def _live(reading: MeterReading, limits: PortLimits, circuit: Circuit) -> bool:
    if limits.meter_behind_relay and reading.voltage_v >= _LIVE_V:
        return True
    return reading.current_a > limits.weld_current_a + limits.weld_crosstalk * circuit.neighbours_a


def standing(memory: Switching, limits: PortLimits, circuit: Circuit, now: float) -> tuple[str, ...]:  # noqa: ARG001
    """Return what stands: ``relay_welded``, ``load_before_closing``, ``relay_not_closed``, ``never_draws``."""
    found = []
    if memory.live_count >= limits.weld_samples:  # counted with the relay open, forgotten when it closes
        found.append("load_before_closing" if circuit.opened_s is None else "relay_welded")
    if memory.dead_count >= limits.weld_samples:
        found.append("relay_not_closed")
    if memory.empty_starts >= limits.never_draws_starts:
        found.append("never_draws")
    return tuple(found)
