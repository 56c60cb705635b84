"""The tick: order of outputs, signs of life, and what a bug does."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

import safety
from drivers.gpio import GpioError
from pilenode.guard.board import CABINET, Board
from pilenode.guard.counters import Counts, RelayCount, Tally
from pilenode.guard.housekeeper import Housekeeper
from pilenode.guard.latches import Latches
from pilenode.guard.loop import STALL_S, Loop
from pilenode.guard.rights import Rights
from pilenode.guard.server import Server
from pilenode.ipc import messages
from pilenode.notify import Notifier
from safety.limits import CabinetLimits, PortLimits
from safety.reading import MeterReading, Missing, MissingReason, ProbeReading
from safety.state import Contact, Grant, Release, Reset, Settings

if TYPE_CHECKING:
    from pathlib import Path

LINE = messages.LineSnapshot(name="main", device="/dev/x", trouble="", echoes=False, units=[])
SETTINGS = Settings(
    ports={1: PortLimits(meter_refresh_s=0.0), 2: PortLimits(meter_refresh_s=0.0)},
    cabinet=CabinetLimits(contactor_settle_s=0.05, close_stagger_s=0.05, contactor_hold_s=0.1),
    contacts=(Contact("smoke", "smoke", 0.0),),
)


class Recorder:
    """Outputs that write down what they were told, in order."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, object]] = []

    def switch(self, port: int, *, closed: bool) -> None:
        """Record."""
        self.calls.append(("close" if closed else "open", port))

    def contactor(self, *, closed: bool) -> None:
        """Record."""
        self.calls.append(("contactor", closed))

    def heartbeat(self) -> None:
        """Record."""
        self.calls.append(("heartbeat", None))

    def all_off(self) -> None:
        """Record."""
        self.calls.append(("all_off", None))

    def close(self) -> None:
        """Record."""


class Contacts:
    """Inputs that say what they are told."""

    def __init__(self) -> None:
        self.smoke = False

    def alarms(self) -> dict[str, bool]:
        """Return the one contact."""
        return {"smoke": self.smoke}


class Requests:
    """A server that hands out what is put in."""

    def __init__(self) -> None:
        self.waiting: list[safety.state.Request] = []
        self.codes: list[str | None] = []
        self.refused = 0

    def take(self) -> tuple[safety.state.Request, ...]:
        """Hand out."""
        taken, self.waiting = tuple(self.waiting), []
        return taken

    def answer(self, answers: tuple[safety.state.Answer, ...]) -> None:
        """Write down."""
        self.codes += [answer.code for answer in answers]


class Bench:
    """A loop with recorded edges and a clock of its own."""

    def __init__(self, directory: Path, settings: Settings = SETTINGS, counts: Counts | None = None) -> None:
        self.now = time.monotonic()
        self.board = Board(SETTINGS.ports, [2], self.now)
        self.relays, self.contacts, self.requests = Recorder(), Contacts(), Requests()
        self.keeper = Housekeeper(directory, lambda *_, **__: None, Latches())
        self.loop = Loop(
            state=safety.initial(settings),
            board=self.board,
            relays=self.relays,
            contacts=self.contacts,
            housekeeper=self.keeper,
            notifier=Notifier(),
            guard_boot="boot",
            tally=Tally(counts or Counts(), 0.0),
            lives=(1000, 2000),
            light_failures=lambda: 7,
            lines=lambda: [LINE],
            reference=lambda: self.now,
        )
        self.loop.server = self.requests  # type: ignore[assignment]

    def closed(self, port: int) -> bool:
        """Return whether the relay of a port was last told to close."""
        told = [what for what, which in self.relays.calls if which == port and what in ("close", "open")]
        return told[-1:] == ["close"]

    def tick(self, *requests: safety.state.Request, amps: float = 1.0) -> list[tuple[str, object]]:
        """Tick once with fresh readings and return the calls of this tick."""
        self.now += 0.05
        for port in (1, 2):
            drawn_a = amps if self.closed(port) else 0.0
            self.board.put_meter(port, MeterReading(self.now, 220.0, drawn_a, 200.0 * drawn_a, None, 7.0, self.now))
        self.board.put_probe(2, ProbeReading(self.now, 20.0))
        self.requests.waiting += requests
        before = len(self.relays.calls)
        self.loop.tick(self.now)
        return self.relays.calls[before:]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Return a loop that has not ticked yet."""
    return Bench(tmp_path)


def test_every_sound_tick_toggles_the_heartbeat_once(bench: Bench) -> None:
    """The dead-man output lives by ticks and by nothing else."""
    for _ in range(5):
        assert bench.tick().count(("heartbeat", None)) == 1


def test_a_tick_that_raises_gives_no_sign_of_life(bench: Bench) -> None:
    """After a bug neither heartbeat nor watchdog is fed."""
    bench.tick()
    bench.board.fail(ValueError("bug in a worker"))
    before = len(bench.relays.calls)
    with pytest.raises(RuntimeError, match="worker thread"):
        bench.tick()
    assert bench.relays.calls[before:] == []


def test_contactor_then_relay_and_back(bench: Bench) -> None:
    """Closing: contactor first. Opening: relay first, contactor after its hold."""
    calls = bench.tick(Grant(1, 1, "s", 60.0))
    for _ in range(3):
        calls += bench.tick()
    assert [call for call in calls if call[0] != "heartbeat"] == [("contactor", True), ("close", 1)]
    calls = bench.tick(Release(2, 1, "s", "user"))
    for _ in range(5):
        calls += bench.tick()
    assert [call for call in calls if call[0] != "heartbeat"] == [("open", 1), ("contactor", False)]
    assert bench.requests.codes == [None, None]


def test_opening_comes_before_closing_in_one_tick(bench: Bench) -> None:
    """When one port opens and another closes in the same tick, the dangerous one is first."""
    bench.tick(Grant(1, 1, "a", 60.0))
    bench.tick()
    bench.tick()
    calls = bench.tick(Release(2, 1, "a", "user"), Grant(3, 2, "b", 60.0))
    calls += bench.tick()
    switched = [call for call in calls if call[0] in ("open", "close")]
    assert switched == [("open", 1), ("close", 2)]


def test_smoke_opens_relays_before_the_contactor(bench: Bench) -> None:
    """Everything in the same tick, relays first so that the contactor opens without load."""
    bench.tick(Grant(1, 1, "a", 60.0))
    for _ in range(3):
        bench.tick()
    bench.contacts.smoke = True
    calls = bench.tick()
    assert [call for call in calls if call[0] != "heartbeat"] == [("open", 1), ("contactor", False)]


def test_a_new_latch_is_handed_to_the_disk_and_blocks_until_it_is_there(bench: Bench) -> None:
    """Nothing new closes before the latch is durable."""
    bench.contacts.smoke = True
    bench.tick()
    assert not bench.keeper.latches_ok
    assert not bench.tick().count(("close", 1))
    reply = bench.loop.read(messages.GetSnapshot())
    assert isinstance(reply, messages.Snapshot)
    assert reply.cabinet_faults == ["smoke", "latch_store_failed"]


def test_the_snapshot_tells_what_is_known(bench: Bench) -> None:
    """Readings with their age, the session, the lease and the registers."""
    bench.tick(Grant(1, 1, "s", 60.0))
    for _ in range(4):
        bench.tick()
    reply = bench.loop.read(messages.GetSnapshot())
    assert isinstance(reply, messages.Snapshot)
    one, two = reply.ports
    assert (one.port, one.state, one.closed, one.session) == (1, "on", True, "s")
    assert (one.voltage_v, one.current_a, one.power_w, one.register_mwh) == (220.0, 1.0, 200.0, 7000)
    assert one.start_register_mwh == 7000
    assert one.lease_left_s is not None
    assert one.lease_left_s == pytest.approx(60.0, abs=0.5)
    assert (two.state, two.closed, two.temperature_c, one.temperature_c) == ("idle", False, 20.0, None)


def test_a_failed_poll_keeps_the_last_reading_and_names_its_reason(bench: Bench) -> None:
    """The old value stays visible with its age; the newest failure stands beside it."""
    bench.tick()
    bench.board.put_meter(1, MeterReading(bench.now, 220.0, 0.01, 1.0, None, 7.0, bench.now))
    bench.board.put_meter(1, Missing(MissingReason.TIMEOUT, bench.now))
    bench.loop.tick(bench.now)
    reply = bench.loop.read(messages.GetSnapshot())
    assert isinstance(reply, messages.Snapshot)
    assert (reply.ports[0].current_a, reply.ports[0].meter_error) == (0.01, "timeout")


def test_two_readings_between_two_ticks_are_two_samples(bench: Bench) -> None:
    """The confirmation that the bus reads at once is not lost because the tick is slower."""
    bench.tick(Grant(1, 1, "s", 60.0))
    for _ in range(3):
        bench.tick()
    bench.now += 0.05
    for taken_s in (bench.now - 0.03, bench.now - 0.001):
        bench.board.put_meter(1, MeterReading(taken_s, 220.0, 12.0, 2000.0, None, 7.0, taken_s))
    before = len(bench.relays.calls)
    bench.loop.tick(bench.now)
    assert bench.relays.calls[before] == ("open", 1)


def test_refused_requests_are_told_in_one_line_in_ten_seconds(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever garbles is heard of, and nobody fills the log."""
    told: list[object] = []

    def note(event: str, **fields: object) -> None:
        if event == "requests refused":
            told.append(fields["count"])

    monkeypatch.setattr(bench.keeper, "note", note)
    for _ in range(50):
        bench.requests.refused += 3
        bench.tick()
    assert told == [3]
    bench.now += 10.0
    bench.tick()
    assert told == [3, 147]
    bench.now += 10.0
    bench.tick()
    assert told == [3, 147]


def test_events_are_numbered_without_gaps_and_told_since(bench: Bench) -> None:
    """A station that comes back asks since n and misses nothing."""
    bench.tick(Grant(1, 1, "s", 60.0))
    for _ in range(3):
        bench.tick()
    bench.tick(Release(2, 1, "s", "user"))
    bench.tick()
    reply = bench.loop.read(messages.GetEvents(since=0))
    assert isinstance(reply, messages.Events)
    assert [event.seq for event in reply.events] == list(range(1, len(reply.events) + 1))
    assert [event.kind for event in reply.events] == ["closed", "opened", "ended"]
    later = bench.loop.read(messages.GetEvents(since=2))
    assert isinstance(later, messages.Events)
    assert [event.kind for event in later.events] == ["ended"]


def on(bench: Bench) -> None:
    """Charge on the first port."""
    bench.tick(Grant(90, 1, "s", 60.0))
    for _ in range(4):
        bench.tick()
    assert bench.closed(1)


@pytest.mark.parametrize(("pause_s", "opened"), [(STALL_S - 0.001, False), (STALL_S + 0.001, True)])
def test_a_pause_that_the_dead_man_may_not_have_survived_opens_everything(
    bench: Bench, pause_s: float, *, opened: bool
) -> None:
    """Its contactor comes back with the next heartbeat: no relay may still be closed then."""
    on(bench)
    bench.now += pause_s - 0.05
    calls = bench.tick()
    assert (("open", 1) in calls) is opened
    assert (("contactor", False) in calls) is opened
    assert ("heartbeat", None) in calls
    assert ("close", 1) not in bench.tick()


def test_a_tick_that_skips_a_stage_gives_no_sign_of_life(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The heartbeat says that every stage was gone through, in order; the first such tick leaves a black box."""
    bench.tick()
    boxes: list[str] = []
    monkeypatch.setattr(bench.keeper, "box", lambda reason, _: boxes.append(reason))
    monkeypatch.setattr(bench.loop, "_act", lambda _, passed, __: passed)
    assert ("heartbeat", None) not in bench.tick() + bench.tick()
    assert boxes == ["tick 1 not sound (stages), no sign of life"]
    reply = bench.loop.read(messages.GetSnapshot())
    assert isinstance(reply, messages.Snapshot)
    assert reply.ticks_unsound == 2


def test_a_line_that_cannot_be_driven_ends_the_loop_without_a_sign_of_life(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever no longer knows what its relays do must not say that all is well."""
    on(bench)

    def refuse(_: int, **__: bool) -> None:
        raise GpioError("EIO")

    monkeypatch.setattr(bench.relays, "switch", refuse)
    before = len(bench.relays.calls)
    with pytest.raises(GpioError):
        bench.tick(Release(91, 1, "s", "user"))
    assert bench.relays.calls[before:] == []


@pytest.mark.parametrize("pace", [0.7, 1.4])
def test_ticks_at_the_wrong_rate_give_no_sign_of_life(bench: Bench, pace: float) -> None:
    """Too slow and cuts come late; too fast and the loop no longer waits for its clock. A second clock says which."""
    start_s = bench.now
    bench.loop._reference = lambda: (bench.now - start_s) * pace
    calls = [bench.tick() for _ in range(60)]
    assert ("heartbeat", None) in calls[0]
    assert ("heartbeat", None) not in calls[-1]


def test_limits_that_changed_in_memory_cut_and_latch(tmp_path: Path) -> None:
    """A flipped bit in a limit is found in the next tick."""
    settings = replace(SETTINGS, ports={1: PortLimits(meter_refresh_s=0.0), 2: PortLimits(meter_refresh_s=0.0)})
    bench = Bench(tmp_path, settings)
    on(bench)
    object.__setattr__(settings.ports[2], "current_limit_a", 60.0)
    calls = bench.tick()
    assert ("open", 1) in calls
    assert bench.loop._state.cabinet.latched == ("limits_damaged",)


def test_a_clock_at_fault_cuts_and_latches(bench: Bench) -> None:
    """Every rule lives by that clock."""
    on(bench)
    bench.loop._clock_fault = lambda: True
    assert ("open", 1) in bench.tick()
    assert bench.loop._state.cabinet.latched == ("clock_fault",)


@pytest.mark.parametrize(("protocol", "kind"), [(1, messages.Welcome), (2, messages.Refused)])
def test_another_protocol_is_refused(bench: Bench, protocol: int, kind: type) -> None:
    """Versions that do not understand each other find out at once."""
    assert isinstance(bench.loop.read(messages.Hello(protocol=protocol)), kind)


def test_the_loop_keeps_its_rhythm_and_stops_when_asked(bench: Bench, tmp_path: Path) -> None:
    """About twenty ticks a second, and the socket is served in between."""
    server = Server(tmp_path / "sock", Rights(frozenset(), None), bench.loop.read)
    start = time.monotonic()

    class Stopper(Contacts):
        def alarms(self) -> dict[str, bool]:
            if time.monotonic() - start > 1.0:
                bench.loop.stop()
            return {"smoke": False}

    bench.loop._contacts = Stopper()
    bench.loop.run(server)
    server.close()
    beats = bench.relays.calls.count(("heartbeat", None))
    assert 15 <= beats <= 22


def counted(bench: Bench) -> messages.Snapshot:
    """Return what a peer sees."""
    reply = bench.loop.read(messages.GetSnapshot())
    assert isinstance(reply, messages.Snapshot)
    return reply


def test_every_operation_of_relay_and_contactor_is_counted(tmp_path: Path) -> None:
    """One session: the contactor closes and opens without load, the relay under load both times."""
    settings = replace(SETTINGS, contactor=True)
    bench = Bench(tmp_path, settings)
    bench.tick(Grant(1, 1, "s", 60.0))
    for _ in range(50):
        bench.tick()
    assert counted(bench).ports[0].relay_closings_loaded == 1
    bench.tick(Release(2, 1, "s", "user"))
    for _ in range(8):
        bench.tick()
    seen = counted(bench)
    port = seen.ports[0]
    assert (port.relay_closings, port.relay_closings_loaded) == (1, 1)
    assert (port.relay_openings, port.relay_openings_loaded) == (1, 1)
    assert (seen.contactor_closings, seen.contactor_openings, seen.contactor_openings_loaded) == (1, 1, 0)
    assert port.relay_life_used == 0.001
    assert seen.contactor_life_used == pytest.approx(1e-7)
    assert seen.light_failures == 7
    assert seen.lines == [LINE]


def test_a_load_that_draws_nothing_leaves_its_contacts_unloaded(bench: Bench) -> None:
    """An empty socket wears nothing."""
    bench.tick(Grant(1, 1, "s", 60.0), amps=0.0)
    for _ in range(50):
        bench.tick(amps=0.0)
    bench.tick(Release(2, 1, "s", "user"), amps=0.0)
    port = counted(bench).ports[0]
    assert (port.relay_closings, port.relay_openings) == (1, 1)
    assert (port.relay_closings_loaded, port.relay_openings_loaded) == (0, 0)


def worn_bench(directory: Path) -> Bench:
    """Return a loop whose second relay and contactor have one loaded opening left before four fifths of their lives."""
    counts = Counts(relays={2: RelayCount(openings_loaded=799), CABINET: RelayCount(openings_loaded=1600)})
    return Bench(directory, replace(SETTINGS, contactor=True), counts)


def test_a_worn_contact_is_a_finding_from_the_operation_that_wears_it_out(tmp_path: Path) -> None:
    """The contactor's stands from the start; the relay's from its next opening under load; nothing is cut."""
    bench = worn_bench(tmp_path)
    bench.tick(Grant(1, 2, "s", 60.0))
    for _ in range(5):
        bench.tick()
    seen = counted(bench)
    assert (seen.cabinet_faults, seen.ports[1].findings, seen.ports[1].state) == (["contactor_worn"], [], "on")
    bench.tick(Release(2, 2, "s", "user"))
    bench.tick()
    assert counted(bench).ports[1].findings == ["relay_worn"]
    assert counted(bench).ports[0].findings == []


def test_the_record_of_a_replacement_starts_the_count_anew(tmp_path: Path) -> None:
    """For the port and for the contactor, each by itself; the findings go with the next tick."""
    bench = worn_bench(tmp_path)
    bench.tick()
    bench.tick(Reset(1, None, "contactor replaced"))
    bench.tick()
    seen = counted(bench)
    assert (seen.cabinet_faults, seen.contactor_openings_loaded, seen.ports[1].relay_openings_loaded) == ([], 0, 799)
    assert bench.requests.codes == [None]


def test_a_finding_that_goes_without_a_record_changes_no_count(tmp_path: Path) -> None:
    """Only a person who says what was replaced starts a count anew."""
    bench = worn_bench(tmp_path)
    bench.tick()
    bench.loop._worn = frozenset()
    bench.tick()
    seen = counted(bench)
    assert (seen.cabinet_faults, seen.contactor_openings_loaded) == ([], 1600)
