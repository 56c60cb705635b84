"""When the present state is worth a message: report by exception. Pure; times are monotonic, seconds.

Every change is a fact too, and facts go at once; the state is the picture for who comes later. So what somebody has to
know is told at once, a session that begins or ends soon, and watts and degrees only now and then.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pilenode.upstream.contract import PortReport, StateReport

#: The state is told at least this often.
_AT_LEAST_S: Final = 3600.0
#: Changes of a session are told at once this many times, and one more time in so many seconds.
_BURST: Final = 6.0
_REFILL_S: Final = 1800.0
#: Power and temperature are told no more often than this, and only when they have moved this far.
_MEASURED_S: Final = 900.0
_POWER_W: Final = 10
_POWER_SHARE: Final = 0.05
_TEMPERATURE_DC: Final = 20
_TRIPPED: Final = "tripped"


@dataclass(frozen=True, slots=True)
class Telling:
    """What was told last on this connection, and how much may be told now."""

    told: StateReport | None = None
    told_at_s: float = 0.0
    credit: float = _BURST

    def is_due(self, state: StateReport, now: float) -> bool:
        """Return whether ``state`` is to be told now."""
        told, since_s = self.told, now - self.told_at_s
        if told is None or since_s >= _AT_LEAST_S or _alarming(told) != _alarming(state):
            return True
        if self._credit(now) < 1.0:
            return False
        if _sessions(told) != _sessions(state):
            return True
        both = zip(told.ports, state.ports, strict=True)
        return since_s >= _MEASURED_S and any(_moved(old, new) for old, new in both)

    def after(self, state: StateReport, now: float) -> Telling:
        """Return what stands after ``state`` was told."""
        return replace(self, told=state, told_at_s=now, credit=max(0.0, self._credit(now) - 1.0))

    def _credit(self, now: float) -> float:
        return min(_BURST, self.credit + max(0.0, now - self.told_at_s) / _REFILL_S)


def _alarming(state: StateReport) -> tuple[object, ...]:
    """Return what nobody may learn late: health, faults, locks, tests, ledger, challenge, and the configuration."""
    health = state.guard, state.journal_ok, state.cabinet_faults
    tests = state.tests_due, state.tests_failed
    ledger = state.ledger_open, state.ledger_overdue, state.ledger_undated
    ports = [(port.port, port.state == _TRIPPED, port.findings) for port in state.ports]
    return *health, *tests, state.locks, *ledger, state.challenge, state.config, ports


def _sessions(state: StateReport) -> list[object]:
    return [(port.state, port.session, port.reason) for port in state.ports]


def _moved(old: PortReport, new: PortReport) -> bool:
    if (old.power_w is None) != (new.power_w is None) or (old.temperature_dc is None) != (new.temperature_dc is None):
        return True
    power_w = abs((new.power_w or 0) - (old.power_w or 0))
    temperature_dc = abs((new.temperature_dc or 0) - (old.temperature_dc or 0))
    return power_w > max(_POWER_W, _POWER_SHARE * (old.power_w or 0)) or temperature_dc > _TEMPERATURE_DC
