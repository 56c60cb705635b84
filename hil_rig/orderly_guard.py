"""Guard in a simulated day, whole or in the parts that matter for load: both judge what the strategies ask for.

``WholeGuard`` is ``safety.step`` itself. It costs a fifth of a millisecond for each port and second, six minutes for a
day of 20 ports; so long days are lived with ``SupplyGuard``: the shipped rules of the supply (``safety.supply``) and of
full charge (``safety.completion``) without the others, which have nothing to say where nothing is wrong. A test holds
the two together.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

import safety
from safety import completion, supply
from safety.completion_limits import CompletionLimits
from safety.inputs import PortInputs
from safety.limits import PortLimits
from safety.state import Grant, Inputs, Release, Renew, Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from safety.completion import CompletionState
    from safety.limits import CabinetLimits
    from safety.reading import MeterReading

LEASE_S: Final = 60.0
_LONGEST_S: Final = 36_000.0
_FULL: Final = CompletionLimits()


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of a port: a lease by this name, or (``off``) the end of the one it has."""

    port: int
    lease: str
    off: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """What guard did: the leases granted, those that ended with (port, lease, code), and the closed ports."""

    granted: frozenset[str]
    ended: tuple[tuple[int, str, str], ...]
    closed: frozenset[int]


class Guard(Protocol):
    """Judges once a second."""

    def step(self, readings: Mapping[int, MeterReading], wishes: Sequence[Wish], now_s: float) -> Told:
        """Take the readings and the wishes of one second."""


class WholeGuard:
    """The whole safety core; leases are renewed for as long as they live."""

    def __init__(self, ports: Iterable[int], limits: CabinetLimits) -> None:
        self._state = safety.initial(
            Settings(
                dict.fromkeys(ports, PortLimits()),
                limits,
                max_duration_s=_LONGEST_S,
                contactor=True,
            )
        )

    def step(self, readings: Mapping[int, MeterReading], wishes: Sequence[Wish], now_s: float) -> Told:
        """Take the readings and the wishes of one second."""
        requests = [
            Release(number, one.port, one.lease, "shed") if one.off else Grant(number, one.port, one.lease, LEASE_S)
            for number, one in enumerate(wishes, 1)
        ]
        renewals = [
            Renew(0, number, port.session, LEASE_S)
            for number, port in self._state.ports.items()
            if port.live and port.session is not None and port.lease_until_s - now_s < LEASE_S / 2
        ]
        inputs = Inputs({port: PortInputs(one) for port, one in readings.items()}, {}, (*requests, *renewals))
        self._state, orders, events = safety.step(self._state, inputs, now_s)
        refused = {answer.ticket for answer in orders.answers if answer.code is not None}
        return Told(
            frozenset(one.lease for number, one in enumerate(wishes, 1) if not one.off and number not in refused),
            tuple(
                (event.port, event.session, event.code or "")
                for event in events
                if event.kind == "opened" and event.port is not None and event.session is not None
            ),
            orders.closed,
        )


@dataclass(slots=True)
class _On:
    lease: str
    closed_s: float
    memory: CompletionState
    amps: float = 0.0


@dataclass(slots=True)
class SupplyGuard:
    """Supply and full charge alone, by the shipped rules."""

    limits: CabinetLimits
    _on: dict[int, _On] = field(default_factory=dict)
    _supply: supply.Supply = field(default_factory=supply.Supply)

    def step(self, readings: Mapping[int, MeterReading], wishes: Sequence[Wish], now_s: float) -> Told:
        """Take the readings and the wishes of one second."""
        ended = {}
        for port, one in self._on.items():
            reading = readings[port]
            one.amps = reading.current_a
            sample = completion.Sample(now_s, reading.voltage_v, reading.current_a, reading.power_w)
            one.memory, verdict = completion.advance(one.memory, sample, _FULL)
            if verdict is not None:
                ended[port] = verdict.reason
            elif now_s - one.closed_s >= _LONGEST_S:
                ended[port] = "time_limit"
        self._supply, too_many = supply.watch(self._supply, self._draws(), None, self.limits, now_s)
        ended |= dict.fromkeys(too_many, "cabinet_overload")
        ended |= {wish.port: "shed" for wish in wishes if wish.off and wish.port not in ended}
        over = tuple((port, self._on.pop(port).lease, code) for port, code in ended.items())
        granted = set()
        for wish in wishes:
            if not wish.off and supply.admits(self._draws(), self.limits, now_s):
                granted.add(wish.lease)
                self._on[wish.port] = _On(wish.lease, now_s, completion.begin(now_s))
        return Told(frozenset(granted), over, frozenset(self._on))

    def _draws(self) -> list[supply.Draw]:
        return [supply.Draw(port, one.amps, one.closed_s) for port, one in self._on.items()]
