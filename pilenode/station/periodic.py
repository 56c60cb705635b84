"""Periodic tests: what is due, and what may run now. Pure; the runner collects the values and carries it out.

Rules of this file:
- time since the last result is measured on the clock of the boot where both fall into one boot, else on the wall clock
  where both moments had a trusted one. What cannot be measured is due: too early is harmless, too late is not;
- a test that failed stays due until it is passed; it is tried again only after a pause;
- the dead man is proved after every start of guard;
- a test that needs the outputs waits for an idle minute. Nothing here ever keeps a session away.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import msgspec

from pilenode.station.wallclock import ClockQuality
from pilenode.upstream.facts import PeriodicResult

if TYPE_CHECKING:
    from collections.abc import Iterable

    from config.schema import Config
    from pilenode.station.wallclock import Stamp
    from pilenode.upstream.facts import Fact


class Kind(StrEnum):
    """The periodic tests, in the order in which they run. The words are stored in facts."""

    DEAD_MAN = "dead_man"
    RELAYS = "relays"
    PROBES = "probes"
    METERS = "meters"
    RCD = "rcd"

    @classmethod
    def named(cls, word: str) -> Kind | None:
        """Return the test of that name, None where there is none."""
        return next((kind for kind in cls if kind.value == word), None)


#: Carried out by guard, because they need the outputs (``safety.proof.KINDS``).
GUARDS: Final = frozenset({Kind.DEAD_MAN, Kind.RELAYS})
#: Such a test waits until nothing has run and nobody has asked for a start for this long, seconds.
IDLE_S: Final = 60.0
#: Pause after a refusal, seconds; and after a failed dead-man proof, which latches: guard refuses until a repair.
PAUSE_S: Final = 600.0
#: Pause after any other failure, seconds. A dead meter or a loose probe does not heal by itself, every result is a
#: fact, and a relay proof that waits for a dead meter keeps starts away for 20 s.
FAILED_PAUSE_S: Final = 6 * 3600.0
_DAY_S: Final = 86_400.0
#: What ``pilenode.clock.boot_id`` says where the kernel tells none: then no two moments are known to share a boot.
_NO_BOOT: Final = "unknown"


@dataclass(frozen=True, slots=True)
class Plan:
    """One test of this cabinet. ``fitted``: the parts that it needs are there."""

    kind: Kind
    interval_s: float
    fitted: bool


@dataclass(frozen=True, slots=True)
class Last:
    """The newest result of a test, from its fact. ``guard_boot``: the guard that did it, None when it was not guard."""

    seq: int
    boot: str
    boottime_ms: int
    wall_ms: int
    clock: str
    ok: bool
    detail: str = ""
    by: str = ""
    guard_boot: str | None = None


def plans(config: Config) -> tuple[Plan, ...]:
    """Return the tests of a cabinet, in the order in which they run."""
    gpio, tests = config.gpio, config.tests
    contactor = gpio.contactor_pin is not None
    proved = contactor and gpio.contactor_feedback_pin is not None and gpio.heartbeat_pin is not None
    return (
        Plan(Kind.DEAD_MAN, tests.dead_man_days * _DAY_S, proved),
        Plan(Kind.RELAYS, tests.relays_days * _DAY_S, contactor),
        Plan(Kind.PROBES, tests.probes_days * _DAY_S, len(probes(config)) > 1),
        Plan(Kind.METERS, tests.meters_days * _DAY_S, config.cabinet.inlet is not None),
        Plan(Kind.RCD, tests.rcd_days * _DAY_S, fitted=True),
    )


def probes(config: Config) -> tuple[int | None, ...]:
    """Return the ports that have a probe, and None for the cabinet's own where it has one."""
    ports: list[int | None] = [port.number for port in config.port if port.probe is not None]
    return (*ports, None) if config.cabinet.probe is not None else tuple(ports)


def results(facts: Iterable[Fact]) -> dict[Kind, Last]:
    """Return the newest results by kind; a kind of a newer version is left out."""
    found = {}
    for fact in facts:
        told = msgspec.json.decode(fact.body, type=PeriodicResult)
        kind = Kind.named(told.test)
        if kind is not None:
            found[kind] = Last(
                seq=fact.seq,
                boot=fact.boot,
                boottime_ms=fact.boottime_ms - told.age_ms,
                wall_ms=max(0, fact.wall_ms - told.age_ms),
                clock=fact.clock,
                ok=told.ok,
                detail=told.detail,
                by=told.by,
                guard_boot=told.guard_boot,
            )
    return found


def elapsed_s(last: Last, now: Stamp) -> float | None:
    """Return how long ago a result was, seconds; None when no clock can tell."""
    if last.boot == now.boot != _NO_BOOT and now.boottime_ms >= last.boottime_ms:
        return (now.boottime_ms - last.boottime_ms) / 1000
    trusted = ClockQuality.NONE not in (last.clock, now.clock)
    if trusted and now.wall_ms >= last.wall_ms:
        return (now.wall_ms - last.wall_ms) / 1000
    return None


def is_due(plan: Plan, last: Last | None, now: Stamp, guard_boot: str | None) -> bool:
    """Return whether a test is due. ``guard_boot``: the guard of now, None while it does not answer."""
    if not plan.fitted:
        return False
    if last is None or not last.ok:
        return True
    if plan.kind is Kind.DEAD_MAN and guard_boot is not None and last.guard_boot != guard_boot:
        return True
    since_s = elapsed_s(last, now)
    return since_s is None or since_s >= plan.interval_s


def rests(kind: Kind, last: Last | None, now: Stamp, tried_for_s: float | None) -> bool:
    """Return whether a test that is due pauses after a failure or a refusal.

    ``tried_for_s``: how long ago this process last had it run, None when it never had.
    """
    if tried_for_s is not None and tried_for_s < PAUSE_S:
        return True
    if last is None or last.ok or kind is Kind.DEAD_MAN:
        return False
    failed_for_s = elapsed_s(last, now)
    return failed_for_s is not None and failed_for_s < FAILED_PAUSE_S
