"""The present state as it is told upstream. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pilenode.station.session import session_of
from pilenode.upstream.contract import LockReport, PortReport, StateReport

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pilenode.ipc.messages import LedgerShown, LockShown, PeriodicTest, PortSnapshot, Snapshot
    from pilenode.station.wallclock import Stamp

_MAX_CODES: Final = 32


def report(
    snapshot: Snapshot | None,
    at: Stamp,
    *,
    journal_ok: bool,
    tests: Sequence[PeriodicTest] = (),
    locks: Sequence[LockShown] = (),
    ledger: LedgerShown | None = None,
    challenge: str | None = None,
) -> StateReport:
    """Return the state of the cabinet; ``snapshot`` None: guard does not answer, ``ledger`` None: not read yet.

    ``challenge``: what a start must repeat, None: nothing.
    """
    return StateReport(
        wall_ms=at.wall_ms,
        clock=at.clock,
        guard=snapshot is not None,
        journal_ok=journal_ok,
        cabinet_faults=snapshot.cabinet_faults[:_MAX_CODES] if snapshot is not None else [],
        ports=[_port(port) for port in snapshot.ports] if snapshot is not None else [],
        tests_due=[test.kind for test in tests if test.due],
        tests_failed=[test.kind for test in tests if test.last_ok is False],
        locks=[
            LockReport(lock=lock.lock, port=lock.port, kind=lock.kind, until_ms=lock.until_ms, in_force=lock.in_force)
            for lock in locks
        ],
        ledger_open=None if ledger is None else ledger.open + ledger.in_progress,
        ledger_overdue=None if ledger is None else ledger.overdue,
        ledger_undated=None if ledger is None else ledger.undated,
        challenge=challenge,
    )


def _port(port: PortSnapshot) -> PortReport:
    return PortReport(
        port=port.port,
        state=port.state,
        session=None if port.session is None else session_of(port.session),
        reason=port.reason,
        findings=port.findings[:_MAX_CODES],
        power_w=None if port.power_w is None else round(port.power_w),
        temperature_dc=None if port.temperature_c is None else round(port.temperature_c * 10),
    )
