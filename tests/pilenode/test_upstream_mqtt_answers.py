"""Promises about what a broker answers to a message: read, told from one another, and never taken for a receipt."""

from __future__ import annotations

import asyncio
import errno
import socket
import zlib
from typing import TYPE_CHECKING

import aiomqtt
import msgspec
import pytest

from config.schema import Upstream as Settings
from hil_rig.broker import Access, Broker
from hil_rig.contract.samples import LOG_ID, SAMPLES, facts
from pilenode.upstream import mqtt
from pilenode.upstream.contract import FactBatch, Hello, NotTakenError, UpstreamLostError, up
from pilenode.upstream.mqtt import MqttUpstream
from pilenode.upstream.mqtt_link import not_taken
from pilenode.upstream.packing import pack, thinned, unpack
from pilenode.upstream.way_out import has_no_way_out

if TYPE_CHECKING:
    from pathlib import Path

    from pilenode.upstream.contract import StateReport

NODE = "node-1"
BATCH = FactBatch(log_id=LOG_ID, facts=thinned(facts()[:20]))
HELLO: Hello = SAMPLES["hello"]["hello"]  # type: ignore[assignment]
STATE: StateReport = SAMPLES["st"]["state"]  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        (0x00, None),
        (0x10, "upstream_nobody_listens"),
        (0x11, None),
        (0x7F, None),
        (0x80, "upstream_publish_refused"),
        (0x83, "upstream_publish_refused"),
        (0x87, "upstream_publish_refused"),
        (0x97, "upstream_quota"),
        (0x99, "upstream_publish_refused"),
    ],
)
def test_every_reason_of_an_answer_has_a_word(reason: int, code: str | None) -> None:
    """An error of any kind is a refusal, a number that nobody knows below the errors is none."""
    problem = not_taken(reason)
    assert (problem.code if problem is not None else None) == code
    assert problem is None or problem.detail == f"0x{reason:02x}"


@pytest.mark.parametrize(
    ("error", "is_local"),
    [
        (OSError(errno.ENETUNREACH, ""), True),
        (OSError(errno.ENETDOWN, ""), True),
        (socket.gaierror(socket.EAI_AGAIN, ""), True),
        (OSError(errno.EHOSTUNREACH, ""), False),
        (ConnectionRefusedError(errno.ECONNREFUSED, ""), False),
        (TimeoutError(errno.ETIMEDOUT, ""), False),
        (ValueError(), False),
    ],
)
def test_only_what_never_left_this_machine_is_tried_again_at_once(error: Exception, is_local: bool) -> None:  # noqa: FBT001 - a table
    """A broker that refuses or does not answer is given time; a missing route costs nobody anything."""
    assert has_no_way_out(error) is is_local


@pytest.mark.bench
@pytest.mark.bench
@pytest.mark.needs("mosquitto")
def test_a_broker_without_a_backend_is_told_from_one_with(monkeypatch: pytest.MonkeyPatch) -> None:
    """Facts and hellos that nobody gets are not taken; what the broker keeps for who comes is; a backend ends it."""
    monkeypatch.setattr(Broker, "observer", None)  # who watches for the contract would be one who listens

    async def main() -> None:
        with Broker(kind="mosquitto") as broker:
            async with MqttUpstream(Settings(url=broker.url), NODE).connect() as link:
                for send in (lambda: link.facts(BATCH), lambda: link.hello(HELLO)):
                    with pytest.raises(NotTakenError) as caught:
                        await send()
                    assert caught.value.problem.code == "upstream_nobody_listens"
                await link.state(STATE)
                async with aiomqtt.Client("127.0.0.1", broker.port) as backend:
                    await backend.subscribe("pn/v1/+/up/#", qos=1)
                    assert await link.facts(BATCH) == len(pack(BATCH))

    asyncio.run(main())


@pytest.mark.bench
@pytest.mark.needs("mosquitto")
def test_a_right_that_was_taken_away_is_seen_at_the_next_message(tmp_path: Path) -> None:
    """The broker answers, the link says so, and the connection stands: a state is still taken."""
    secret = tmp_path / "password"
    secret.write_text("secret")
    rights = f"user {NODE}\ntopic write pn/v1/{NODE}/up/st\ntopic write pn/v1/{NODE}/up/live\n"

    async def main() -> None:
        with Broker(kind="mosquitto", access=Access({NODE: "secret"}, rights)) as broker:
            settings = Settings(url=broker.url, username=NODE, password_file=str(secret))
            async with MqttUpstream(settings, NODE).connect() as link:
                with pytest.raises(NotTakenError) as caught:
                    await link.facts(BATCH)
                assert (caught.value.problem.code, caught.value.problem.detail) == ("upstream_publish_refused", "0x87")
                await link.state(STATE)

    asyncio.run(main())


@pytest.mark.bench
@pytest.mark.parametrize("kind", [pytest.param("mosquitto", marks=pytest.mark.needs("mosquitto")), "amqtt"])
def test_a_batch_arrives_deflated_and_says_so(kind: str) -> None:
    """Every reader can unpack it by its first byte; one that speaks 5 is told the form, too."""

    async def main() -> None:
        with Broker(kind=kind) as broker:  # type: ignore[arg-type]
            version = aiomqtt.ProtocolVersion.V5 if kind == "mosquitto" else aiomqtt.ProtocolVersion.V311
            async with aiomqtt.Client("127.0.0.1", broker.port, protocol=version) as backend:
                await backend.subscribe(up(NODE, "ev"), qos=1)
                async with MqttUpstream(Settings(url=broker.url), NODE).connect() as link, asyncio.timeout(10):
                    await link.facts(BATCH)
                    message = await anext(backend.messages)
        assert isinstance(message.payload, bytes)
        assert unpack(message.payload) == BATCH
        assert zlib.decompress(message.payload) == msgspec.json.encode(BATCH)
        if kind == "mosquitto":
            assert vars(message.properties)["ContentType"] == "application/json+zlib"

    asyncio.run(main())


@pytest.mark.bench
@pytest.mark.needs("mosquitto")
def test_a_broker_that_dies_before_its_answer_has_taken_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message without an answer is a lost connection, never a success."""
    monkeypatch.setattr(mqtt, "PATIENCE_S", 0.5)

    async def main() -> None:
        with Broker(kind="mosquitto") as broker:
            async with MqttUpstream(Settings(url=broker.url), NODE).connect() as link, asyncio.timeout(15):
                broker.kill()
                with pytest.raises(UpstreamLostError):
                    await link.facts(BATCH)

    asyncio.run(main())


@pytest.mark.bench
@pytest.mark.needs("mosquitto")
def test_a_broker_that_takes_nothing_at_all_is_no_reason_to_end(tmp_path: Path) -> None:
    """A cabinet without any right to publish connects all the same, hears, and learns why its facts are not taken."""
    secret = tmp_path / "password"
    secret.write_text("secret")

    async def main() -> None:
        with Broker(kind="mosquitto", access=Access({NODE: "secret"}, f"user {NODE}\ntopic read #\n")) as broker:
            settings = Settings(url=broker.url, username=NODE, password_file=str(secret))
            async with MqttUpstream(settings, NODE).connect() as link:
                with pytest.raises(NotTakenError) as caught:
                    await link.facts(BATCH)
                assert caught.value.problem.code == "upstream_publish_refused"

    asyncio.run(main())
