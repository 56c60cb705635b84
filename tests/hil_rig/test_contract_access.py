"""Promises of the access list, proved by what mosquitto delivers: a cabinet is heard and hears as itself only."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import aiomqtt
import msgspec
import pytest

from config.schema import Upstream as Settings
from hil_rig.broker import Access, Broker
from hil_rig.contract.access import BACKEND, access_list
from hil_rig.contract.samples import SAMPLES
from pilenode.upstream.channels import CHANNELS, DOWN, UP
from pilenode.upstream.contract import NO_LINK, Ack, Hello, down, up
from pilenode.upstream.mqtt import MqttUpstream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

pytestmark = [pytest.mark.bench, pytest.mark.needs("mosquitto"), pytest.mark.needs("mosquitto_passwd")]

NODE, NEIGHBOUR = "node-a", "node-b"
USERS = {NODE: "secret-a", NEIGHBOUR: "secret-b", BACKEND: "secret-0"}
HELLO = Hello(version="1", log_id="0" * 16, first_unacked=1, last=0, head=NO_LINK)
#: PUBACK: not authorized (MQTT 5.0, 3.4.2.1).
_NOT_AUTHORIZED = 0x87
UPS = [one for one in CHANNELS if one.way == UP]
DOWNS = [one for one in CHANNELS if one.way == DOWN]


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    """Return a broker with the access list as it is generated."""
    with Broker(kind="mosquitto", access=Access(USERS, access_list())) as running:
        yield running


@contextlib.asynccontextmanager
async def client(broker: Broker, user: str, identifier: str | None = None) -> AsyncIterator[aiomqtt.Client]:
    """Return a plain client of MQTT 5 that is ``user``."""
    async with aiomqtt.Client(
        "127.0.0.1",
        broker.port,
        username=user,
        password=USERS[user],
        identifier=identifier,
        protocol=aiomqtt.ProtocolVersion.V5,
    ) as made:
        yield made


async def say(speaker: aiomqtt.Client, topic: str, payload: bytes) -> int:
    """Publish and return the broker's reason code, which aiomqtt throws away."""
    told: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    before = speaker._client.on_publish

    def hear(*arguments: object) -> None:
        told.get_loop().call_soon_threadsafe(told.set_result, arguments[3].value)  # type: ignore[attr-defined]
        before(*arguments)  # type: ignore[misc,arg-type]

    speaker._client.on_publish = hear
    try:
        await speaker.publish(topic, payload, qos=1)
        return await asyncio.wait_for(told, 5)
    finally:
        speaker._client.on_publish = before


async def heard_until(client: aiomqtt.Client, last: bytes) -> list[tuple[str, bytes]]:
    """Return what arrives up to the message ``last``, without it."""
    heard = []
    async with asyncio.timeout(5):
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            if message.payload == last:
                break
            heard.append((message.topic.value, message.payload))
    return heard


def test_the_backend_hears_a_cabinet_under_its_own_name_only(broker: Broker) -> None:
    """What it says below its own name arrives; what it forges below a neighbour's, or as a backend, reaches nobody."""

    async def main() -> None:
        async with (
            client(broker, BACKEND) as backend,
            client(broker, NODE) as node,
            client(broker, NEIGHBOUR) as neighbour,
        ):
            await backend.subscribe("pn/v1/+/up/#", qos=1)
            await neighbour.subscribe(f"pn/v1/{NEIGHBOUR}/dn/#", qos=1)
            own = [(one.topic(NODE), f"own {one.leaf}".encode()) for one in UPS]
            for topic, payload in own:
                assert await say(node, topic, payload) < 0x80
            forged = [one.topic(NEIGHBOUR) for one in CHANNELS] + [one.topic(NODE) for one in DOWNS]
            forged += [
                f"pn/v1/{NODE}/up/other",
                f"pn/v2/{NODE}/up/hello",
                f"pn/v1/{BACKEND}/up/hello",
                "pn/v1",
                "$SYS/x",
            ]
            for topic in forged:
                assert await say(node, topic, b"forged") == _NOT_AUTHORIZED, topic
            assert await say(node, up(NODE, "ev"), b"last") < 0x80
            assert await heard_until(backend, b"last") == own
            await say(backend, down(NEIGHBOUR, "cmd"), b"last")
            assert await heard_until(neighbour, b"last") == []

    asyncio.run(main())


def test_a_cabinet_hears_what_is_for_it_only(broker: Broker) -> None:
    """Mosquitto grants it every subscription, and delivers of all that is said only what is for its own name."""

    async def main() -> None:
        async with client(broker, BACKEND) as backend, client(broker, NODE) as node, client(broker, NEIGHBOUR) as other:
            for topic in ("#", "pn/v1/#", f"pn/v1/{NEIGHBOUR}/dn/cmd", "pn/v1/+/up/ev", f"pn/v1/{NODE}/dn/cmd"):
                await node.subscribe(topic, qos=1)
            await other.subscribe(down(NEIGHBOUR, "cmd"), qos=1)
            for one in DOWNS:
                assert await say(backend, one.topic(NEIGHBOUR), b"for the neighbour") < 0x80
            for one in UPS:
                assert await say(other, one.topic(NEIGHBOUR), b"by the neighbour") < 0x80
            await say(backend, down(NODE, "cmd"), b"mine")
            await say(backend, down(NODE, "ack"), b"last")
            assert {(topic, what) for topic, what in await heard_until(node, b"last")} == {(down(NODE, "cmd"), b"mine")}
            await say(backend, down(NEIGHBOUR, "cmd"), b"last")
            assert await heard_until(other, b"last") == [(down(NEIGHBOUR, "cmd"), b"for the neighbour")]

    asyncio.run(main())


def test_the_backend_cannot_pose_as_a_cabinet(broker: Broker) -> None:
    """Facts come from cabinets: even the backend's own user writes none."""

    async def main() -> None:
        async with client(broker, BACKEND) as backend:
            for one in UPS:
                assert await say(backend, one.topic(NODE), b"forged") == _NOT_AUTHORIZED

    asyncio.run(main())


def test_a_name_cannot_be_taken_over(broker: Broker) -> None:
    """Another cabinet that connects under the client id of this one does not throw it out."""

    async def main() -> None:
        async with client(broker, NODE, f"pn-{NODE}") as node:
            await node.subscribe(down(NODE, "cmd"), qos=1)
            async with client(broker, NEIGHBOUR, f"pn-{NODE}"), client(broker, BACKEND) as backend:
                await say(backend, down(NODE, "cmd"), b"last")
                assert await heard_until(node, b"last") == []

    asyncio.run(main())


@pytest.mark.parametrize(("user", "password"), [(None, None), (NODE, "secret-b"), ("stranger", "x")])
def test_nobody_else_is_let_in(broker: Broker, user: str | None, password: str | None) -> None:
    """No name, a wrong password and a name that the broker does not know are refused."""

    async def main() -> None:
        with pytest.raises(aiomqtt.MqttError):
            async with aiomqtt.Client("127.0.0.1", broker.port, username=user, password=password, timeout=5):
                pass

    asyncio.run(main())


def test_the_product_lives_with_these_rights(broker: Broker, tmp_path: Path) -> None:
    """Hello, batch, state, result and presence of the real adapter arrive, and it hears its acknowledgement."""
    secret = tmp_path / "password"
    secret.write_text(USERS[NODE], encoding="utf-8")
    settings = Settings(url=broker.url, username=NODE, password_file=str(secret))

    async def main() -> None:
        async with client(broker, BACKEND) as backend:
            await backend.subscribe(f"pn/v1/{NODE}/up/#", qos=1)
            async with MqttUpstream(settings, NODE).connect() as link:
                await link.hello(HELLO)
                await link.facts(SAMPLES["ev"]["batch"])  # type: ignore[arg-type]
                await link.state(SAMPLES["st"]["state"])  # type: ignore[arg-type]
                await link.result(SAMPLES["res"]["done"])  # type: ignore[arg-type]
                await say(backend, down(NODE, "ack"), msgspec.json.encode(Ack(log_id="0" * 16, upto=0, hash=NO_LINK)))
                async with asyncio.timeout(5):
                    assert await anext(link.incoming()) == Ack(log_id="0" * 16, upto=0, hash=NO_LINK)
            await say(backend, down(NODE, "time"), b"{}")
            topics = set()
            async with asyncio.timeout(5):
                async for message in backend.messages:
                    topics.add(message.topic.value)
                    if topics == {one.topic(NODE) for one in UPS}:
                        break

    asyncio.run(main())
