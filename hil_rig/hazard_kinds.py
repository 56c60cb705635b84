"""Hazards of single ports that can be injected into a running rig: how, what guard may call them, and their bound."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hil_rig.harness import RCD_PIN
from hil_rig.loads import Draw, Step, Steps, constant

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil_rig.bounds import Bounds
    from hil_rig.harness import Harness

SUPPLY_V = 220.0
#: What a healthy session draws, W: enough for every rule that asks for a load, no more than half of any limit.
BASE_W = 400.0
#: A contact that sparks on the bench: this long without current, this long with; longer than a sweep and a renewal.
_SPARK_S = 2.2
_SPARKS = 30
_HOT_C = 95.0
#: Poor contact by heat: faster than allowed, and slow enough to stay below every temperature threshold.
RISE_K_PER_S = 0.45
AMBIENT_C = 25.0


@dataclass(frozen=True, slots=True)
class Volts:
    """A load that brings its own mains voltage: the fuse, the neutral or the supply of one socket is bad."""

    voltage_v: float
    power_w: float = BASE_W

    def draw(self, powered_s: float, supply_v: float) -> Draw:  # noqa: ARG002 - it has its own mains
        """Return the draw."""
        if self.voltage_v == 0:
            return Draw(voltage_v=0.0)
        return Draw(self.power_w, self.power_w / (self.voltage_v * 0.98), 0.98, self.voltage_v)

    def energy_wh(self, from_s: float, to_s: float) -> float:
        """Return the energy."""
        return self.power_w * (to_s - from_s) / 3600.0 if self.voltage_v else 0.0

    def next_change_s(self, powered_s: float) -> float:  # noqa: ARG002 - it does not jump
        """Return infinity."""
        return float("inf")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind. ``inject`` acts on a port now; ``bound`` is computed, never measured.

    ``share``: how many of a thousand injections. ``failing``: its meter no longer answers, of which a line bears two.
    ``alone``: two at once are a hazard of the cabinet. ``port``: the only port that has it. ``ramp``: the probe warms
    from now on. ``lease``: nothing is injected, the lease is let run out.
    """

    name: str
    share: int
    codes: frozenset[str]
    inject: Callable[[Harness, int], object]
    bound: Callable[[Bounds], float]
    failing: bool = False
    alone: bool = False
    port: int | None = None
    ramp: bool = False
    lease: bool = False


def _plug(power_w: float, factor: float = 0.98) -> Callable[[Harness, int], None]:
    return lambda cabinet, port: cabinet.rig.plug(port, constant(power_w, factor))


def _volts(volts: float) -> Callable[[Harness, int], None]:
    return lambda cabinet, port: cabinet.rig.plug(port, Volts(volts))


def _silent(cabinet: Harness, port: int) -> None:
    """Let a meter fail in one of the ways in which meters and wires fail."""
    faults = cabinet.rig.meters[port].faults
    way = random.choice(["dead", "bad_crc", "wrong_unit", "truncate", "noise"])
    faults.dead = way == "dead"
    faults.bad_crc = way == "bad_crc"
    faults.wrong_unit = way == "wrong_unit"
    faults.truncate = 7 if way == "truncate" else None
    faults.noise_before = b"\x00\xff\x55" if way == "noise" else b""


def _faults(**values: float | bool) -> Callable[[Harness, int], None]:
    def inject(cabinet: Harness, port: int) -> None:
        for name, value in values.items():
            setattr(cabinet.rig.meters[port].faults, name, value)

    return inject


def _sparks(cabinet: Harness, port: int) -> None:
    steps = []
    for number in range(_SPARKS):
        steps.append(Step(2 * number * _SPARK_S, 0.0))
        steps.append(Step((2 * number + 1) * _SPARK_S, BASE_W))
    cabinet.rig.plug(port, Steps(tuple(steps)))


def _stuck_register(cabinet: Harness, port: int) -> None:
    cabinet.rig.plug(port, constant(STUCK_W))
    cabinet.rig.meters[port].faults.energy_stuck = True


def _nothing(_: Harness, __: int) -> None:
    pass


STUCK_W = 950.0
_LIMIT_A, _LIMIT_W = 6.0, 1000.0
_OVER = frozenset({"over_current", "over_power"})

PORT_KINDS = (
    Kind("over-current, 2 x", 230, _OVER, _plug(2 * _LIMIT_A * SUPPLY_V * 0.98), lambda b: b.fast()),
    Kind(
        "over-current, 1.2 x", 110, _OVER, _plug(1.2 * _LIMIT_A * SUPPLY_V * 0.6, 0.6), lambda b: b.inverse_time(1.18)
    ),
    Kind("over-power, 1.2 x", 90, _OVER, _plug(1.2 * _LIMIT_W, 1.0), lambda b: b.inverse_time(1.18)),
    Kind("over-voltage", 60, frozenset({"over_voltage"}), _volts(270.0), lambda b: b.voltage()),
    Kind("under-voltage", 60, frozenset({"under_voltage"}), _volts(150.0), lambda b: b.voltage()),
    Kind("fuse open", 60, frozenset({"fuse_open", "under_voltage", "supply_lost"}), _volts(0.0), lambda b: b.loss()),
    Kind("meter lost", 90, frozenset({"meter_lost"}), _silent, lambda b: b.dead_meter(), failing=True),
    Kind(
        "meter implausible", 60, frozenset({"meter_implausible"}), _faults(scale_power=0.3), lambda b: b.implausible()
    ),
    Kind(
        "register runs back",
        50,
        frozenset({"energy_implausible"}),
        _faults(energy_back_wh=300.0),
        lambda b: b.register(0.0, BASE_W),
    ),
    Kind(
        "over-temperature",
        50,
        frozenset({"over_temperature"}),
        lambda cabinet, port: cabinet.rig.world.hot_probe(port, _HOT_C),
        lambda b: b.heat(b.limits.temperature_trip_s),
    ),
    Kind("lease silent", 60, frozenset({"lease_expired"}), _nothing, lambda b: b.lease(), lease=True),
    Kind(
        "RCD of one port",
        16,
        frozenset({"rcd"}),
        lambda cabinet, _: cabinet.rig.set_contact(RCD_PIN, 1),
        lambda b: b.contact(0.1, contactor=False),
        port=1,
    ),
    Kind("poor contact", 20, frozenset({"poor_contact"}), _sparks, lambda b: b.chatter(2 * _SPARK_S)),
    Kind("meter frozen", 12, frozenset({"meter_frozen"}), _faults(frozen=True), lambda b: b.frozen()),
    Kind(
        "temperature rising",
        6,
        frozenset({"temperature_rising"}),
        _nothing,
        lambda b: b.rise(b.limits.temperature_rise_s),
        alone=True,
        ramp=True,
    ),
    Kind(
        "register stands still",
        6,
        frozenset({"energy_implausible"}),
        _stuck_register,
        lambda b: b.register(2 * b.limits.energy_check_wh, STUCK_W),
    ),
)
#: The slowest of them, left out of the short form: a minute and more each.
SLOW = frozenset({"poor contact", "meter frozen", "temperature rising", "register stands still"})


def heal(cabinet: Harness, port: int, *, healthy_probe: bool = True) -> None:
    """Put everything right at a port and let it draw what a healthy session draws."""
    faults = cabinet.rig.meters[port].faults
    faults.dead = faults.bad_crc = faults.wrong_unit = faults.frozen = faults.energy_stuck = False
    faults.truncate, faults.noise_before = None, b""
    faults.scale_power, faults.energy_back_wh = 1.0, 0.0
    cabinet.rig.plug(port, constant(BASE_W))
    cabinet.rig.weld(port, welded=False)
    if healthy_probe:
        cabinet.rig.world.hot_probe(port, None)
    if port == 1 and "rcd" in cabinet.setup.contacts:
        cabinet.rig.set_contact(RCD_PIN, 0)


def warm(cabinet: Harness, port: int, began_s: float) -> None:
    """Let the probe of a port show the ramp that began then."""
    cabinet.rig.world.hot_probe(port, AMBIENT_C + RISE_K_PER_S * max(0.0, time.monotonic() - began_s))
