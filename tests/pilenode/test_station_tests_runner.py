"""Promises of the runner of periodic tests: in time, in nobody's way, every result a fact, every refusal told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest

from config.load import load
from config.schema import Inlet
from config.tariff import flat_schedule
from pilenode.ipc.messages import Done, PeriodicTest, PortSnapshot, Refused, RunTest
from pilenode.ipc.wish import Wish
from pilenode.station.entries import NewFact
from pilenode.station.guard_link import GuardLink
from pilenode.station.house import PlainHouse
from pilenode.station.journal import Journal
from pilenode.station.periodic import FAILED_PAUSE_S, IDLE_S, PAUSE_S
from pilenode.station.sessions import Sessions, StartRequest
from pilenode.station.terms import Terms
from pilenode.station.tests_runner import Prover
from pilenode.station.wallclock import ClockQuality, Stamp
from pilenode.upstream.facts import Fact, FactKind, PeriodicResult

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from config.schema import Config
    from tests.pilenode.conftest import FakeGuard, LimitedFiles

TERMS = Terms(60.0, 60.0, lambda: flat_schedule("t", 0, 0))
NOON = 1_800_000_000_000
PROBES = {1: 25.0, 2: 26.0, 3: 24.0}


def configuration() -> Config:
    """Return a cabinet of three ports in which every test is fitted."""
    config = load("config/example.toml")
    gpio = msgspec.structs.replace(config.gpio, contactor_pin=17, heartbeat_pin=27, contactor_feedback_pin=22)
    inlet = Inlet(model="pzem004t-v3", unit=99, bus="main")
    cabinet = msgspec.structs.replace(config.cabinet, inlet=inlet, probe=config.port[3].probe)
    return msgspec.structs.replace(config, gpio=gpio, cabinet=cabinet, port=config.port[:3])


class Bench:
    """A runner with its journal, its link and a clock that is set by hand."""

    def __init__(self, directory: Path, guard: FakeGuard, config: Config | None = None) -> None:
        self.guard = guard
        self.seconds = 5_000.0
        self.journal = Journal(directory / "j.db", now=self.now, reserve_bytes=0)
        self.link = GuardLink(str(guard.path))
        self.sessions = Sessions(self.journal, self.link, TERMS, PlainHouse())
        self.prover = Prover(
            config or configuration(),
            self.journal,
            self.link,
            self.sessions,
            now=self.now,
            monotonic_s=lambda: self.seconds,
        )

    def now(self) -> Stamp:
        """Return the moment on every clock."""
        return Stamp("b1", round(self.seconds * 1000), NOON + round(self.seconds * 1000), ClockQuality.NTP)

    async def at(self, seconds: float) -> None:
        """Let the whole station look around ``seconds`` later."""
        self.seconds += seconds
        await self.sessions.tick()
        await self.prover.tick()
        await self.sessions.tick()
        await self.prover.tick()

    async def start(self, port: int) -> None:
        """Ask for a start, by the clock of the bench."""
        await self.sessions.start(StartRequest(port, f"o{self.seconds}", plan=Wish(), source="cli"))
        self.sessions.asked_s = self.seconds

    def asked(self) -> list[str]:
        """Return the tests that guard was asked for."""
        return [request.kind for request in self.guard.requests if isinstance(request, RunTest)]

    def report(self, kind: str) -> PeriodicTest:
        """Return what people see of a test."""
        return next(report for report in self.prover.reports() if report.kind == kind)

    async def results(self) -> list[PeriodicResult]:
        """Return every result that is a fact."""
        facts: list[Fact] = await self.journal.unacked(1000)
        return [msgspec.json.decode(one.body, type=PeriodicResult) for one in facts if one.kind == FactKind.TESTED]

    async def settle(self, *kinds: str) -> None:
        """Record a good result of today for those tests."""
        bodies = [PeriodicResult(test=kind, ok=True, guard_boot=self.guard.boot, event=None) for kind in kinds]
        await self.journal.append([NewFact(FactKind.TESTED, body) for body in bodies])


def play(
    directory: Path, guard: FakeGuard, story: Callable[[Bench], Awaitable[None]], config: Config | None = None
) -> None:
    """Run ``story`` with a station and a guard that listens."""
    for port, celsius in PROBES.items():
        guard.set(port, temperature_c=celsius, current_a=0.0, register_mwh=1_000_000)
    guard.whole = {"cabinet_temperature_c": 27.0, "inlet_register_mwh": 9_000_000}

    async def main() -> None:
        bench = Bench(directory, guard, config)
        async with guard:
            try:
                await bench.at(0.0)
                await story(bench)
            finally:
                await bench.link.close()
                await bench.journal.close()

    asyncio.run(main())


# -- tests of guard ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("idle_s", "asked"), [(IDLE_S - 1, []), (IDLE_S, ["dead_man"]), (IDLE_S + 1, ["dead_man"])])
def test_the_dead_man_is_proved_in_the_first_idle_minute(
    tmp_path: Path, guard: FakeGuard, idle_s: float, asked: list[str]
) -> None:
    """Nothing is known of the time before the station: it counts as busy."""

    async def story(bench: Bench) -> None:
        await bench.at(idle_s)
        assert bench.asked() == asked

    play(tmp_path, guard, story)


def test_a_result_of_guard_becomes_one_fact_and_the_next_test_follows(tmp_path: Path, guard: FakeGuard) -> None:
    """The event is kept once, by whatever station reads it; what was due is due no more."""

    async def story(bench: Bench) -> None:
        await bench.settle("relays", "probes", "meters", "rcd")
        assert bench.report("dead_man").due
        await bench.at(IDLE_S)
        assert bench.asked() == ["dead_man"]
        guard.tell("tested", code="dead_man", ok=True, detail="dropped after 0.40 s")
        await bench.at(1)
        *_, told = await bench.results()
        assert (told.test, told.ok, told.detail, told.by) == ("dead_man", True, "dropped after 0.40 s", "")
        assert (told.guard_boot, told.event, told.age_ms) == ("boot-1", 1, 500)
        report = bench.report("dead_man")
        assert (report.due, report.last_ok, report.last_detail) == (False, True, "dropped after 0.40 s")
        again = Bench(tmp_path, guard)
        again.seconds = bench.seconds
        await again.at(0)
        assert len(await again.results()) == 5
        assert not again.report("dead_man").due
        await again.link.close()
        await again.journal.close()

    play(tmp_path, guard, story)


def test_a_new_guard_is_proved_again(tmp_path: Path, guard: FakeGuard) -> None:
    """After a restart of guard the dead man is due, whenever it was proved."""

    async def story(bench: Bench) -> None:
        await bench.settle("dead_man", "relays", "probes", "meters")
        await bench.at(IDLE_S)
        assert bench.asked() == []
        guard.restart("boot-2")
        await bench.at(1)
        assert bench.asked() == ["dead_man"]

    play(tmp_path, guard, story)


@pytest.mark.parametrize("state", ["armed", "on"])
def test_no_test_while_a_port_is_in_use_or_was_a_moment_ago(tmp_path: Path, guard: FakeGuard, state: str) -> None:
    """Whoever runs it; and a full minute of rest after it."""

    async def story(bench: Bench) -> None:
        await bench.start(2)
        guard.set(2, state=state)
        await bench.at(IDLE_S)
        await bench.at(IDLE_S)
        assert bench.asked() == []
        guard.end(2, "full")
        await bench.at(0)
        await bench.at(IDLE_S - 1)
        assert bench.asked() == []
        await bench.at(1)
        assert bench.asked() == ["dead_man"]

    play(tmp_path, guard, story)


def test_no_test_just_after_a_start_was_asked_for(tmp_path: Path, guard: FakeGuard) -> None:
    """Also one that was refused: that person is still there and tries again."""

    async def story(bench: Bench) -> None:
        guard.refuse_grant = Refused(code="over_budget")
        await bench.at(IDLE_S - 1)
        await bench.start(1)
        await bench.at(1)
        assert bench.asked() == []
        await bench.at(IDLE_S - 1)
        assert bench.asked() == ["dead_man"]

    play(tmp_path, guard, story)


def test_a_refused_test_is_told_and_tried_again_after_a_pause(tmp_path: Path, guard: FakeGuard) -> None:
    """What keeps it from running is shown; guard is not asked every second."""

    async def story(bench: Bench) -> None:
        await bench.settle("relays", "probes", "meters")
        guard.refuse_test = Refused(code="cabinet_faulty")
        await bench.at(IDLE_S)
        for _ in range(5):
            await bench.at(1)
        assert bench.asked() == ["dead_man"]
        assert (bench.report("dead_man").due, bench.report("dead_man").waits) == (True, "cabinet_faulty")
        await bench.at(PAUSE_S - 6)
        assert bench.asked() == ["dead_man"]
        guard.refuse_test = None
        await bench.at(1)
        assert bench.asked() == ["dead_man", "dead_man"]
        assert bench.report("dead_man").waits is None

    play(tmp_path, guard, story)


def test_two_tests_are_a_minute_apart(tmp_path: Path, guard: FakeGuard) -> None:
    """However many are due: whoever comes in between finds nothing in the way."""

    async def story(bench: Bench) -> None:
        await bench.at(IDLE_S)
        guard.tell("tested", code="dead_man", ok=True)
        await bench.at(IDLE_S - 1)
        assert bench.asked() == ["dead_man"]
        await bench.at(1)
        assert bench.asked() == ["dead_man", "relays"]

    play(tmp_path, guard, story)


def test_a_running_test_is_shown_and_not_asked_for_again(tmp_path: Path, guard: FakeGuard) -> None:
    """One at a time, and the status says which."""

    async def story(bench: Bench) -> None:
        guard.whole["test_running"] = "relays"
        await bench.at(IDLE_S)
        assert bench.asked() == []
        assert (bench.report("relays").running, bench.report("dead_man").running) == (True, False)

    play(tmp_path, guard, story)


def test_nothing_runs_without_guard_or_without_a_journal(
    tmp_path: Path, guard: FakeGuard, limited_files: LimitedFiles
) -> None:
    """A result that cannot be kept is none; and a person is told so."""

    async def story(bench: Bench) -> None:
        limited_files.fill()
        with pytest.raises(Exception, match="disk"):
            await bench.settle("rcd")
        await bench.at(IDLE_S)
        assert bench.asked() == []
        reply = await bench.prover.order("relays", "Li")
        assert isinstance(reply, Refused)
        assert reply.code == "journal_failed"
        reply = await bench.prover.record("rcd", "Li", "", ok=True)
        assert isinstance(reply, Refused)
        limited_files.free()
        guard.silent = True
        await bench.at(5)
        assert bench.asked() == []
        assert bench.prover.reports()

    play(tmp_path, guard, story)


# -- comparisons ---------------------------------------------------------------------------------------------


def test_probes_are_compared_after_a_long_rest(tmp_path: Path, guard: FakeGuard) -> None:
    """Half an hour after the last current anywhere, once; the one that lies is named."""

    async def story(bench: Bench) -> None:
        await bench.settle("dead_man", "relays", "meters", "rcd")
        await bench.at(1700)
        guard.set(2, current_a=0.06)
        await bench.at(90)
        guard.set(2, current_a=0.05, temperature_c=40.0)
        await bench.at(1799)
        assert len(await bench.results()) == 4
        await bench.at(1)
        *_, told = await bench.results()
        assert (told.test, told.ok, told.by) == ("probes", False, "")
        assert told.detail == "4 probes, 24.0 to 40.0 °C; port 2 40.0 °C (median 26.0)"
        await bench.at(FAILED_PAUSE_S - 1)
        assert len(await bench.results()) == 5
        guard.set(2, temperature_c=26.0)
        await bench.at(1)
        assert [one.ok for one in await bench.results() if one.test == "probes"] == [False, True]

    play(tmp_path, guard, story)


@pytest.mark.parametrize(
    ("finding", "cabinet_fault", "silent"),
    [("probe_fault", None, "port 3"), (None, "cabinet_probe_fault", "cabinet"), (None, None, None)],
)
def test_a_probe_that_guard_does_not_believe_has_no_value(
    tmp_path: Path, guard: FakeGuard, finding: str | None, cabinet_fault: str | None, silent: str | None
) -> None:
    """Its last value is shown for a while; it must not pass for one of now."""

    async def story(bench: Bench) -> None:
        guard.set(3, findings=[finding] if finding else [])
        guard.cabinet_faults = [cabinet_fault] if cabinet_fault else []
        await bench.at(1800)
        assert await bench.prover.order("probes", "Li") == Done()
        told = (await bench.results())[-1]
        assert told.ok is (silent is None)
        assert (f"{silent} no value" in told.detail) is (silent is not None)

    play(tmp_path, guard, story)


def charge(guard: FakeGuard, port_wh: float, inlet_wh: float) -> None:
    """Let port 1 and the inlet have counted that much since the start."""
    guard.set(1, register_mwh=1_000_000 + round(port_wh * 1000))
    guard.whole["inlet_register_mwh"] = 9_000_000 + round(inlet_wh * 1000)


@pytest.mark.parametrize(("inlet_wh", "ok"), [(2080.0, True), (2600.0, False), (1700.0, False)])
def test_meters_are_compared_when_enough_has_flowed(
    tmp_path: Path,
    guard: FakeGuard,
    inlet_wh: float,
    ok: bool,  # noqa: FBT001 - a table
) -> None:
    """The rest before the charge does not blur the comparison; the next one begins after it."""

    async def story(bench: Bench) -> None:
        await bench.settle("dead_man", "relays", "probes", "rcd")
        guard.whole["inlet_register_mwh"] = 9_300_000
        await bench.at(20 * 3600)
        await bench.start(1)
        charge(guard, 500, 300 + 520)
        await bench.at(1800)
        assert len(await bench.results()) == 4
        charge(guard, 2000, 300 + inlet_wh)
        await bench.at(3600)
        (told,) = [one for one in await bench.results() if one.test == "meters"]
        assert told.ok is ok
        assert told.detail.startswith(f"ports 2.00 kWh, inlet {inlet_wh / 1000:.2f} kWh in 1.5 h")
        reply = await bench.prover.order("meters", "Li")
        assert isinstance(reply, Refused)
        assert reply.code == "too_little_energy"

    play(tmp_path, guard, story)


def test_a_meter_that_was_exchanged_begins_a_new_comparison(tmp_path: Path, guard: FakeGuard) -> None:
    """A register that runs back, or is missing, is never compared."""

    async def story(bench: Bench) -> None:
        await bench.settle("dead_man", "relays", "probes", "rcd")
        await bench.start(1)
        charge(guard, 900, 900)
        await bench.at(3600)
        charge(guard, -900, 5000)
        await bench.at(3600)
        guard.set(2, register_mwh=None)
        charge(guard, 0, 9000)
        await bench.at(3600)
        guard.whole["inlet_register_mwh"] = None
        await bench.at(1)
        assert [one for one in await bench.results() if one.test == "meters"] == []

    play(tmp_path, guard, story)


# -- orders --------------------------------------------------------------------------------------------------


def test_a_person_may_order_a_test_at_once(tmp_path: Path, guard: FakeGuard) -> None:
    """Without waiting for the idle minute; the fact tells who it was. What guard says no to is passed on."""

    async def story(bench: Bench) -> None:
        assert await bench.prover.order("relays", "uid 0, pid 1: cli:li") == Done()
        assert bench.asked() == ["relays"]
        guard.refuse_test = Refused(code="test_running", detail="relays")
        assert await bench.prover.order("relays", "somebody else") == guard.refuse_test
        guard.tell("tested", code="relays", ok=False, detail="not read: 3")
        await bench.at(1)
        (told,) = await bench.results()
        assert (told.test, told.ok, told.by) == ("relays", False, "uid 0, pid 1: cli:li")

    play(tmp_path, guard, story)


@pytest.mark.parametrize(
    ("kind", "code"),
    [("rcd", "malformed"), ("coffee", "malformed"), ("probes", "not_idle"), ("meters", "too_little_energy")],
)
def test_an_order_that_cannot_be_carried_out_is_refused(tmp_path: Path, guard: FakeGuard, kind: str, code: str) -> None:
    """Unknown, a person's own, or too early: refused, and no fact."""

    async def story(bench: Bench) -> None:
        reply = await bench.prover.order(kind, "Li")
        assert isinstance(reply, Refused)
        assert reply.code == code
        assert await bench.results() == []

    play(tmp_path, guard, story)


def test_what_is_not_fitted_is_refused_and_never_runs(tmp_path: Path, guard: FakeGuard) -> None:
    """A bare cabinet has only the RCD to be reminded of."""
    config = configuration()
    gpio = msgspec.structs.replace(config.gpio, contactor_pin=None)
    cabinet = msgspec.structs.replace(config.cabinet, inlet=None, probe=None)
    ports = [msgspec.structs.replace(port, probe=None) for port in config.port]
    bare = msgspec.structs.replace(config, gpio=gpio, cabinet=cabinet, port=ports)

    async def story(bench: Bench) -> None:
        await bench.at(7200)
        assert bench.asked() == []
        assert [report.kind for report in bench.prover.reports() if report.fitted or report.due] == ["rcd"]
        assert await bench.prover.order("relays", "Li") == Refused(code="not_fitted", detail="relays")

    play(tmp_path, guard, story, bare)


def test_the_rcd_test_of_a_person_is_recorded(tmp_path: Path, guard: FakeGuard) -> None:
    """Who and how; it is due again when it failed, or after its interval. Nothing else can be recorded by hand."""

    async def story(bench: Bench) -> None:
        assert bench.report("rcd").due
        assert await bench.prover.record("rcd", "uid 0: Li", "", ok=True) == Done()
        report = bench.report("rcd")
        assert (report.due, report.last_ok, report.last_by, report.last_clock) == (False, True, "uid 0: Li", "ntp")
        assert await bench.prover.record("rcd", "uid 0: Li", "does not trip", ok=False) == Done()
        assert (bench.report("rcd").due, bench.report("rcd").last_detail) == (True, "does not trip")
        assert await bench.prover.record("dead_man", "Li", "", ok=True) == Refused(code="malformed", detail="dead_man")
        assert len(await bench.results()) == 2

    play(tmp_path, guard, story)


def test_an_order_without_guard_is_refused(tmp_path: Path, guard: FakeGuard) -> None:
    """Nobody is left to wonder."""

    async def story(bench: Bench) -> None:
        await guard.close()
        await bench.at(1)
        for kind in ("relays", "probes"):
            reply = await bench.prover.order(kind, "Li")
            assert isinstance(reply, Refused)
            assert reply.code == "guard_absent"
        await guard.open()

    play(tmp_path, guard, story)


def test_ports_without_a_meter_do_not_end_the_runner(tmp_path: Path, guard: FakeGuard) -> None:
    """Nothing measured anywhere: probes cannot agree, nothing is compared, and it goes on."""

    async def story(bench: Bench) -> None:
        guard.ports = {port: PortSnapshot(port=port, state="idle", closed=False) for port in (1, 2)}
        guard.whole = {}
        await bench.at(3600)
        assert await bench.prover.order("probes", "Li") == Done()
        told = (await bench.results())[-1]
        assert (told.ok, told.detail) == (False, "no value from any probe")

    play(tmp_path, guard, story)
