"""Both processes, a broker and a backend: orders in, facts out."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from hil_rig.broker import Broker
from hil_rig.harness import Harness, Setup, wait
from hil_rig.loads import constant
from hil_rig.upstream import BackendProcess, send
from pilenode.ipc.client import RequestError
from pilenode.ipc.wish import Wish
from pilenode.upstream.contract import Command
from pilenode.upstream.facts import FactKind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.bench


class Site:
    """A running cabinet with its upstream."""

    def __init__(self, cabinet: Harness, broker: Broker, backend: BackendProcess) -> None:
        self.cabinet, self.broker, self.backend = cabinet, broker, backend

    def ready(self) -> bool:
        """Return whether every port can be started and upstream is connected."""
        status = self.cabinet.status()
        ports = status.guard.ports if status.guard else []
        read = bool(ports) and all(p.register_mwh is not None and p.temperature_c is not None for p in ports)
        return read and status.upstream_connected

    def settled(self) -> bool:
        """Return whether every session has ended and everything is acknowledged."""
        status = self.cabinet.status()
        return not status.sessions and status.outbox == 0


@pytest.fixture(params=[pytest.param("mosquitto", marks=pytest.mark.needs("mosquitto")), "amqtt"])
def site(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Site]:
    """Return a cabinet on each of the two brokers."""
    with (
        Broker(kind=request.param) as broker,
        BackendProcess(broker.url, tmp_path / "backend.db") as backend,
        Harness(tmp_path / "cabinet", Setup(profile="demo", upstream_url=broker.url)) as cabinet,
    ):
        cabinet.start("guard")
        cabinet.start("station")
        made = Site(cabinet, broker, backend)
        wait("cabinet ready", made.ready, 40.0)
        yield made


def command(op: str, name: str, port: int, **more: object) -> Command:
    """Return a command that is valid for a minute."""
    now_ms = int(time.time() * 1000)
    return Command(id=name, op=op, port=port, iat=now_ms, exp=now_ms + 60_000, **more)  # type: ignore[arg-type]


def test_a_session_ordered_from_upstream_is_charged_metered_priced_and_told(site: Site) -> None:
    """Start by command, stop by command, one start and one end upstream with energy and both fees."""
    cabinet, store = site.cabinet, site.backend.store
    cabinet.rig.plug(1, constant(600.0, speed=200.0))
    node = cabinet.setup.node
    asyncio.run(send(site.broker.url, node, command("start", "c-1", 1, order="o-1")))
    wait("session runs", lambda: cabinet.port(1).closed)
    asyncio.run(send(site.broker.url, node, command("start", "c-1", 1, order="o-1")))  # delivered twice
    wait("energy flows", lambda: (cabinet.port(1).register_mwh or 0) - 1_000_000 > 100_000)
    asyncio.run(send(site.broker.url, node, command("stop", "c-2", 1, order="o-1")))
    wait("everything upstream", lambda: site.settled() and store.sessions(), 30.0)
    (session,) = store.sessions()
    assert session.started is not None
    assert session.ended is not None
    assert (session.started.order, session.started.source, session.ended.reason) == ("o-1", "upstream", "remote")
    energy_wh = session.ended.energy_wh
    assert energy_wh is not None
    assert energy_wh >= 100
    assert session.ended.electricity_fen == (energy_wh * 520 + 5000) // 10_000
    assert session.ended.service_fen == (energy_wh * 300 + 5000) // 10_000
    results = [json.loads(result) for result in store.results()]
    assert {result["id"] for result in results} == {"c-1", "c-2"}


def test_sessions_that_end_while_the_broker_is_gone_arrive_once(site: Site) -> None:
    """Offline for a while: nothing is lost, nothing is doubled, and the order of facts holds."""
    cabinet, store = site.cabinet, site.backend.store
    for port in (1, 2, 3):
        cabinet.rig.plug(port, constant(200.0, speed=100.0))
        cabinet.order(port, f"o-{port}", Wish(duration_s=2))
    site.broker.kill()
    wait("sessions end offline", lambda: not cabinet.status().sessions, 20.0)
    status = cabinet.status()
    assert not status.upstream_connected
    assert status.outbox >= 3
    site.broker.start()
    wait("everything upstream", site.settled, 40.0)
    assert [row.fact.seq for row in store.rows()] == list(range(1, status.last_seq + 1))
    assert len(store.rows(kind=FactKind.SESSION_ENDED)) == 3
    assert store.broken_link(cabinet.setup.node, status.log_id) is None
    assert store.contradictions() == 0


@pytest.fixture
def alone(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Harness]:
    """Return a cabinet without upstream; its profile is "demo" or what the test asks for."""
    with Harness(tmp_path / "cabinet", Setup(profile=getattr(request, "param", "demo"))) as cabinet:
        cabinet.start("guard")
        cabinet.start("station")
        wait("ports ready", lambda: all(cabinet.port(n).register_mwh and cabinet.port(n).temperature_c for n in (1, 4)))
        yield cabinet


def refusal(cabinet: Harness, port: int, order: str, plan: Wish | None = None) -> str:
    """Return the code with which a start is refused."""
    with pytest.raises(RequestError) as caught:
        cabinet.order(port, order, plan)
    return caught.value.code


def test_a_start_is_refused_before_anything_is_promised(alone: Harness) -> None:
    """Unknown, busy, faulty, conflicting: a stable code, no session, no relay."""
    assert refusal(alone, 9, "a") == "unknown_port"
    alone.rig.plug(1, constant(200.0))
    first = alone.order(1, "b")
    assert alone.order(1, "b").session == first.session
    assert refusal(alone, 1, "c") == "port_busy"
    assert refusal(alone, 2, "b") == "order_conflict"
    alone.rig.meters[3].faults.dead = True
    wait("port 3 is faulty", lambda: alone.port(3).findings == ["meter_lost"])
    assert refusal(alone, 3, "d") == "port_faulty"
    alone.end("guard")
    wait("guard is missed", lambda: alone.status().guard is None)
    assert refusal(alone, 2, "e") == "guard_absent"
    assert [record.order for record in alone.sessions()] == ["b"]
    pins = {alone.setup.cabinet().ports[n].pin for n in (1, 2, 3)}
    assert not any(level for _, pin, level in alone.pins() if pin in pins)


@pytest.mark.parametrize("alone", ["default"], indirect=True)
def test_a_restarted_station_takes_its_sessions_up(alone: Harness) -> None:
    """Within the lease, a minute as shipped, a restart is not noticed by anybody, and the session is ended as ever."""
    alone.rig.plug(1, constant(200.0))
    alone.order(1, "short")
    wait("port 1 closes", lambda: alone.port(1).closed)
    alone.kill("station")
    time.sleep(1.0)
    alone.start("station")
    time.sleep(1.0)
    assert alone.port(1).closed
    assert alone.rig.opened_at(1) is None
    alone.stop(1)
    wait("session settled", lambda: not alone.status().sessions)
    (record,) = alone.sessions()
    assert (record.order, record.reason, record.state) == ("short", "technician", "ended")


def test_a_dead_station_ends_sessions(alone: Harness) -> None:
    """When the lease of ten seconds is over guard opens, and the record says why."""
    alone.rig.plug(1, constant(200.0))
    alone.order(1, "short")
    wait("port 1 closes", lambda: alone.port(1).closed)
    alone.kill("station")
    wait("lease ends", lambda: alone.rig.opened_at(1) is not None, 15.0)
    alone.start("station")
    wait("session settled", lambda: not alone.status().sessions)
    (record,) = alone.sessions()
    assert (record.order, record.reason, record.state) == ("short", "lease_expired", "ended")


def test_a_restarted_guard_is_noticed_and_the_session_goes_on(alone: Harness) -> None:
    """Guard killed in a session: a further leg of the same session under the next guard, one settlement."""
    alone.rig.plug(1, constant(200.0))
    started = alone.order(1, "a")
    wait("port 1 closes", lambda: alone.port(1).closed)
    wait("its reading is durable", lambda: alone.sessions()[0].state == "running")
    alone.kill("guard")
    alone.start("guard")
    wait("port 1 closes again", lambda: alone.port(1).closed, 30.0)
    assert alone.port(1).session == f"{started.session}.2"
    (running,) = alone.status().sessions
    assert (running.session, running.legs) == (started.session, 2)
    alone.stop(1)
    wait("session settled", lambda: not alone.status().sessions)
    (record,) = alone.sessions()
    assert (record.session, record.reason, record.legs) == (started.session, "technician", 2)
    assert record.pause_ms is not None
    assert record.pause_ms > 0


@pytest.mark.parametrize("name", ["guard", "station"])
def test_a_wrong_configuration_starts_nothing_and_lists_everything(tmp_path: Path, name: str) -> None:
    """All errors at once, exit 2, no socket, no file, no relay."""
    with Harness(tmp_path / "cabinet") as cabinet:
        text = cabinet.config_file.read_text(encoding="utf-8")
        text = (
            text.replace("baud = 19200", "baud = 19201")
            .replace("pin = 4", "pinn = 4")
            .replace("unit = 3", "unit = 300")
        )
        cabinet.config_file.write_text(text, encoding="utf-8")
        command = [sys.executable, "-P", "-m", "pilenode.cli", name, "--config", str(cabinet.config_file)]
        environment = os.environ | cabinet.rig.environment | {"LANG": "C"}
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20, check=False)
        assert ended.returncode == 2
        for key in ("bus[1].baud", "pinn", "port[3].meter.unit"):
            assert key in ended.stderr
        assert not (cabinet.directory / f"{name}.sock").exists()
        assert not (cabinet.directory / name).exists()
        assert list(cabinet.pins()) == []


@pytest.mark.long
@pytest.mark.timeout(200)
def test_the_demo_tells_a_true_story(tmp_path: Path) -> None:
    """``make demo`` without a terminal: exit 0, every session in the summary."""
    command = [sys.executable, "-P", "-m", "hil_rig.demo", "--keep", str(tmp_path / "demo")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "The story came true." in ended.stdout
    for reason in ("full", "over_current", "planned_energy", "unplugged"):
        assert reason in ended.stdout
