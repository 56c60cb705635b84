"""Periodic tests that need no output: instruments are held against each other.

``judge_probes``: after a long rest every probe feels the same cabinet. ``judge_meters``: what all ports have counted,
and what the cabinet needs for itself, must be what the inlet meter has counted.

Both judge *values that were collected*; when to collect them is the caller's business. Nothing here cuts: a wrong
instrument is named, and somebody has to look.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class CrossLimits:
    """What two instruments may differ by. Sources stand beside the defaults."""

    #: No current anywhere for this long before probes are compared, seconds. A socket's contacts cool with a time
    #: constant of some minutes, the air of a closed cabinet with one of about ten: three of those.
    rest_s: float = 1800.0
    #: Furthest from the median, K: twice the tolerance of a DS18B20 (0.5 K between -10 and 85 °C, data sheet), 5 K
    #: between the sunny and the shaded wall of a cabinet, 2 K for the power supply beside one of the probes. A socket
    #: whose probe lies by that much is cut at 88 instead of 80 °C, still below what its plastic bears.
    probe_spread_k: float = 8.0
    #: Meters of class 1 differ by up to 2 % (two of them, either way) and by more at small loads.
    meter_share: float = 0.05
    #: The least energy that is judged, Wh: half a charge of one battery, and at least ``meter_steps`` register steps.
    energy_wh: float = 1000.0
    meter_steps: float = 20.0
    #: Step of the coarsest register in use, Wh (DDS238). Every register that is read twice may be off by one step.
    step_wh: float = 10.0
    #: Own consumption of the cabinet at most, W: controller 6, modem 2, contactor coil 5, twenty relay coils of 0.4,
    #: and a power supply that makes use of three quarters of what it takes.
    own_w: float = 30.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a test ended, in words. ``wrong``: names of the instruments that are to be looked at."""

    ok: bool
    detail: str
    wrong: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Registers:
    """Energy registers at one moment, Wh. ``ports`` leaves out those that were not read."""

    at_s: float
    inlet_wh: float
    ports: Mapping[int, float]


def judge_probes(temperatures_c: Mapping[str, float | None], limits: CrossLimits) -> Verdict:
    """Return whether all probes agree; ``temperatures_c`` by name, None for a probe without a value.

    With fewer than three values that disagree nobody can tell which is wrong: then all of them are named.
    """
    silent = tuple(name for name, value in temperatures_c.items() if value is None)
    known = {name: value for name, value in temperatures_c.items() if value is not None}
    if not known:
        return Verdict(ok=False, detail="no value from any probe", wrong=silent)
    middle_c = median(known.values())
    # The median of two lies between them: what counts is how far they are from each other.
    reach_k = limits.probe_spread_k if len(known) > 2 else limits.probe_spread_k / 2  # noqa: PLR2004 - a pair
    far = tuple(name for name, value in known.items() if abs(value - middle_c) > reach_k)
    low_c, high_c = min(known.values()), max(known.values())
    words = [f"{len(known)} probes, {low_c:.1f} to {high_c:.1f} °C"]
    words += [f"{name} {known[name]:.1f} °C (median {middle_c:.1f})" for name in far]
    words += [f"{name} no value" for name in silent]
    return Verdict(ok=not far and not silent, detail="; ".join(words), wrong=far + silent)


def comparable(before: Registers, after: Registers) -> bool:
    """Return whether the two moments belong together: the same registers, and none of them has run back."""
    if before.ports.keys() != after.ports.keys() or after.inlet_wh < before.inlet_wh:
        return False
    return all(after.ports[port] >= before.ports[port] for port in before.ports)


def ports_wh(before: Registers, after: Registers) -> float:
    """Return what all ports have counted between two comparable moments, Wh."""
    return sum(after.ports[port] - before.ports[port] for port in before.ports)


def window(before: Registers | None, now: Registers, *, busy: bool, limits: CrossLimits) -> Registers:
    """Return the moment from which energy is compared: ``before``, or ``now`` where a new comparison begins.

    ``busy``: some port has power. Rest proves nothing and only lets own consumption blur the result, so that the
    comparison begins with the first charge; unless the inlet has counted more than the cabinet needs for itself.
    """
    if before is None or not comparable(before, now):
        return now
    own_wh = limits.own_w * max(0.0, now.at_s - before.at_s) / 3600.0
    at_rest = not busy and ports_wh(before, now) == 0
    return now if at_rest and now.inlet_wh - before.inlet_wh <= own_wh + limits.step_wh else before


def judge_meters(before: Registers, after: Registers, limits: CrossLimits) -> Verdict | None:
    """Return whether the inlet meter agrees with the ports; None while too little has flowed to tell.

    The two moments must be ``comparable``. The inlet may show less than the ports only by tolerance, and more only by
    tolerance and the cabinet's own consumption.
    """
    sum_wh, inlet_wh = ports_wh(before, after), after.inlet_wh - before.inlet_wh
    if max(sum_wh, inlet_wh) < max(limits.energy_wh, limits.meter_steps * limits.step_wh):
        return None
    own_wh = limits.own_w * max(0.0, after.at_s - before.at_s) / 3600.0
    moved = sum(after.ports[port] > before.ports[port] for port in before.ports)
    slack_wh = limits.step_wh * (moved + 1)
    low_wh = sum_wh * (1.0 - limits.meter_share) - slack_wh
    high_wh = sum_wh * (1.0 + limits.meter_share) + slack_wh + own_wh
    hours = max(0.0, after.at_s - before.at_s) / 3600.0
    detail = (
        f"ports {sum_wh / 1000:.2f} kWh, inlet {inlet_wh / 1000:.2f} kWh in {hours:.1f} h "
        f"(allowed {max(0.0, low_wh) / 1000:.2f} to {high_wh / 1000:.2f})"
    )
    ok = low_wh <= inlet_wh <= high_wh
    return Verdict(ok=ok, detail=detail, wrong=() if ok else ("inlet", *(str(port) for port in before.ports)))
