"""Promises of the workers: they share what arrives, on any of them and in any order, and an end loses nothing."""

from __future__ import annotations

import asyncio
import random
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import aiomqtt
import msgspec
import pytest

from hil_rig.broker import Broker
from hil_rig.pki import Authority, SecureBroker, issue
from hil_rig.upstream import Backend, BackendProcess, Store, intake
from hil_rig.upstream.connection import Share, best_version, client, entered
from hil_rig.upstream.hearing import NonsenseError, hear
from hil_rig.upstream.postgres import Postgres
from hil_rig.upstream.store import Heard
from pilenode.upstream.contract import MAX_BATCH_FACTS, Ack, FactBatch, Hello, Live, Resend, down, up
from pilenode.upstream.packing import MAX_INFLATED_BYTES, pack
from tests.hil_rig.logs import LOG_ID, chain, sent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from hil_rig.upstream.store import Answer

FACTS = chain(120)


@pytest.fixture
def broker() -> Iterator[Broker]:
    """Return a running mosquitto."""
    with Broker(kind="mosquitto") as running:
        yield running


async def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait until something is true."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - many different conditions, no event for them
            await asyncio.sleep(0.01)


async def while_running(backends: Sequence[Backend], work: Callable[[], Awaitable[None]]) -> None:
    """Do ``work`` while backends run, and end them."""
    running = [asyncio.create_task(backend.run()) for backend in backends]
    try:
        for backend in backends:
            await asyncio.wait_for(backend.connected.wait(), 10)
        await work()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def publisher(broker: Broker) -> aiomqtt.Client:
    """Return a connection of a cabinet."""
    return aiomqtt.Client("127.0.0.1", broker.port, protocol=aiomqtt.ProtocolVersion.V5)


# -- sharing ---------------------------------------------------------------------------------------------------


class Counting(Store):
    """A store that counts what its worker was given."""

    heard = 0

    def commit(self, heard: Sequence[Heard], now_ms: int | None = None) -> list[Answer]:
        """Commit, and count."""
        self.heard += len(heard)
        return super().commit(heard, now_ms)


@pytest.mark.bench
@pytest.mark.needs("mosquitto")
def test_workers_share_the_facts_of_one_cabinet(broker: Broker, where: Path | str) -> None:
    """Shuffled, repeated, overlapping batches of one log, dealt to three workers: each fact once, the chain whole."""
    chance = random.Random(3)  # noqa: S311 - any order will do
    batches = [FACTS[at : at + 9] for at in range(0, len(FACTS), 6)] * 2
    chance.shuffle(batches)

    async def main(stores: list[Counting]) -> None:
        async def work() -> None:
            async with publisher(broker) as cabinet:
                for facts in batches:
                    await cabinet.publish(up("n", "ev"), pack(sent(facts)), qos=1)
            await until(lambda: stores[0].complete("n", LOG_ID) == len(FACTS))
            await until(lambda: sum(store.heard for store in stores) == len(batches))

        shares = [Share("g", str(number), first=False) for number in range(3)]
        pairs = zip(stores, shares, strict=True)
        await while_running([Backend(broker.url, store, "5", share) for store, share in pairs], work)

    stores = [Counting(where) for _ in range(3)]
    try:
        asyncio.run(main(stores))
        assert all(store.heard for store in stores)
        assert [row.fact.seq for row in stores[0].rows()] == list(range(1, len(FACTS) + 1))
        assert stores[0].head("n", LOG_ID)[1] == FACTS[-1].hash
        assert (stores[0].contradictions(), stores[0].broken_link("n", LOG_ID)) == (0, None)
    finally:
        for store in stores:
            store.close()


@pytest.mark.bench
@pytest.mark.needs("mosquitto")
@pytest.mark.needs("postgres")
def test_the_command_runs_workers_that_are_started_again_and_end_together(broker: Broker, postgres: Postgres) -> None:
    """One that dies is replaced; SIGTERM ends all; what they were given is stored and confirmed."""

    async def work(backend: BackendProcess) -> None:
        async with publisher(broker) as cabinet:
            await cabinet.subscribe(down("n", "ack"), qos=1)
            async with asyncio.timeout(20):
                for at in range(0, 40, 5):
                    await cabinet.publish(up("n", "ev"), pack(sent(FACTS[at : at + 5])), qos=1)
                heard = aiter(cabinet.messages)
                while ack(await anext(heard)).upto < 5:
                    pass
            # Both die, each after its first commit and before it told anybody: the cabinet sends again.
            while backend.store.complete("n", LOG_ID) < 40:
                for at in range(0, 40, 5):
                    await cabinet.publish(up("n", "ev"), pack(sent(FACTS[at : at + 5])), qos=1)
                await asyncio.sleep(0.1)

    options = ("--workers", "2", "--group", "rig", "--name", "here", "--mqtt", "5", "--die-after-commit", "2")
    with BackendProcess(broker.url, postgres.database(), options) as backend:
        asyncio.run(work(backend))
        assert [row.fact.seq for row in backend.store.rows("n")] == list(range(1, 41))
        assert backend.stop() == 0


def ack(message: aiomqtt.Message) -> Ack:
    """Return the acknowledgement in a message."""
    assert isinstance(message.payload, bytes)
    return msgspec.json.decode(message.payload, type=Ack)


@pytest.mark.bench
@pytest.mark.needs("mosquitto")
def test_what_the_broker_keeps_is_read_beside_the_share(broker: Broker, tmp_path: Path) -> None:
    """A shared subscription is handed nothing that was kept; the first worker reads states and presences apart."""
    live = msgspec.json.encode(Live(session=7, online=True))

    async def main(store: Store) -> None:
        async with publisher(broker) as cabinet:
            await cabinet.publish(up("n", "live"), live, qos=1, retain=True)

        async def work() -> None:
            await until(lambda: store.latest("n", "live") == live)

        await while_running([Backend(broker.url, store, "5", Share("g", "0"))], work)

    with Store(tmp_path / "b.db") as store:
        asyncio.run(main(store))


@pytest.mark.bench
@pytest.mark.needs("mosquitto")
def test_the_broker_keeps_a_share_for_a_worker_that_is_away(broker: Broker, tmp_path: Path) -> None:
    """With MQTT 5 what is sent between two runs of a worker arrives all the same."""

    async def main(store: Store) -> None:
        share = Share("g", "0")

        async def nothing() -> None: ...

        async def work() -> None:
            await until(lambda: store.complete("n", LOG_ID) == 5)

        await while_running([Backend(broker.url, store, "5", share)], nothing)
        async with publisher(broker) as cabinet:
            await cabinet.publish(up("n", "ev"), pack(sent(FACTS[:5])), qos=1)
        await while_running([Backend(broker.url, store, "5", share)], work)

    with Store(tmp_path / "b.db") as store:
        asyncio.run(main(store))


@pytest.mark.bench
@pytest.mark.parametrize(
    ("kind", "version"), [pytest.param("mosquitto", "5", marks=pytest.mark.needs("mosquitto")), ("amqtt", "3.1.1")]
)
def test_the_version_is_found_out(kind: str, version: str) -> None:
    """A broker that knows no 5 is spoken to in 3.1.1; one that is not there is told."""
    with Broker(kind="amqtt" if kind == "amqtt" else "mosquitto") as broker:
        assert asyncio.run(best_version(broker.url)) == version
        url = broker.url
    with pytest.raises(aiomqtt.MqttError):
        asyncio.run(best_version(url))


@pytest.mark.bench
@pytest.mark.needs("mosquitto")
def test_a_worker_shows_a_certificate(tmp_path: Path) -> None:
    """Over mutual TLS as over none; without its certificate it is not let in."""
    authority = Authority("rig")
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    certificate, key = issue(authority, tmp_path, "broker", host="127.0.0.1")
    own, own_key = issue(authority, tmp_path, "backend")
    with SecureBroker(tmp_path, tmp_path / "ca.pem", certificate, key) as secure, Store(tmp_path / "b.db") as store:
        url = f"{secure.url}?ca={tmp_path}/ca.pem&certificate={own}&key={own_key}"

        async def work() -> None:
            async with entered(client(url, "5")) as cabinet:
                await cabinet.publish(up("n", "ev"), pack(sent(FACTS[:5])), qos=1)
            await until(lambda: store.complete("n", LOG_ID) == 5)

        async def stranger() -> None:
            with pytest.raises(aiomqtt.MqttError):
                async with entered(client(f"{secure.url}?ca={tmp_path}/ca.pem", "5", timeout_s=2)):
                    pass

        asyncio.run(while_running([Backend(url, store, "5", Share("g", "0"))], work))
        asyncio.run(stranger())
    with pytest.raises(OSError, match="No such file"):
        asyncio.run(best_version("mqtts://127.0.0.1:1?ca=/no/such/file"))


# -- ends, outages, floods -------------------------------------------------------------------------------------


class Slow(Store):
    """A store whose commit takes long enough to be ended in."""

    def __init__(self, where: Path | str, begun: asyncio.Event, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(where)
        self._begun = begun
        self._loop = loop

    def commit(self, heard: Sequence[Heard], now_ms: int | None = None) -> list[Answer]:
        """Say that it has begun, and take a while."""
        self._loop.call_soon_threadsafe(self._begun.set)
        answers = super().commit(heard, now_ms)
        asyncio.run(asyncio.sleep(0.3))  # in a thread of its own
        return answers


@pytest.mark.bench
@pytest.mark.needs("mosquitto")
def test_a_commit_that_has_begun_is_finished_and_told(broker: Broker, tmp_path: Path) -> None:
    """Told to end amid a commit, a worker acknowledges it before it goes."""

    async def main() -> None:
        begun = asyncio.Event()
        with Slow(tmp_path / "b.db", begun, asyncio.get_running_loop()) as store:
            backend = Backend(broker.url, store)
            running = asyncio.create_task(backend.run())
            await asyncio.wait_for(backend.connected.wait(), 10)
            async with publisher(broker) as cabinet:
                await cabinet.subscribe(down("n", "ack"), qos=1)
                await cabinet.publish(up("n", "ev"), pack(sent(FACTS[:5])), qos=1)
                await asyncio.wait_for(begun.wait(), 10)
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
                async with asyncio.timeout(5):
                    assert ack(await anext(aiter(cabinet.messages))).upto == 5

    asyncio.run(main())


@pytest.mark.bench
@pytest.mark.needs("mosquitto")
@pytest.mark.needs("postgres")
def test_a_database_that_goes_away_and_comes_back(broker: Broker) -> None:
    """While PostgreSQL is down nothing is confirmed; what waited is committed when it is back. Nothing runs on."""

    async def main(postgres: Postgres, store: Store) -> None:
        async def work() -> None:
            async with publisher(broker) as cabinet:
                await cabinet.publish(up("n", "ev"), pack(sent(FACTS[:5])), qos=1)
                await until(lambda: store.complete("n", LOG_ID) == 5)
                await cabinet.subscribe(down("n", "ack"), qos=1)
                await asyncio.to_thread(postgres.kill)
                await cabinet.publish(up("n", "ev"), pack(sent(FACTS[5:9])), qos=1)
                await asyncio.sleep(0.5)
                await asyncio.to_thread(postgres.start)
                async with asyncio.timeout(20):
                    async for message in cabinet.messages:
                        if ack(message).upto == 9:
                            return

        await while_running([Backend(broker.url, store, "5")], work)

    with Postgres() as postgres, Store(postgres.database()) as store:
        asyncio.run(main(postgres, store))
        assert store.complete("n", LOG_ID) == 9
        assert postgres._process is not None
        process = Path(f"/proc/{postgres._process.pid}")
        assert process.exists()
    assert not process.exists()


@pytest.mark.bench
@pytest.mark.needs("mosquitto")
def test_a_gap_that_stands_still_is_asked_for(broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fresh facts arrived, older ones did not: the backend asks for them by itself."""
    monkeypatch.setattr(intake, "ASK_MS", 100)

    async def main(store: Store) -> None:
        async def work() -> None:
            async with publisher(broker) as cabinet:
                await cabinet.subscribe(down("n", "ack"), qos=1)
                await cabinet.publish(up("n", "ev"), pack(sent(FACTS[5:9])), qos=1)
                async with asyncio.timeout(10):
                    async for message in cabinet.messages:
                        if ack(message).resend is not None:
                            assert ack(message).resend == Resend(since=1, upto=5)
                            return

        await while_running([Backend(broker.url, store)], work)

    with Store(tmp_path / "b.db") as store:
        asyncio.run(main(store))


def test_what_there_is_no_room_for_is_dropped_and_counted(tmp_path: Path) -> None:
    """A worker that cannot keep up holds a bounded number of messages; the cabinets send the others again."""

    async def main() -> int:
        backend = Backend("mqtt://127.0.0.1:1", store)
        waiting = client("mqtt://127.0.0.1:1", "5", None, backend.dropped)._queue
        message = aiomqtt.Message(up("n", "ev"), b"", 1, retain=False, mid=1, properties=None)
        for _ in range(waiting.maxsize):
            waiting.put_nowait(message)
        for _ in range(3):
            with pytest.raises(asyncio.QueueFull):
                waiting.put_nowait(message)
        return backend.dropped["flood"]

    with Store(tmp_path / "b.db") as store:
        assert asyncio.run(main()) == 3


@pytest.mark.bench
@pytest.mark.needs("postgres")
def test_one_bad_message_takes_no_other_along(postgres: Postgres) -> None:
    """What the database refuses is found by committing one by one, dropped and counted."""
    bad = sent([msgspec.structs.replace(FACTS[0], boot="\x00")], "f" * 16)
    with Store(postgres.database()) as store:
        backend = Backend("mqtt://127.0.0.1:1", store)
        answers = backend._commit([Heard("n", sent(FACTS[:2])), Heard("n", bad), Heard("m", sent(FACTS[:3]))])
        assert [(answer.node, answer.ack.upto) for answer in answers] == [("n", 2), ("m", 3)]
        assert backend.dropped == {"refused": 1}


# -- hearing ---------------------------------------------------------------------------------------------------

HELLO = msgspec.json.encode(Hello(version="1", log_id=LOG_ID, first_unacked=1, last=0, head="0" * 64))
BATCH = sent(FACTS[:3])
NONSENSE = {
    "another place": (up("n", "ev") + "/more", pack(BATCH), "topic"),
    "the other way": ("pn/v1/n/dn/ack", b"{}", "topic"),
    "a leaf of nobody": ("pn/v1/n/up/tm", b"{}", "unknown"),
    "another version": (up("n", "hello"), HELLO.replace(b'"protocol":1', b'"protocol":2'), "protocol_mismatch"),
    "too long": (up("n", "hello"), HELLO + b" " * 1024, "oversized"),
    "no JSON": (up("n", "ev"), b"{", "ev"),
    "nothing": (up("n", "ev"), b"", "ev"),
    "cut off": (up("n", "ev"), zlib.compress(msgspec.json.encode(BATCH))[:-5], "ev"),
    "a bomb": (up("n", "ev"), zlib.compress(b" " * (MAX_INFLATED_BYTES + 1)), "ev"),
    "nested": (up("n", "hello"), b"[" * 1000, "hello"),
    "too many": (
        up("n", "ev"),
        msgspec.json.encode(FactBatch(log_id=LOG_ID, facts=chain(MAX_BATCH_FACTS + 1))),
        "ev",
    ),
    "out of order": (up("n", "ev"), msgspec.json.encode(FactBatch(log_id=LOG_ID, facts=FACTS[1::-1])), "ev"),
    "no text": (up("n", "ev"), msgspec.json.encode(BATCH).replace(b'"version":"2"', b'"version":"\xff"'), "ev"),
    "a zero byte": (up("n", "ev"), msgspec.json.encode(BATCH).replace(b'"boot":"b"', b'"boot":"\\u0000"'), "ev"),
    "a state of nothing": (up("n", "st"), b"{}", "st"),
    "a presence of nothing": (up("n", "live"), b'{"online":true}', "live"),
    "a result of nothing": (up("n", "res"), b"{}", "res"),
}


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_is_counted_by_what_it_is(name: str) -> None:
    """Nothing that does not keep to the contract gets near the database."""
    topic, payload, word = NONSENSE[name]
    with pytest.raises(NonsenseError, match=f"^{word}$"):
        hear(topic, payload)


def test_what_makes_sense_is_heard() -> None:
    """Both forms of a batch say the same; a hello says where it comes from."""
    for payload in (pack(BATCH), msgspec.json.encode(BATCH)):
        assert hear(up("n", "ev"), payload) == Heard("n", BATCH)
    assert hear(up("m", "hello"), HELLO).node == "m"
