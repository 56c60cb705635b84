"""Which meter is read next: a pure decision over what was tried when.

Meters of ports in use come first and most often; idle ones are read about once a second in between, and never twice
between two reads of the same port in use: so a port in use never waits longer than when everybody has a turn, which
is what the budget computes with. A meter that keeps failing is tried less and less often, so that it costs the others
at most one time-out per pause. It is never given up.

Energy registers that need a read of their own ride along with few of the polls: how many is part of the promise in
numbers (``safety.budget.rides``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pilenode.guard.board import CABINET
from safety.budget import ENERGY_APART

if TYPE_CHECKING:
    from collections.abc import Collection

#: Failures in a row before a meter is tried less often. Two lost frames are noise, three are a dead meter.
PATIENCE: Final = 3
#: First and longest pause between two tries of a dead meter, seconds.
FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 5.0
#: An idle meter is due after so long, in alternation with ports in use; after so long it comes before them, seconds.
#: Readings of idle ports expire as well (``limits.meter_max_age_s``, 3 s), and a start must find a fresh one.
IDLE_DUE_S: Final = 1.0
IDLE_URGENT_S: Final = 2.0
#: A port counts as in use for so long after its session, seconds: whether its relay has opened must be seen soon.
WATCHED_S: Final = 10.0
#: From this age on an energy register is due, seconds: while a session runs, and while none does.
ENERGY_LIVE_S: Final = 1.0
ENERGY_IDLE_S: Final = 10.0
#: A running port's register of this age comes before one that is wanted for the end of a session, seconds: the rule
#: that holds registers against the power accuses one that is not read for a minute.
ENERGY_STARVED_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Turn:
    """What is remembered of one meter, known by the first of its ports. Times are seconds, monotonic.

    ``tried_s`` None = not yet.
    """

    port: int
    tried_s: float | None = None
    failures: int = 0
    energy_s: float | None = None


class InUse:
    """Which ports are read first: those of sessions, those that had one ``WATCHED_S`` ago, and then the inlet too."""

    def __init__(self) -> None:
        self._until_s: dict[int, float] = {}

    def ports(self, live: Collection[int], now: float) -> frozenset[int]:
        """Return the ports in use at ``now``; ``live`` are those of sessions."""
        self._until_s |= dict.fromkeys(live, now + WATCHED_S)
        used = frozenset(port for port, until_s in self._until_s.items() if now < until_s)
        return used | {CABINET} if used else used


def pause_s(failures: int) -> float:
    """Return how long a meter with that many failures in a row is left alone, in seconds."""
    if failures < PATIENCE:
        return 0.0
    return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(failures - PATIENCE, 10))


def choose(turns: Collection[Turn], now: float, pressing: Collection[int] = ()) -> Turn | None:
    """Return the turn to take now, or None when every meter is in its pause.

    ``pressing`` are the ports in use. Among equals the one that waited longest is next, one never tried first of all.
    """
    due = [turn for turn in turns if turn.tried_s is None or now - turn.tried_s >= pause_s(turn.failures)]
    live = min((turn for turn in due if turn.port in pressing), key=_tried_s, default=None)
    idle = min((turn for turn in due if turn.port not in pressing), key=_tried_s, default=None)
    if live is None or idle is None:
        return live or idle
    if _tried_s(idle) >= _tried_s(live):
        return live  # since the idle one was read, not every port in use has had its turn
    waited_s = now - _tried_s(idle)
    after_live = max(turns, key=_tried_s).port in pressing
    return idle if waited_s >= (IDLE_DUE_S if after_live else IDLE_URGENT_S) else live


def _tried_s(turn: Turn) -> float:
    return float("-inf") if turn.tried_s is None else turn.tried_s


def energy_due(
    turn: Turn, turns: Collection[Turn], now: float, *, live: frozenset[int], wanted: frozenset[int]
) -> bool:
    """Return whether the energy register rides along this time; ``turns`` are all meters of the bus.

    One that was never read always does. Of the others those of running ports that were not read for long come first,
    then those that are wanted, then the oldest, and at least
    ``ENERGY_APART`` other meters are polled in between, or all that answer where they are fewer.
    """
    if turn.energy_s is None:
        return True
    answering = [one for one in turns if one.failures < PATIENCE and one.energy_s is not None]
    due = [one for one in answering if one.port in wanted or _age_s(one, now) >= _limit_s(one, live)]
    # One that rode just now and is still wanted, because its register cannot be read, must not keep the others away.
    pressing = [one for one in due if one.port in wanted and _age_s(one, now) >= ENERGY_LIVE_S]
    # Sessions that keep ending must not keep the running ones from being held against their registers.
    starved = [one for one in due if one.port in live and _age_s(one, now) >= ENERGY_STARVED_S]
    candidates = starved or pressing or due
    older = sum(_age_s(one, now) > _age_s(turn, now) for one in candidates)
    return turn in candidates and older <= len(candidates) // 2 and _apart(answering)


def _age_s(turn: Turn, now: float) -> float:
    return float("inf") if turn.energy_s is None else now - turn.energy_s


def _limit_s(turn: Turn, live: frozenset[int]) -> float:
    return ENERGY_LIVE_S if turn.port in live else ENERGY_IDLE_S


def _apart(answering: Collection[Turn]) -> bool:
    """Return whether enough meters were polled since an energy register rode along."""
    last_s = max(turn.energy_s for turn in answering if turn.energy_s is not None)
    polled = sum(turn.tried_s is not None and turn.tried_s > last_s for turn in answering)
    return polled >= min(ENERGY_APART, len(answering) - 1)
