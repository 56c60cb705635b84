"""Carries out the periodic tests: asks guard for those that need the outputs, compares instruments for the others.

Rules of this file:
- nothing here holds a lock that a session needs, and no test is asked for unless the cabinet has been idle for a
  minute; a person who orders one is refused by guard when a port is in use;
- results of guard's tests become facts on the way of all of guard's events (``faults``); the others are written here;
- a result that cannot be kept is no result: without a journal no test runs by itself.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Final

import structlog

from pilenode import clock
from pilenode.ipc.messages import Done, PeriodicTest, Refused, RunTest
from pilenode.station import periodic, wallclock
from pilenode.station.entries import JournalConflictError, JournalFailedError, NewFact
from pilenode.station.guard_link import GuardAbsentError
from pilenode.station.periodic import GUARDS, IDLE_S, Kind
from pilenode.upstream.facts import MAX_WORDS, FactKind, PeriodicResult
from safety import cross_check
from safety.cross_check import CrossLimits, Registers, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from config.schema import Config
    from pilenode.ipc.messages import Snapshot
    from pilenode.station.guard_link import GuardLink
    from pilenode.station.journal import Journal
    from pilenode.station.periodic import Last, Plan
    from pilenode.station.sessions import Sessions
    from pilenode.station.wallclock import Stamp

#: How often it is looked, seconds.
_EVERY_S: Final = 1.0
#: From here a port counts as having a current, A (``safety.limits.PortLimits.weld_current_a``).
_CURRENT_A: Final = 0.05
#: Guard's words for a probe without a trustworthy value, of a port and of the cabinet.
_PROBE_FAULTS: Final = frozenset({"probe_fault", "cabinet_probe_fault", "probes_lost"})

log = structlog.get_logger()


class Prover:
    """The periodic tests of one cabinet. ``now`` tells the moment on every clock, ``monotonic_s`` times intervals."""

    def __init__(
        self,
        config: Config,
        journal: Journal,
        guard: GuardLink,
        sessions: Sessions,
        *,
        limits: CrossLimits | None = None,
        now: Callable[[], Stamp] = wallclock.stamp,
        monotonic_s: Callable[[], float] = clock.monotonic_s,
    ) -> None:
        self._plans = {plan.kind: plan for plan in periodic.plans(config)}
        self._probes = periodic.probes(config)
        self._journal = journal
        self._guard = guard
        self._sessions = sessions
        self._limits = limits or CrossLimits()
        self._now = now
        self._monotonic_s = monotonic_s
        self._last: Mapping[Kind, Last] = {}
        self._read_seq = -1  # the newest fact when the results were read
        self._tried_s: dict[Kind, float] = {}
        self._waits: dict[Kind, str] = {}  # code of the last refusal
        # What was before this process is not known: it counts as busy.
        self._busy_s = self._current_s = monotonic_s()
        self._since: Registers | None = None

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await self.tick()
            await asyncio.sleep(_EVERY_S)

    async def tick(self) -> None:
        """Look once, and carry out at most one test that is due. Trouble with guard or storage is not an exception."""
        snapshot = self._sessions.snapshot
        self._look(snapshot)
        if not await self._read() or snapshot is None:
            return
        for kind, plan in self._plans.items():
            if self._may_run(plan, snapshot):
                await self._run(kind, "")
                return

    async def order(self, kind: str, by: str) -> Done | Refused:
        """Run a test because a person wants it now; only what guard or the instruments refuse is refused."""
        known = Kind.named(kind)
        if known is None or known is Kind.RCD:
            return Refused(code="malformed", detail=kind[:MAX_WORDS])
        plan = self._plans[known]
        if not plan.fitted:
            return Refused(code="not_fitted", detail=kind)
        problem = self._journal.status().problem
        if problem is not None:
            return Refused(code="journal_failed", detail=problem[:MAX_WORDS])
        return await self._run(plan.kind, by)

    async def record(self, kind: str, by: str, detail: str, *, ok: bool) -> Done | Refused:
        """Record a test that a person has done: the test button of the RCD."""
        if kind != Kind.RCD:
            return Refused(code="malformed", detail=kind[:MAX_WORDS])
        return await self._write(Kind.RCD, Verdict(ok, detail), by)

    def reports(self) -> list[PeriodicTest]:
        """Return every test as people see it."""
        snapshot, now = self._sessions.snapshot, self._now()
        return [self._report(plan, snapshot, now) for plan in self._plans.values()]

    # -- looking -----------------------------------------------------------------------------------------------

    def _look(self, snapshot: Snapshot | None) -> None:
        now = self._monotonic_s()
        busy = self._sessions.busy
        if busy:
            self._busy_s = now
        if snapshot is None:
            return
        if busy or any((port.current_a or 0.0) > _CURRENT_A for port in snapshot.ports):
            self._current_s = now
        registers = self._registers(snapshot)
        if registers is not None:
            self._since = cross_check.window(self._since, registers, busy=busy, limits=self._limits)

    def _registers(self, snapshot: Snapshot) -> Registers | None:
        if snapshot.inlet_register_mwh is None:
            return None
        ports = {port.port: port.register_mwh / 1000 for port in snapshot.ports if port.register_mwh is not None}
        return Registers(self._monotonic_s(), snapshot.inlet_register_mwh / 1000, ports)

    async def _read(self) -> bool:
        """Keep the newest results in memory. Returns whether they are known and could be added to."""
        status = self._journal.status()
        if status.problem is not None:
            return False
        if status.last_seq == self._read_seq:
            return True
        try:
            self._last = periodic.results(await self._journal.last_tests())
        except JournalFailedError as error:
            log.warning("results of periodic tests not read", problem=error.problem)
            return False
        self._read_seq = status.last_seq
        return True

    def _guard_boot(self, snapshot: Snapshot | None) -> str | None:
        return snapshot.guard_boot if snapshot is not None else None

    def _may_run(self, plan: Plan, snapshot: Snapshot) -> bool:
        kind, now = plan.kind, self._monotonic_s()
        last = self._last.get(kind)
        if kind is Kind.RCD or not periodic.is_due(plan, last, self._now(), snapshot.guard_boot):
            return False
        tried_s = self._tried_s.get(kind)
        if periodic.rests(kind, last, self._now(), None if tried_s is None else now - tried_s):
            return False
        if kind in GUARDS:
            return snapshot.test_running is None and now - max(self._busy_s, self._sessions.asked_s) >= IDLE_S
        return self._judge(kind, snapshot) is not None

    def _report(self, plan: Plan, snapshot: Snapshot | None, now: Stamp) -> PeriodicTest:
        last = self._last.get(plan.kind)
        due = periodic.is_due(plan, last, now, self._guard_boot(snapshot))
        running = snapshot is not None and snapshot.test_running == plan.kind
        waits = self._waits.get(plan.kind) if due and not running else None
        if last is None:
            return PeriodicTest(kind=plan.kind.value, fitted=plan.fitted, due=due, running=running, waits=waits)
        return PeriodicTest(
            kind=plan.kind.value,
            fitted=plan.fitted,
            due=due,
            running=running,
            waits=waits,
            last_seq=last.seq,
            last_wall_ms=last.wall_ms,
            last_clock=last.clock,
            last_ok=last.ok,
            last_detail=last.detail,
            last_by=last.by,
        )

    # -- carrying out ------------------------------------------------------------------------------------------

    async def _run(self, kind: Kind, by: str) -> Done | Refused:
        reply = await (self._ask_guard(kind, by) if kind in GUARDS else self._compare(kind, by))
        if isinstance(reply, Refused):
            log.info("periodic test refused", test=kind.value, code=reply.code, detail=reply.detail, by=by)
            self._waits[kind] = reply.code
        else:
            self._waits.pop(kind, None)
        self._tried_s[kind] = self._monotonic_s()
        return reply

    async def _ask_guard(self, kind: Kind, by: str) -> Done | Refused:
        ordered = self._sessions.tests_ordered
        before, ordered[kind] = ordered.get(kind, ""), by
        try:
            reply = await self._guard.request(RunTest(kind=kind.value))
        except GuardAbsentError as error:
            return Refused(code="guard_absent", detail=error.problem[:MAX_WORDS])
        if isinstance(reply, Refused):
            ordered[kind] = before  # the one that runs was ordered by somebody else
            return reply
        # The next one is a minute away: who comes in between finds nothing in the way.
        self._busy_s = self._monotonic_s()
        log.info("periodic test begins", test=kind.value, by=by)
        return Done()

    async def _compare(self, kind: Kind, by: str) -> Done | Refused:
        snapshot = self._sessions.snapshot
        if snapshot is None:
            return Refused(code="guard_absent")
        verdict = self._judge(kind, snapshot)
        if verdict is None:
            return self._too_early(kind)
        reply = await self._write(kind, verdict, by)
        if kind is Kind.METERS and isinstance(reply, Done):
            self._since = None  # the next comparison begins here
        return reply

    def _judge(self, kind: Kind, snapshot: Snapshot) -> Verdict | None:
        """Return what a comparison says now, None when it is too early for one."""
        if kind is Kind.PROBES:
            if self._rest_s() < self._limits.rest_s:
                return None
            return cross_check.judge_probes(self._temperatures_c(snapshot), self._limits)
        after = self._registers(snapshot)
        if self._since is None or after is None or not cross_check.comparable(self._since, after):
            return None
        return cross_check.judge_meters(self._since, after, self._limits)

    def _too_early(self, kind: Kind) -> Refused:
        limits = self._limits
        if kind is Kind.PROBES:
            minutes = math.floor(self._rest_s() / 60)
            return Refused(code="not_idle", detail=f"{minutes} of {limits.rest_s / 60:.0f} min at rest")
        return Refused(code="too_little_energy", detail=f"{limits.energy_wh / 1000:g} kWh needed")

    def _rest_s(self) -> float:
        return self._monotonic_s() - self._current_s

    def _temperatures_c(self, snapshot: Snapshot) -> dict[str, float | None]:
        """Return what every fitted probe says, None for one that guard does not believe."""
        ports = {port.port: port for port in snapshot.ports}
        found: dict[str, float | None] = {}
        for number in self._probes:
            if number is None:
                faulty = bool(_PROBE_FAULTS.intersection(snapshot.cabinet_faults))
                found["cabinet"] = None if faulty else snapshot.cabinet_temperature_c
            else:
                port = ports.get(number)
                faulty = port is None or bool(_PROBE_FAULTS.intersection(port.findings))
                found[f"port {number}"] = None if port is None or faulty else port.temperature_c
        return found

    async def _write(self, kind: Kind, verdict: Verdict, by: str) -> Done | Refused:
        detail = verdict.detail if len(verdict.detail) <= MAX_WORDS else verdict.detail[: MAX_WORDS - 1] + "…"
        body = PeriodicResult(test=kind.value, ok=verdict.ok, detail=detail, by=by[:MAX_WORDS])
        try:
            await self._journal.append([NewFact(FactKind.TESTED, body)])
        except (JournalFailedError, JournalConflictError) as error:
            return Refused(code="journal_failed", detail=str(error)[:MAX_WORDS])
        level = log.info if verdict.ok else log.warning
        level("periodic test done", test=kind.value, ok=verdict.ok, detail=detail, by=by)
        await self._read()
        return Done()
