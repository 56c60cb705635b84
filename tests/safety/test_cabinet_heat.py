"""Heat of the whole cabinet: its air, several probes that rise at once, and the loss of every probe."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safety import cabinet_heat, heat
from safety.cabinet_heat import CabinetHeat
from safety.heat import Heat
from safety.inputs import PortInputs
from safety.limits import CabinetLimits, PortLimits
from safety.reading import MeterReading, Missing, MissingReason, ProbeReading

LIMITS = CabinetLimits()
PORT = PortLimits(current_limit_a=10.0)
PACE_S = 2.0
NEVER = Missing(MissingReason.NEVER_READ, 0.0)
Probe = ProbeReading | Missing | None


@dataclass
class Cabinet:
    """The rules of the cabinet and of the heat at its ports, with what the probes say."""

    air: Probe = None
    ports: dict[int, Probe] = field(default_factory=dict)
    amps: float = 0.0
    memory: CabinetHeat = CabinetHeat()
    heats: dict[int, Heat] = field(default_factory=dict)

    def tick(self, now: float) -> tuple[str, ...]:
        """Judge once and return what stands for the cabinet."""
        meter = MeterReading(now, 220.0, self.amps, 220.0 * self.amps)
        for number, probe in self.ports.items():
            self.heats[number] = heat.feel(self.heats.get(number, Heat()), probe, meter, PORT)
        rising = frozenset(number for number, memory in self.heats.items() if heat.rising(memory))
        inputs = {number: PortInputs(meter, probe=probe) for number, probe in self.ports.items()}
        self.memory, codes = cabinet_heat.feel(self.memory, self.air, inputs, rising, LIMITS, now)
        return codes

    def feels(self, now: float, air_c: float | None, *ports_c: float) -> tuple[str, ...]:
        """Judge with new values of the cabinet's probe and those of the ports in their order."""
        self.air = None if air_c is None else ProbeReading(now, air_c)
        self.ports = {number: ProbeReading(now, celsius) for number, celsius in enumerate(ports_c, 1)}
        return self.tick(now)


def test_a_cabinet_without_any_probe_raises_nothing() -> None:
    """What is not fitted cannot fail, however long it is not there."""
    cabinet = Cabinet(None, {1: None, 2: None})
    assert all(cabinet.tick(now) == () for now in (0.0, 60.0, 120.1, 86_400.0))


# -- air -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("celsius", "expected"),
    [
        (54.9, ()),
        (55.0, ("cabinet_temperature_warning",)),
        (59.9, ("cabinet_temperature_warning",)),
        (60.0, ("cabinet_temperature_high", "cabinet_temperature_warning")),
        (69.9, ("cabinet_temperature_high", "cabinet_temperature_warning")),
        (70.0, ("cabinet_over_temperature", "cabinet_temperature_high", "cabinet_temperature_warning")),
    ],
)
def test_a_standing_temperature_of_the_air(celsius: float, expected: tuple[str, ...]) -> None:
    """Warn at 55, inhibit at 60, cut at 70 °C: below the socket's figures, the limit itself counts."""
    cabinet = Cabinet()
    for index in range(6):
        cabinet.feels(index * PACE_S, celsius)
    assert cabinet.tick(10.0) == expected


@pytest.mark.parametrize(("seconds", "expected"), [(9.95, False), (10.0, True), (10.05, True)])
def test_the_trip_temperature_of_the_air_takes_its_dwell(seconds: float, *, expected: bool) -> None:
    """70 °C for 10 s, a tick less is not enough; the probe may be silent meanwhile."""
    cabinet = Cabinet()
    cabinet.feels(98.0, 69.0)
    cabinet.feels(100.0, 70.0)
    cabinet.air = Missing(MissingReason.PROBE_OPEN, 101.0)
    assert ("cabinet_over_temperature" in cabinet.tick(100.0 + seconds)) is expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [([59.9], False), ([60.0], True), ([60.0, 50.0], True), ([60.0, 49.9], False), ([60.0, 49.9, 59.9], False)],
)
def test_the_band_of_the_air(path: list[float], *, expected: bool) -> None:
    """Inhibit at 60, usable again below 50 °C, which a cabinet reaches at 40 °C outside."""
    cabinet = Cabinet()
    codes: tuple[str, ...] = ()
    for index, celsius in enumerate(path):
        codes = cabinet.feels(index * PACE_S, celsius)
    assert ("cabinet_temperature_high" in codes) is expected


def test_a_probe_that_lies_in_the_air_is_not_heat() -> None:
    """The power-on value between good readings raises nothing."""
    cabinet = Cabinet()
    for index, celsius in enumerate([25.0, 25.0, 85.0, 25.0, 110.0, 25.0] * 10):
        assert cabinet.feels(index * PACE_S, celsius) == ()


# -- probes that are silent ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("probe", "now", "expected"),
    [
        (NEVER, 60.0, False),
        (NEVER, 60.05, True),
        (ProbeReading(0.0, 25.0), 60.0, False),
        (ProbeReading(0.0, 25.0), 60.05, True),
        (Missing(MissingReason.PROBE_OPEN, 0.0), 0.0, True),
        (Missing(MissingReason.PROBE_RESET, 0.0), 0.0, True),
        (None, 1000.0, False),
    ],
)
def test_a_silent_probe_in_the_air_is_its_own_finding(probe: Probe, now: float, *, expected: bool) -> None:
    """As at a port: a fault at once, a value after its age limit, and what was never read gets its time."""
    cabinet = Cabinet(probe)
    assert (cabinet.tick(now) == ("cabinet_probe_fault",)) is expected


@pytest.mark.parametrize(("silence_s", "expected"), [(119.95, False), (120.0, False), (120.05, True)])
@pytest.mark.parametrize("where", ["air", "ports", "both"])
def test_the_loss_of_every_probe_cuts(silence_s: float, where: str, *, expected: bool) -> None:
    """Nothing that is fitted has a value 60 s after the last one expired: nobody feels a fire any more."""
    cabinet = Cabinet()
    for index in range(10):
        now = 100.0 + index
        cabinet.feels(now, None if where == "ports" else 25.0, *([] if where == "air" else [25.0, 25.0]))
    lost = Missing(MissingReason.PROBE_FAULT, 110.0)
    cabinet.air = None if where == "ports" else lost
    cabinet.ports = dict.fromkeys(cabinet.ports, lost)
    cabinet.tick(110.0)
    assert ("probes_lost" in cabinet.tick(109.0 + silence_s)) is expected


@pytest.mark.parametrize(("waited_s", "expected"), [(120.0, False), (120.05, True)])
def test_probes_that_were_never_read_get_their_time(waited_s: float, *, expected: bool) -> None:
    """At the start nothing was read yet; nothing ever read is a loss as well."""
    cabinet = Cabinet(Missing(MissingReason.NEVER_READ, 500.0), {1: Missing(MissingReason.PROBE_OPEN, 400.0)})
    assert "probes_lost" not in cabinet.tick(500.0)
    assert ("probes_lost" in cabinet.tick(500.0 + waited_s)) is expected


def test_one_probe_of_several_that_lives_is_enough() -> None:
    """One silent probe is for its own port to inhibit; and a probe that comes back ends the loss."""
    cabinet = Cabinet(Missing(MissingReason.PROBE_OPEN, 0.0), {1: NEVER, 2: ProbeReading(0.0, 25.0)})
    for now in range(0, 600, 10):
        cabinet.ports[2] = ProbeReading(float(now), 25.0)
        assert "probes_lost" not in cabinet.tick(float(now))
    assert "probes_lost" in cabinet.tick(800.0)
    cabinet.ports[1] = ProbeReading(801.0, 25.0)
    assert "probes_lost" not in cabinet.tick(801.0)


# -- several at once -------------------------------------------------------------------------------------------


def first_s(cabinet: Cabinet, rates: tuple[float, ...], *, air: bool, seconds: int = 200) -> float | None:
    """Return when ``cabinet_heat`` first stood while the probes rise evenly by these K per minute, air first."""
    for index in range(-60, seconds):
        now = index * PACE_S
        celsius = [20.0 + rate * max(0.0, now) / 60 for rate in rates]
        codes = cabinet.feels(now, celsius[0], *celsius[1:]) if air else cabinet.feels(now, None, *celsius)
        if "cabinet_heat" in codes:
            return now
    return None


@pytest.mark.parametrize("amps", [0.0, 5.0])
@pytest.mark.parametrize(
    ("air", "rates", "expected"),
    [
        (False, (11.0, 11.0), True),
        (False, (11.0, 9.0), False),
        (False, (11.0, 0.0, 0.0), False),
        (False, (0.0, 11.0, 9.0, 11.0), True),
        (True, (11.0, 11.0), True),
        (True, (11.0, 0.0), False),
        (True, (11.0, 9.0, 9.0), False),
        (True, (0.0, 11.0, 11.0), True),
    ],
)
def test_two_probes_that_rise_at_once(amps: float, rates: tuple[float, ...], *, air: bool, expected: bool) -> None:
    """Two sockets, or a socket and the air, with or without a load; one alone is the matter of its port."""
    found_s = first_s(Cabinet(amps=amps), rates, air=air)
    assert (found_s is not None) is expected
    assert found_s is None or found_s <= 60.0 + 10.0 + 10.0 + PACE_S


@pytest.mark.parametrize(("seconds", "expected"), [(9.95, False), (10.0, True), (10.05, True)])
def test_they_must_rise_together_for_ten_seconds(seconds: float, *, expected: bool) -> None:
    """A tick less is not enough, and one tick alone begins anew."""
    memory = CabinetHeat()
    for now in (0.0, 9.0):
        memory, codes = cabinet_heat.feel(memory, None, {}, frozenset({1, 2}), LIMITS, now)
        assert codes == ()
    memory, _ = cabinet_heat.feel(memory, None, {}, frozenset({1}), LIMITS, 19.0)
    memory, _ = cabinet_heat.feel(memory, None, {}, frozenset({1, 3}), LIMITS, 20.0)
    _, codes = cabinet_heat.feel(memory, None, {}, frozenset({1, 3}), LIMITS, 20.0 + seconds)
    assert (codes == ("cabinet_heat",)) is expected


def test_two_sockets_that_charge_heavily_are_no_fire() -> None:
    """Twenty sound sockets that all begin to carry 10 A at once raise nothing for the cabinet."""
    cabinet = Cabinet(amps=10.0)
    for index in range(-60, 1500):
        now = index * PACE_S
        socket_c = 25.0 + 40.0 * -math.expm1(-max(0.0, now) / 300)
        assert cabinet.feels(now, 25.0 + (socket_c - 25.0) / 4, *[socket_c] * 20) == ()


def test_a_hot_day_is_no_fire() -> None:
    """Sun on the cabinet: every probe climbs by 30 K in half an hour, together."""
    cabinet = Cabinet()
    for index in range(900):
        celsius = 20.0 + index * PACE_S / 60
        assert cabinet.feels(index * PACE_S, celsius, celsius, celsius) == ()


def test_a_fire_that_silences_the_probes_is_still_a_fire() -> None:
    """Two probes rise, then their wires burn: what they last felt goes on counting."""
    cabinet = Cabinet()
    now = 0.0
    while not all(heat.rising(memory) for memory in cabinet.heats.values()) or not cabinet.heats:
        cabinet.feels(now, None, *[20.0 + 40.0 * now / 60] * 2)
        now += PACE_S
    cabinet.ports = dict.fromkeys(cabinet.ports, Missing(MissingReason.PROBE_OPEN, now))
    assert "cabinet_heat" not in cabinet.tick(now)
    assert "cabinet_heat" in cabinet.tick(now + 10.0)


@given(
    st.lists(
        st.tuples(st.floats(0.05, 40.0), st.floats(-55.0, 125.0) | st.none(), st.floats(-55.0, 125.0)),
        min_size=1,
        max_size=40,
    ),
    st.frozensets(st.integers(1, 4)),
    st.lists(st.floats(0.0, 100.0), min_size=1, max_size=5),
)
def test_time_alone_never_makes_it_milder(
    steps: list[tuple[float, float | None, float]], rising: frozenset[int], waits: list[float]
) -> None:
    """With the same inputs later is never better: what stood stands."""
    memory, now = CabinetHeat(), 0.0
    air: Probe = NEVER
    ports: dict[int, PortInputs] = {}
    before: set[str] = set()
    for dt, air_c, port_c in steps:
        now += dt
        air = Missing(MissingReason.PROBE_OPEN, now) if air_c is None else ProbeReading(now, air_c)
        ports = {1: PortInputs(NEVER, probe=ProbeReading(now, port_c))}
        memory, codes = cabinet_heat.feel(memory, air, ports, rising, LIMITS, now)
        before = set(codes)
    for wait_s in waits:
        now += wait_s
        memory, codes = cabinet_heat.feel(memory, air, ports, rising, LIMITS, now)
        assert before <= set(codes)
        before = set(codes)
