"""The energy of a session from register snapshots. Pure; integers: mWh of the meter's own counter, ms of power.

A difference of two good registers is what counts. Everything else is flagged and never corrected silently; in doubt it
is counted in the customer's favour, and never more than the port can have given in the time.

| what the registers show | what is counted | flag |
| --- | --- | --- |
| start, end, all readings between them rising as fast as the port can | end - start | none |
| the relay never closed | 0 | none |
| no register at closing | from the first reading on | ``no_baseline`` |
| no register after closing at all | 0 | ``no_reading`` |
| none at the end | up to the last reading | ``last_reading`` |
| 0 at closing, then suddenly the meter's lifetime | from the first reading of the lifetime on | ``lifetime_value`` |
| a fall that only the end of the counter's range explains | across the end of the range | ``register_wrapped`` |
| any other fall (run-back, cleared, another meter) | nothing until it has passed its highest | ``register_backward`` |
| a rise that no load explains (another meter) | nothing for the rise, then on from there | ``register_jumped`` |
| more in all than the port can give in all | what it can give | ``over_possible`` |

What is physically possible in a time: the port's power limit and a fifth (what trips takes a moment, and meters of
class 1 or 2 read high), for the time and ``SLACK_MS`` (the register is read less often than the clock), and two steps
of the register.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from pilenode.upstream.facts import EnergyCount, EnergyFlag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from config.schema_meter import MeterProfile

#: A register is at most the meter age limit (10 s) older than the time beside it, and waited for as long after opening.
SLACK_MS: Final = 15_000
#: Step of the coarsest register in use (DDS238: 0.01 kWh), mWh; what is not known is taken to be as coarse.
COARSE_MWH: Final = 10_000
_BITS: Final = {"u16": 16, "u32": 32}


@dataclass(frozen=True, slots=True)
class Counter:
    """What is known of a port and its register. ``range_mwh``: value at which it begins again at 0, None: unknown."""

    limit_w: int
    range_mwh: int | None = None
    step_mwh: int = COARSE_MWH

    def most_mwh(self, ms: int) -> int:
        """Return the most energy that the port can have given in ``ms``."""
        # 1 W for 1 ms is 1/3600 mWh; 6/5 is the limit and a fifth.
        return self.limit_w * (max(0, ms) + SLACK_MS) * 6 // (5 * 3600) + 2 * self.step_mwh


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The register after so much time with power in this leg; None where it was not read."""

    on_ms: int
    register_mwh: int | None


@dataclass(frozen=True, slots=True)
class Leg:
    """One leg as it is known. ``readings`` in order of time; ``end`` was read with the relay open.

    ``powered``: False when the relay never closed.
    """

    start_mwh: int | None
    readings: Sequence[Snapshot] = ()
    end: Snapshot | None = None
    powered: bool = True


@dataclass(frozen=True, slots=True)
class Energy:
    """What is counted, and why it is not simply a difference of two registers, in the order of ``EnergyFlag``."""

    energy_mwh: int = 0
    flags: tuple[EnergyFlag, ...] = ()


def counter_of(profile: MeterProfile, channel: int, limit_w: int) -> Counter:
    """Return what a meter profile says of the register of one channel (1 for the first).

    A register of several phases is a sum, and a floating-point one no counter: their range is not known.
    """
    value = (profile.values if channel == 1 else profile.channel[channel - 2]).energy_wh
    bits = _BITS.get(value.type)
    if bits is None or value.plus:
        return Counter(limit_w)
    step_mwh = value.scale * 1000
    return Counter(limit_w, round(step_mwh * 2**bits), max(1, round(step_mwh)))


def count(leg: Leg, counter: Counter) -> Energy:
    """Return the energy of one leg of which everything is known."""
    if not leg.powered:
        return Energy()
    so_far = begun(leg.start_mwh)
    for snapshot in leg.readings:
        so_far = counted(so_far, snapshot, counter)
    return finished(so_far, leg.end, counter)


def _rise(before: int, after: int, most: int, whole: int | None) -> tuple[int | None, EnergyFlag | None]:
    """Return what is counted from ``before`` to ``after``, None where ``before`` stays the register to pass."""
    rise = after - before
    if rise > most:
        return 0, EnergyFlag.LIFETIME_VALUE if before == 0 else EnergyFlag.REGISTER_JUMPED
    if rise >= 0:
        return rise, None
    # A fall is a wrap only where the port cannot have given half the range: else it may as well have run back.
    if whole is not None and before < whole and most <= whole // 2 and rise + whole <= most:
        return rise + whole, EnergyFlag.REGISTER_WRAPPED
    return None, EnergyFlag.REGISTER_BACKWARD


def _ordered(flags: set[EnergyFlag]) -> tuple[EnergyFlag, ...]:
    return tuple(flag for flag in EnergyFlag if flag in flags)


# -- the same, one reading after the other ------------------------------------------------------------------------


def begun(start_mwh: int | None) -> EnergyCount:
    """Return the count of a leg whose relay has just closed."""
    return EnergyCount(register_mwh=start_mwh)


def counted(so_far: EnergyCount, snapshot: Snapshot, counter: Counter) -> EnergyCount:
    """Return the count after one more reading; of a register that was not read nothing but the time is known."""
    on_ms = max(so_far.on_ms, snapshot.on_ms)
    if snapshot.register_mwh is None:
        return msgspec.structs.replace(so_far, on_ms=on_ms)
    flags = set(so_far.flags)
    if so_far.register_mwh is None:
        flags.add(EnergyFlag.NO_BASELINE)
        return EnergyCount(
            energy_mwh=so_far.energy_mwh,
            flags=[*_ordered(flags)],
            register_mwh=snapshot.register_mwh,
            at_ms=snapshot.on_ms,
            on_ms=on_ms,
            read=True,
        )
    most_mwh = counter.most_mwh(snapshot.on_ms - so_far.at_ms)
    rise_mwh, flag = _rise(so_far.register_mwh, snapshot.register_mwh, most_mwh, counter.range_mwh)
    if flag is not None:
        flags.add(flag)
    if rise_mwh is None:
        return msgspec.structs.replace(so_far, flags=[*_ordered(flags)], on_ms=on_ms, read=True)
    return msgspec.structs.replace(
        so_far,
        energy_mwh=so_far.energy_mwh + rise_mwh,
        flags=[*_ordered(flags)],
        register_mwh=snapshot.register_mwh,
        at_ms=snapshot.on_ms,
        on_ms=on_ms,
        read=True,
    )


def finished(so_far: EnergyCount, end: Snapshot | None, counter: Counter) -> Energy:
    """Return the energy of a leg whose register was read with the relay open (``end``), or was not."""
    if end is not None:
        so_far = counted(so_far, end, counter)
    flags = set(so_far.flags)
    if end is None or end.register_mwh is None:
        flags.add(EnergyFlag.LAST_READING if so_far.read else EnergyFlag.NO_READING)
    energy_mwh, most_mwh = so_far.energy_mwh, counter.most_mwh(so_far.on_ms)
    if energy_mwh > most_mwh:
        energy_mwh = most_mwh
        flags.add(EnergyFlag.OVER_POSSIBLE)
    return Energy(energy_mwh, _ordered(flags))
