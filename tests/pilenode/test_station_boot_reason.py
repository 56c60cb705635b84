"""Promises of the boot reason: what the log holds of the run before decides, and an unsure clock tells no time."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import msgspec
import pytest

from config.schema import Config
from pilenode.ipc.messages import Snapshot
from pilenode.station import main as station_main
from pilenode.station.boot_reason import BootReason, LastRun, boot_reason, guard_started
from pilenode.station.entries import NewFact
from pilenode.station.journal import Journal
from pilenode.station.keeper import to_moment
from pilenode.station.session import Moment
from pilenode.station.wallclock import stamp
from pilenode.upstream.facts import Body, Boot, Fact, FactKind, canonical
from pilenode.upstream.facts_journal import LogSalvaged
from pilenode.upstream.facts_process import GuardStarted, Stopped

if TYPE_CHECKING:
    from pathlib import Path

NOW = Moment("k2", 60_000, 1_000_000)


def fact(seq: int, kind: FactKind, body: Body, *, boot: str = "k2", boottime_ms: int = 0, clock: str = "ntp") -> Fact:
    """Return a fact of a run before; the calendar said 900,000 ms."""
    return Fact(
        seq=seq,
        boot=boot,
        boottime_ms=boottime_ms,
        wall_ms=900_000,
        clock=clock,
        kind=kind,
        body=msgspec.Raw(canonical(body)),
        hash="0" * 64,
    )


def run(*kinds: FactKind, boot: str = "k2", boottime_ms: int = 0, clock: str = "ntp", carried: int = 0) -> LastRun:
    """Return a log of these kinds."""
    bodies: dict[FactKind, Body] = {
        FactKind.BOOT: Boot(version="1"),
        FactKind.STOPPED: Stopped(reason="signal"),
        FactKind.LOG_SALVAGED: LogSalvaged(cause="corrupt", carried=carried),
    }
    newest = {}
    for seq, kind in enumerate(kinds, start=1):
        newest[kind] = fact(seq, kind, bodies[kind], boot=boot, boottime_ms=boottime_ms, clock=clock)
    last = newest[kinds[-1]] if kinds else None
    return LastRun(last, newest.get(FactKind.BOOT), newest.get(FactKind.STOPPED), newest.get(FactKind.LOG_SALVAGED))


BOOT, STOPPED, SALVAGED = FactKind.BOOT, FactKind.STOPPED, FactKind.LOG_SALVAGED


@pytest.mark.parametrize(
    ("log", "reason", "silent_ms"),
    [
        (run(), "first", None),
        (run(BOOT, boottime_ms=50_000), "crash", 10_000),
        (run(BOOT, STOPPED, boottime_ms=50_000), "restart", 10_000),
        (run(BOOT, STOPPED, BOOT, boottime_ms=50_000), "crash", 10_000),
        (run(BOOT, boot="k1"), "power", 100_000),
        (run(BOOT, STOPPED, boot="k1"), "reboot", 100_000),
        (run(BOOT, STOPPED, BOOT, boot="k1"), "power", 100_000),
        (run(BOOT, boot="k1", clock="none"), "power", None),
        # A kernel that tells no boot id: a boot clock that is behind its own log belongs to another boot.
        (run(BOOT, boottime_ms=60_000), "crash", 0),
        (run(BOOT, boottime_ms=60_001), "power", 0),
        (run(SALVAGED), "log_renewed", None),
        (run(SALVAGED, BOOT, carried=1, boottime_ms=50_000), "log_renewed", 10_000),
        (run(SALVAGED, BOOT, STOPPED, carried=1, boottime_ms=50_000), "log_renewed", 10_000),
        (run(SALVAGED, BOOT, carried=0, boottime_ms=50_000), "crash", 10_000),
        (run(SALVAGED, BOOT, STOPPED, carried=0, boottime_ms=50_000), "restart", 10_000),
    ],
)
def test_reason_follows_from_the_log(log: LastRun, reason: str, silent_ms: int | None) -> None:
    """Another boot of the machine, an end in order or none, a log that began anew."""
    found, silent = boot_reason(log, NOW)
    assert found == BootReason(reason)
    if log.last is not None and log.last.boottime_ms > NOW.boottime_ms:
        return  # how long is not known better than the calendar of one boot id, which is none
    assert silent == silent_ms


def test_a_log_that_begins_anew_twice_is_new_twice(tmp_path: Path) -> None:
    """What was carried over of an older log, its own beginning too, is not taken for this one's."""

    async def main() -> list[BootReason]:
        journal = Journal(tmp_path / "j.db")
        await journal.recover()
        found = []
        for _ in range(3):
            found += [boot_reason(await journal.last_run(), to_moment(stamp()))[0]]
            await journal.append([NewFact(BOOT, Boot(version="1"))] * 3)
            found += [boot_reason(await journal.last_run(), to_moment(stamp()))[0]]
            await journal.renounce(journal.status().log_id, "rig")
        await journal.close()
        return found

    anew = [BootReason.LOG_RENEWED, BootReason.CRASH]
    assert asyncio.run(main()) == [BootReason.FIRST, BootReason.CRASH, *anew, *anew]


@pytest.mark.parametrize(
    ("known", "boot", "boottime_ms", "expected"),
    [
        (None, "", 0, GuardStarted(guard_boot="g2", reason="first", age_ms=1500)),
        ("g2", "k1", 0, None),
        ("g1", "k2", 60_000, GuardStarted(guard_boot="g2", before="g1", reason="restart", age_ms=1500)),
        ("g1", "k1", 0, GuardStarted(guard_boot="g2", before="g1", reason="reboot", age_ms=1500)),
    ],
)
def test_every_guard_is_recorded_once(
    known: str | None, boot: str, boottime_ms: int, expected: GuardStarted | None
) -> None:
    """A guard that is on record already is not told again; a new one says whether the machine started anew with it."""
    snapshot = Snapshot(guard_boot="g2", last_event=0, uptime_s=1.5, contactor=True, cabinet_faults=[], ports=[])
    before = None
    if known is not None:
        body = GuardStarted(guard_boot=known, reason="first")
        before = fact(7, FactKind.GUARD_STARTED, body, boot=boot, boottime_ms=boottime_ms)
    assert guard_started(snapshot, before, NOW) == expected


def test_storage_that_hangs_delays_the_end_by_a_moment_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end in order is not recorded then, and station ends all the same."""
    settings = {
        "node": {"id": "n1"},
        "guard": {"socket": str(tmp_path / "guard.sock")},
        "station": {"data_dir": str(tmp_path), "control_socket": str(tmp_path / "control.sock")},
        "bus": [{"name": "b", "device": "/dev/null"}],
        "port": [{"number": 1, "meter": {"model": "m", "unit": 1, "bus": "b"}, "relay": {"pin": 4}}],
        "tariff": [{"version": "t1", "electricity_milli_yuan_per_kwh": 520, "service_milli_yuan_per_kwh": 300}],
    }
    monkeypatch.setattr(station_main, "_FAREWELL_S", 0.05)
    answers = threading.Event()

    async def main() -> float:
        station = station_main.Station(msgspec.convert(settings, Config))
        await station._journal.recover()
        hangs = station._journal._run("write", lambda: answers.wait(20.0))
        hanging = asyncio.create_task(hangs)
        await asyncio.sleep(0)
        begun_s = asyncio.get_running_loop().time()
        await station._record_stop()
        took_s = asyncio.get_running_loop().time() - begun_s
        answers.set()
        await hanging
        assert await station._journal.newest_of(FactKind.STOPPED) is None
        station.end("new_log")
        station.end("signal")  # the first reason counts
        await station._record_stop()
        told = await station._journal.newest_of(FactKind.STOPPED)
        assert told is not None
        assert msgspec.json.decode(told.body, type=Stopped).reason == "new_log"
        await station._journal.close()
        return took_s

    assert asyncio.run(main()) < 1.0
