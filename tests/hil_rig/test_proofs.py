"""The proofs of the upstream in short: each command at a small size, and each judge shown something to condemn."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import msgspec
import pytest

from hil_rig import bench_boot_offline, bench_drain, bench_link, bench_offline, delivered
from hil_rig.bench_boot_offline import Report
from hil_rig.bench_drain import Drained
from hil_rig.bench_offline import Troubles, Week, strike
from hil_rig.broker import Broker
from hil_rig.mqtt_middle import Packets, kind, topic
from hil_rig.offline_week import fill
from hil_rig.upstream import Store
from pilenode.station.journal import Journal
from pilenode.upstream.contract import FactBatch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NODE = "n"


# -- what judges ----------------------------------------------------------------------------------------------------


def told(directory: Path, change: Callable[[list[FactBatch]], list[FactBatch]], *, confirm: bool = True) -> list[str]:
    """Return what is found wrong when a journal is told as ``change`` makes it."""

    async def main(path: Path, store: Store) -> None:
        journal = Journal(path, reserve_bytes=0)
        await journal.recover()
        log_id, last = journal.status().log_id, journal.status().last_seq
        facts = await journal.stretch(0, last)
        for batch in change([FactBatch(log_id=log_id, facts=facts[at : at + 10]) for at in range(0, last, 10)]):
            store.keep(NODE, batch)
        if confirm:
            await journal.acknowledge(log_id, last)
        await journal.close()

    path = directory / "j.db"
    fill(path, 50)
    with Store(directory / "b.db") as store:
        asyncio.run(main(path, store))
        return delivered.problems(path, store, NODE)


def test_everything_once_is_right(tmp_path: Path) -> None:
    """Whatever the order and the repetition on the way, a log that is there is not complained about."""
    assert told(tmp_path, lambda batches: [*reversed(batches), *batches[:3]]) == []


def test_a_fact_that_is_lost_is_found(tmp_path: Path) -> None:
    """A hole is named, and that the head is another one."""
    found = told(tmp_path, lambda batches: [*batches[:1], *batches[2:]])
    assert [words for words in found if "10 facts lost: [11, 12, 13, 14, 15]" in words]
    assert [words for words in found if "head" in words]


def test_a_fact_that_was_changed_is_found(tmp_path: Path) -> None:
    """Other content under the same number is a contradiction."""

    def forged(batches: list[FactBatch]) -> list[FactBatch]:
        first = msgspec.structs.replace(batches[0].facts[0], wall_ms=1)
        return [*batches, FactBatch(log_id=batches[0].log_id, facts=[first])]

    assert [words for words in told(tmp_path, forged) if "other content" in words]


def test_a_confirmation_that_did_not_arrive_is_found(tmp_path: Path) -> None:
    """The cabinet must know that all is told."""
    assert [words for words in told(tmp_path, lambda batches: batches, confirm=False) if "knows 0 of" in words]


def test_a_week_is_one_of_seven_days_and_of_many_kinds(tmp_path: Path) -> None:
    """Every session that began has ended, times go on, and the same week comes out again."""
    last = fill(tmp_path / "a.db", 3000)
    with closing(sqlite3.connect(tmp_path / "a.db")) as db:
        kinds = dict(db.execute("SELECT kind, count(*) FROM fact GROUP BY kind").fetchall())
        times = [row[0] for row in db.execute("SELECT wall_ms FROM fact ORDER BY seq")]
    assert sum(kinds.values()) == last >= 3000
    assert kinds["session_started"] == kinds["session_ended"]
    assert {"checkpoint", "fault_found", "fault_cleared", "command_result", "start_refused"} <= set(kinds)
    assert times == sorted(times)
    assert fill(tmp_path / "b.db", 3000) == last


def test_packets_are_cut_where_they_end() -> None:
    """Whatever pieces the bytes come in, the same packets come out."""
    publish = bytes([0x32, 0x81, 0x01]) + b"\x00\x09n/dn/ackx" + bytes(118)
    stream = publish + b"\x40\x02\x00\x07" + publish
    for size in (1, 2, 7, 1000):
        packets = Packets()
        found = [packet for at in range(0, len(stream), size) for packet in packets.feed(stream[at : at + size])]
        assert found == [publish, b"\x40\x02\x00\x07", publish]
    assert (kind(publish), topic(publish)) == (3, b"n/dn/ackx")


def drained(**changes: float) -> bench_drain.Report:
    """Return a report of one drain of 3000 facts a second beside 1000 messages a second."""
    one = Drained(per_s=3000.0, late_ms=10.0, busy_ms=50.0, memory_mib=50.0, cpu_us=40.0, duplicates=0)
    one = Drained(**{name: getattr(one, name) for name in one.__dataclass_fields__} | changes)
    return bench_drain.Report(10, 500, {"paho": [1000.0], "aiomqtt": [900.0]}, [one], 3.0)


@pytest.mark.parametrize(
    ("changes", "broken"),
    [({}, 0), ({"per_s": 2999.0}, 1), ({"busy_ms": 50.1}, 1), ({"failures": ["1 fact lost"]}, 1)],
)
def test_a_drain_is_judged_by_speed_patience_and_delivery(changes: dict[str, float], broken: int) -> None:
    """Three times the faster library, nobody kept waiting, nothing lost."""
    assert len(drained(**changes).failures) == broken


# -- the commands, small -----------------------------------------------------------------------------------------------


@pytest.fixture
def _unwatched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the watch of the contract out: it is one more who listens, and holds thousands of facts against a schema."""
    monkeypatch.setattr(Broker, "observer", None)


@pytest.mark.bench
@pytest.mark.needs("mosquitto")
@pytest.mark.usefixtures("_unwatched")
def test_drain(tmp_path: Path) -> None:
    """A backlog arrives, at a speed that is measured; how fast it must be is for a machine that does nothing else."""
    report = bench_drain.measure(tmp_path, facts=3000, rounds=1, messages=500, ratio=0.2)
    assert report.drained[0].failures == []
    assert report.ratio > 0.2
    assert len(report.lines()) == 4


@pytest.mark.bench
@pytest.mark.needs("mosquitto")
def test_offline_week(tmp_path: Path) -> None:
    """Broker killed, rights taken away, confirmations mixed up: shown, and everything arrives once."""
    troubles = Troubles(broker_kills=1, deaths=0, hold_s=0.2, delay_s=0.1, nobody_listens=False)
    report = Week(tmp_path, 600, troubles, pace=30_000.0).run()
    assert report.failures == []
    assert report.facts >= 600
    assert set(report.shown_s) == {"upstream_publish_refused"}
    assert report.broker_kills == 1
    assert report.ack_copies > 0
    assert len(report.lines()) == 7


@pytest.mark.bench
@pytest.mark.needs("mosquitto")
@pytest.mark.usefixtures("_unwatched")
def test_broker_killed_after_its_answer(tmp_path: Path) -> None:
    """What the broker said it took and lost is sent again."""
    report = strike(tmp_path, 2)
    assert report.failures == []
    assert report.lost_by_broker > 0


@pytest.mark.bench
@pytest.mark.needs("mosquitto", "root", "ip", "unshare", "nsenter")
def test_link_that_comes_back() -> None:
    """A cabinet without a carrier is there within seconds of its return."""
    assert bench_link.main(["--nodes", "1", "--seconds", "3", "--cases", "no carrier", "--cold"]) == 0


@pytest.mark.bench
@pytest.mark.needs("mosquitto", "root", "ip", "unshare", "mount")
def test_boot_offline() -> None:
    """Sessions of a cabinet that never had a network, whose station was killed, are all told later."""
    assert bench_boot_offline.main(["--facts", "12", "--longest", "0.8", "--starts", "0"]) == 0


def test_cold_starts_are_told_by_case() -> None:
    """The table names every case with its slowest start."""
    report = Report(answers_s={"no network": [1.0, 2.0]}, begins_s={"no network": [1.5, 2.5]})
    assert report.lines() == [
        "cold start, no network      2 times: answers within 2.00 s, a session has begun within 2.50 s (allowed 5)"
    ]
    assert bench_offline.Report().at_pace_s == 0.0
