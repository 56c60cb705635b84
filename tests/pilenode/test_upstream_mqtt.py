"""Promises of the MQTT adapter, with real brokers: it finds its version, hides no death, drops what is no message."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiomqtt
import msgspec
import pytest
from paho.mqtt.client import MQTT_ERR_CONN_LOST

from config.schema import Upstream as Settings
from hil_rig.broker import Broker, find_mosquitto, free_port
from pilenode.upstream import dialect, mqtt
from pilenode.upstream.contract import (
    MAX_ACK_BYTES,
    MAX_TIME_BYTES,
    NO_LINK,
    Ack,
    Command,
    Hello,
    IncomingCommand,
    Live,
    Time,
    UpstreamLostError,
    down,
    up,
)
from pilenode.upstream.desired import MAX_DESIRED_BYTES, IncomingConfig
from pilenode.upstream.mqtt import MqttUpstream
from pilenode.upstream.mqtt_client import Client
from pilenode.upstream.mqtt_link import MAX_MESSAGE_BYTES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

pytestmark = pytest.mark.bench

NODE = "node-1"
LOG_ID = "0123456789abcdef"
HELLO = Hello(version="1", log_id=LOG_ID, first_unacked=1, last=0, head=NO_LINK)
NOTHING_YET = Ack(log_id=LOG_ID, upto=0, hash=NO_LINK)


@pytest.fixture(scope="module", params=[pytest.param("mosquitto", marks=pytest.mark.needs("mosquitto")), "amqtt"])
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """Return a real broker of each kind."""
    with Broker(kind=request.param) as running:
        yield running


@pytest.fixture(autouse=True)
def _short_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialect, "PROBE_S", 0.5)


def upstream(url: str, **options: Any) -> MqttUpstream:  # noqa: ANN401 - passed on
    """Return the adapter for a broker."""
    return MqttUpstream(Settings(url=url, **options), NODE)


@contextlib.asynccontextmanager
async def watcher(broker: Broker, topic: str = "pn/v1/#") -> AsyncIterator[aiomqtt.Client]:
    """Return a plain client that hears everything."""
    async with aiomqtt.Client("127.0.0.1", broker.port) as client:
        await client.subscribe(topic, qos=1)
        yield client


async def heard(client: aiomqtt.Client, topic: str) -> bytes:
    """Return the next payload on a topic."""
    async with asyncio.timeout(5):
        async for message in client.messages:
            if message.topic.value == topic:
                assert isinstance(message.payload, bytes)
                return message.payload
    raise AssertionError


def test_version_is_found_and_remembered(broker: Broker) -> None:
    """5 where the broker speaks it, else 3.1.1 soon; the second connection does not search again."""

    async def main() -> None:
        adapter = upstream(broker.url)
        spent = []
        for _ in range(2):
            begun = time.monotonic()
            async with adapter.connect() as link:
                spent.append(time.monotonic() - begun)
                assert link.protocol == ("mqtt5" if broker.kind == "mosquitto" else "mqtt3.1.1")
        assert spent[0] < dialect.PROBE_S + 1.0
        assert spent[1] < 1.0

    asyncio.run(main())


def test_cabinet_hears_before_it_speaks(broker: Broker) -> None:
    """Whatever answers the hello is heard: the subscription stands before the hello goes out."""

    async def answer(client: aiomqtt.Client) -> None:
        async for message in client.messages:
            if message.topic.value == up(NODE, "hello"):
                await client.publish(down(NODE, "ack"), msgspec.json.encode(NOTHING_YET), qos=1)

    async def main() -> None:
        adapter = upstream(broker.url)
        async with watcher(broker) as backend:
            answering = asyncio.create_task(answer(backend))
            for _ in range(5):
                async with adapter.connect() as link:
                    await link.hello(HELLO)
                    async with asyncio.timeout(5):
                        assert await anext(link.incoming()) == NOTHING_YET
            answering.cancel()

    asyncio.run(main())


def test_presence_is_retained_and_names_its_connection(broker: Broker) -> None:
    """Who asks later learns whether the cabinet is there; an orderly end is told by the cabinet itself."""

    async def main() -> None:
        async with upstream(broker.url).connect(), watcher(broker, up(NODE, "live")) as late:
            here = msgspec.json.decode(await heard(late, up(NODE, "live")), type=Live)
        async with watcher(broker, up(NODE, "live")) as later:
            gone = msgspec.json.decode(await heard(later, up(NODE, "live")), type=Live)
        assert here.online
        assert not gone.online
        assert gone.session == here.session

    asyncio.run(main())


def test_death_is_told_by_the_broker(broker: Broker) -> None:
    """A connection that dies is announced by its last will, under its own number, and noticed here."""

    async def main() -> None:
        async with watcher(broker, up(NODE, "live")) as client:
            with contextlib.suppress(UpstreamLostError):
                async with upstream(broker.url).connect() as link:
                    while not (here := msgspec.json.decode(await heard(client, up(NODE, "live")), type=Live)).online:
                        pass
                    wire = link._client._client.socket()
                    assert isinstance(wire, socket.socket)
                    wire.shutdown(socket.SHUT_RDWR)
                    with pytest.raises(UpstreamLostError):
                        await anext(link.incoming())
                    with pytest.raises(UpstreamLostError):
                        await link.hello(HELLO)
            gone = msgspec.json.decode(await heard(client, up(NODE, "live")), type=Live)
            assert gone == Live(session=here.session, online=False)

    asyncio.run(main())


@pytest.mark.off_contract
def test_what_makes_no_sense_is_dropped_and_counted(broker: Broker) -> None:
    """Malformed and oversized confirmations and huge commands are counted; what follows them still arrives."""

    async def main() -> None:
        adapter = upstream(broker.url)
        async with watcher(broker) as backend, adapter.connect() as link:
            for payload in (b"", b"{}", b"\xff", b"[" * 1000, b'{"log_id":"x","upto":1}'):
                await backend.publish(down(NODE, "ack"), payload, qos=1)
            await backend.publish(down(NODE, "ack"), b" " * (MAX_ACK_BYTES + 1), qos=1)
            await backend.publish(down(NODE, "cmd"), b"x" * (MAX_MESSAGE_BYTES + 1), qos=1)
            await backend.publish(down(NODE, "cmd"), b"{}", qos=1)
            async with asyncio.timeout(5):
                assert await anext(link.incoming()) == IncomingCommand(b"{}", retained=False)
        assert [adapter.dropped[cause] for cause in ("malformed_ack", "too_deep", "oversized")] == [4, 1, 2]

    asyncio.run(main())


def test_another_major_version_is_dropped_and_counted(broker: Broker) -> None:
    """A confirmation or time of other rules is not believed, whatever its fields say; the connection stays."""
    later = msgspec.json.encode(Ack(protocol=2, log_id=LOG_ID, upto=7, hash=NO_LINK))

    async def main() -> None:
        adapter = upstream(broker.url)
        async with watcher(broker) as backend, adapter.connect() as link:
            await backend.publish(down(NODE, "ack"), later, qos=1)
            await backend.publish(down(NODE, "time"), msgspec.json.encode(Time(protocol=0, wall_ms=1)), qos=1)
            await backend.publish(down(NODE, "ack"), msgspec.json.encode(NOTHING_YET), qos=1)
            async with asyncio.timeout(5):
                assert await anext(link.incoming()) == NOTHING_YET
        assert adapter.dropped["protocol_mismatch"] == 2

    asyncio.run(main())


@pytest.mark.off_contract
def test_a_time_that_was_kept_by_the_broker_is_dropped(broker: Broker) -> None:
    """Nobody knows how old it is. One sent now arrives; one that is no time, or too large, is counted."""
    told = Time(wall_ms=1, asked_ms=2)

    async def main() -> None:
        adapter = upstream(broker.url)
        async with watcher(broker) as backend:
            await backend.publish(down(NODE, "time"), msgspec.json.encode(told), qos=1, retain=True)
            async with adapter.connect() as link:
                await backend.publish(down(NODE, "time"), b'{"wall_ms":-1}', qos=1)
                await backend.publish(down(NODE, "time"), b" " * (MAX_TIME_BYTES + 1), qos=1)
                await backend.publish(down(NODE, "time"), msgspec.json.encode(Time(wall_ms=3)), qos=1)
                async with asyncio.timeout(5):
                    assert await anext(link.incoming()) == Time(wall_ms=3)
            await backend.publish(down(NODE, "time"), b"", qos=1, retain=True)
        assert adapter.dropped["retained_time"] >= 1  # amqtt hands a kept message out twice
        assert (adapter.dropped["malformed_time"], adapter.dropped["oversized"]) == (1, 1)

    asyncio.run(main())


def test_retained_command_is_known_as_such(broker: Broker) -> None:
    """A command that the broker had kept arrives marked, one that is sent now does not."""
    payload = msgspec.json.encode(Command(id="c", op="stop", port=1, iat=0, exp=0))

    async def main() -> None:
        async with watcher(broker) as backend:
            await backend.publish(down(NODE, "cmd"), payload, qos=1, retain=True)
            async with upstream(broker.url).connect() as link:
                incoming = link.incoming()
                async with asyncio.timeout(5):
                    assert await anext(incoming) == IncomingCommand(payload, retained=True)
                    await backend.publish(down(NODE, "cmd"), payload, qos=1, retain=False)
                    latest = await anext(incoming)
                    while latest == IncomingCommand(payload, retained=True):  # amqtt hands a kept message out twice
                        latest = await anext(incoming)
                    assert latest == IncomingCommand(payload, retained=False)
                    await backend.publish(down(NODE, "cmd"), b"", qos=1, retain=True)

    asyncio.run(main())


@pytest.mark.off_contract
def test_a_configuration_is_heard_whether_kept_or_new(broker: Broker) -> None:
    """The kept one at once, whole; of one that is too long no more than it takes to know that."""
    kept = b'{"version":1}'

    async def main() -> None:
        adapter = upstream(broker.url)
        async with watcher(broker) as backend:
            await backend.publish(down(NODE, "cfg"), kept, qos=1, retain=True)
            async with adapter.connect() as link:
                incoming = link.incoming()
                async with asyncio.timeout(5):
                    assert await anext(incoming) == IncomingConfig(kept)
                    await backend.publish(down(NODE, "cfg"), b" " * (MAX_DESIRED_BYTES + 1000), qos=1)
                    latest = await anext(incoming)
                    while latest == IncomingConfig(kept):  # amqtt hands a kept message out twice
                        latest = await anext(incoming)
                assert latest == IncomingConfig(b" " * (MAX_DESIRED_BYTES + 1))
            await backend.publish(down(NODE, "cfg"), b"", qos=1, retain=True)
        assert not adapter.dropped["oversized"]

    asyncio.run(main())


@pytest.mark.off_contract
def test_command_sent_while_away_is_not_kept(broker: Broker) -> None:
    """A broker keeps nothing for a cabinet that is away: what arrives was sent while the connection stood."""

    async def main() -> None:
        adapter = upstream(broker.url)
        async with adapter.connect():
            pass
        async with watcher(broker) as backend:
            await backend.publish(down(NODE, "cmd"), b"old", qos=1)
            async with adapter.connect() as link:
                await backend.publish(down(NODE, "cmd"), b"new", qos=1)
                async with asyncio.timeout(5):
                    assert await anext(link.incoming()) == IncomingCommand(b"new", retained=False)

    asyncio.run(main())


def open_files() -> int:
    """Return the number of open descriptors."""
    return len(list(Path("/proc/self/fd").iterdir()))


async def _fail(adapter: MqttUpstream) -> float:
    """Return how long a connection takes to fail."""
    begun = time.monotonic()
    with pytest.raises(UpstreamLostError):
        async with adapter.connect():
            pass
    return time.monotonic() - begun


def test_nobody_there_is_said_at_once_and_is_no_question_of_version() -> None:
    """A refused connection fails at once and does not make the adapter doubt its version."""

    async def main() -> None:
        adapter = upstream(f"mqtt://127.0.0.1:{free_port()}")
        plan = adapter._dialect.plan(time.monotonic())
        assert await _fail(adapter) < 1.0
        assert adapter._dialect.plan(time.monotonic()) == plan

    asyncio.run(main())


@pytest.mark.parametrize(
    "url", ["mqtt://:1883", "mqtt://h:99999", "mqtt://h:x", "mqtt://[::1", f"mqtt://{'a' * 64}.x", "mqtt://..:1"]
)
def test_address_that_cannot_be_one_is_a_failure_and_not_the_end(url: str) -> None:
    """A wrong address is a connection that fails; the cabinet goes on without an upstream."""

    async def main() -> None:
        await _fail(upstream(url))

    asyncio.run(main())


@pytest.mark.parametrize("manner", ["hangs up", "is silent", "babbles"])
def test_strange_broker_costs_little_and_leaves_nothing_open(manner: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that hangs up, never answers or speaks nonsense ends in a failure in time, without a leak.

    A hang-up is noticed as one: it costs no waiting at all.
    """
    monkeypatch.setattr(mqtt, "_EXAMINE_S", 0.2)
    if manner != "hangs up":
        monkeypatch.setattr(dialect, "PROBE_S", 0.1)
        monkeypatch.setattr(dialect, "PATIENCE_S", 0.2)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        if manner == "babbles":
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        if manner != "hangs up":
            await reader.read()
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        adapter = upstream(f"mqtt://127.0.0.1:{port}")
        await _fail(adapter)
        assert adapter._looking is not None
        assert (await adapter._looking).code == ("broker_hangs_up" if manner == "hangs up" else "broker_silent")
        await asyncio.sleep(0.05)
        before = open_files()
        for _ in range(5):
            assert await _fail(adapter) < (0.4 if manner == "hangs up" else 1.0)
        await asyncio.sleep(0.05)
        assert open_files() <= before
        server.close()
        await server.wait_closed()

    asyncio.run(main())


def test_missing_secrets_are_a_failure_and_not_the_end(tmp_path: Path) -> None:
    """A password or certificate file that is not there is a connection that fails, again and again."""

    async def main() -> None:
        for options in ({"password_file": str(tmp_path / "none")}, {"ca_file": str(tmp_path / "none")}):
            adapter = upstream(f"mqtts://127.0.0.1:{free_port()}", username="u", **options)
            for _ in range(2):
                assert await _fail(adapter) < 1.0

    asyncio.run(main())


# -- TLS -------------------------------------------------------------------------------------------------------


def test_order_to_end_is_not_lost_to_an_answer_of_the_same_moment() -> None:
    """A task that waits for the broker ends when told to, also when the answer comes in the same turn of the loop."""

    async def main() -> None:
        client = Client("127.0.0.1", timeout=5.0)
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        waiting = asyncio.create_task(client._wait_for(answer, None))
        await asyncio.sleep(0)
        answer.set_result("too late")
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(main())


def test_patience_with_the_broker_has_an_end() -> None:
    """An answer that does not come in time is a failure of the connection; one that does is handed over."""

    async def main() -> None:
        client = Client("127.0.0.1", timeout=5.0)
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        with pytest.raises(aiomqtt.MqttError, match="timed out"):
            await client._wait_for(asyncio.shield(answer), 0.01)
        answer.set_result("here")
        assert await client._wait_for(answer, 0.01) == "here"

    asyncio.run(main())


def _openssl(directory: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)


def _authority(directory: Path, name: str) -> None:
    subject = ["-subj", f"/CN={name}", "-days", "2", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    _openssl(directory, "req", "-x509", *subject, "-keyout", f"{name}.key", "-out", f"{name}.crt")


def _certificate(directory: Path, name: str, authority: str) -> None:
    subject = ["-subj", f"/CN={name}", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    _openssl(directory, "req", *subject, "-keyout", f"{name}.key", "-out", f"{name}.csr")
    (directory / "san").write_text("subjectAltName=IP:127.0.0.1\n")
    signing = ["-CA", f"{authority}.crt", "-CAkey", f"{authority}.key", "-CAcreateserial", "-extfile", "san"]
    _openssl(directory, "x509", "-req", "-days", "2", "-in", f"{name}.csr", "-out", f"{name}.crt", *signing)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Return the address of a broker that wants certificates both ways, and the directory of the keys."""
    directory = tmp_path_factory.mktemp("tls")
    for authority in ("ours", "theirs"):
        _authority(directory, authority)
    for name, authority in (("broker", "ours"), (NODE, "ours"), ("stranger", "theirs")):
        _certificate(directory, name, authority)
    port = free_port()
    (directory / "mosquitto.conf").write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\nrequire_certificate true\nuser root\n"
        f"cafile {directory}/ours.crt\ncertfile {directory}/broker.crt\nkeyfile {directory}/broker.key\n"
    )
    process = subprocess.Popen(
        [find_mosquitto() or "mosquitto", "-c", str(directory / "mosquitto.conf")], stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(250):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
                break
            time.sleep(0.02)
        yield f"mqtts://127.0.0.1:{port}", directory
    finally:
        process.terminate()
        process.wait()


@pytest.mark.needs("mosquitto", "openssl")
@pytest.mark.filterwarnings(
    "ignore:.*ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning"  # paho leaves a failed handshake to the collector
)
@pytest.mark.parametrize(
    ("authority", "certificate", "connects"),
    [("ours", NODE, True), ("theirs", NODE, False), ("ours", "stranger", False), ("ours", None, False)],
)
def test_tls_works_both_ways_or_not_at_all(
    tls: tuple[str, Path],
    authority: str,
    certificate: str | None,
    connects: bool,  # noqa: FBT001 - a table
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the right authority and certificate it connects; a wrong or missing one of either side never does."""
    monkeypatch.setattr(dialect, "PROBE_S", 1.0)
    monkeypatch.setattr(dialect, "PATIENCE_S", 1.0)
    url, directory = tls
    options = {"ca_file": str(directory / f"{authority}.crt")}
    if certificate is not None:
        options |= {
            "certificate_file": str(directory / f"{certificate}.crt"),
            "key_file": str(directory / f"{certificate}.key"),
        }

    async def main() -> None:
        adapter = upstream(url, **options)
        if not connects:
            await _fail(adapter)
            return
        async with adapter.connect() as link:
            wire = link._client._client.socket()
            assert isinstance(wire, ssl.SSLSocket)
            assert wire.version() in ("TLSv1.2", "TLSv1.3")

    asyncio.run(main())


def test_an_attempt_that_nobody_waits_for_any_more_ends_quietly() -> None:
    """A broker that hangs up on a connection whose time is over is nobody's trouble."""

    async def main() -> None:
        client = Client("127.0.0.1", 1)
        client._connected.cancel()
        client._on_disconnect(None, None, None, MQTT_ERR_CONN_LOST)
        await asyncio.sleep(0)
        assert not client._disconnected.done()

    asyncio.run(main())
