"""What a broker may deliver to a cabinet: a real link and a real station behind it, one payload after the other."""

from __future__ import annotations

import asyncio
import base64
import json
from collections import Counter
from typing import TYPE_CHECKING, Final, cast

import aiomqtt
import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hil_rig.contract.samples import LOG_ID, SAMPLES, WALL_MS
from hil_rig.fuzz.cabinet import NODE, Cabinet
from hil_rig.fuzz.doors import BrokenPromiseError
from hil_rig.fuzz.mutate import mutate_toml
from hil_rig.fuzz.strict import opened, read, started_port
from pilenode import clock
from pilenode.station.buckets import Bucket
from pilenode.station.confirmations import Pending
from pilenode.station.signatures import PURPOSE
from pilenode.upstream.channels import CHANNELS
from pilenode.upstream.contract import MAX_ENVELOPE_BYTES, MAX_START_LIFE_MS, Ack, Command, down
from pilenode.upstream.desired import Desired, digest
from pilenode.upstream.dialect import Version
from pilenode.upstream.facts import MAX_INTEGER
from pilenode.upstream.mqtt_link import MqttLink

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from random import Random

    from pilenode.upstream.contract import DownLeaf
    from pilenode.upstream.facts import CommandResult
    from pilenode.upstream.mqtt_client import Client

_KEY: Final = Ed25519PrivateKey.from_private_bytes(b"fuzzing only, and worth nothing.")
_KEY_NAME: Final = "ops"
_UPSTREAM: Final = '\n[upstream]\nurl = "mqtt://127.0.0.1:1"\n'
#: As the samples say them.
_ASKED_MS: Final = 95_000
_HEAD: Final = cast("Ack", SAMPLES["ack"]["ack"]).hash
#: Stands for the number that a desired configuration needs to be newer than all before.
_NEXT: Final = 987_654_321
#: Shares of changed commands that are signed well, and signed by nobody.
_WELL_SIGNED, _BADLY_SIGNED = 0.6, 0.75


def samples(leaf: str) -> Sequence[bytes]:
    """Return good messages of a topic: those of the contract, and some that this cabinet may act upon."""
    made = [msgspec.json.encode(one) for one in SAMPLES[leaf].values()]
    if leaf == "cmd":
        made += [msgspec.json.encode(one) for one in _commands()]
    if leaf == "ack":
        acks = [
            msgspec.structs.replace(cast("Ack", one), upto=upto) for one in SAMPLES[leaf].values() for upto in (0, 1, 2)
        ]
        made += [msgspec.json.encode(one) for one in acks]
    return made


def _commands() -> list[Command]:
    life = {"iat": WALL_MS, "exp": WALL_MS + MAX_START_LIFE_MS, "node": NODE}
    made: list[dict[str, object]] = [
        {"id": "f-1", "op": "start", "port": 1, "order": "o-f1"},
        {"id": "f-2", "op": "start", "port": 2, "order": "o-f2", "paid_fen": 500},
        {"id": "f-3", "op": "stop", "port": 1, "order": "o-f1"},
    ]
    return [msgspec.convert(one | life, Command) for one in made]


def signed_samples() -> Sequence[bytes]:
    """Return commands for a cabinet that believes signed ones only, signed and bare."""
    bare = [msgspec.structs.replace(cast("Command", one), node=NODE) for one in SAMPLES["cmd"].values()]
    texts = [msgspec.json.encode(one) for one in [*bare, *_commands()]]
    return [*texts[-3:], *(_envelope(text, _KEY.sign(PURPOSE + text)) for text in texts)]


def sealed(random: Random, data: bytes) -> bytes:
    """Return a changed command in an envelope: signed well, badly, or as it is."""
    draw = random.random()
    if b'"signed"' in data or draw > _BADLY_SIGNED:
        return data
    return _envelope(data, _KEY.sign(PURPOSE + data) if draw < _WELL_SIGNED else random.randbytes(64))


def dressed(random: Random, data: bytes) -> bytes:
    """Return a changed configuration whose hash fits, or the text of a good one changed in its place."""
    draw = random.random()
    if draw > _BADLY_SIGNED:
        return data
    found = read(data) or msgspec.to_builtins(SAMPLES["cfg"]["desired"])
    body = found.get("body")
    if not isinstance(body, str) or draw < _WELL_SIGNED / 2:
        good = cast("Desired", SAMPLES["cfg"]["desired"]).body.encode()
        body = mutate_toml(random, good, good).decode(errors="replace")
    text = body.encode(errors="replace").decode()
    version = random.choice((_NEXT, _NEXT, _NEXT, found.get("version"), random.randrange(1, 1 << 40)))
    return json.dumps(found | {"body": text, "sha256": digest(text), "version": version}).encode()


def _envelope(content: bytes, signature: bytes) -> bytes:
    parts = {"signed": base64.b64encode(content).decode(), "sig": base64.b64encode(signature).decode()}
    return msgspec.json.encode(parts | {"key": _KEY_NAME})


class _Wire:
    """Stands in the place of the client of a broker. ``heard``: the last message has been dealt with."""

    def __init__(self) -> None:
        self.waiting: asyncio.Queue[aiomqtt.Message] = asyncio.Queue()
        self.heard = asyncio.Event()

    @property
    async def messages(self) -> AsyncIterator[aiomqtt.Message]:
        """Yield what is put in."""
        while True:
            if self.waiting.empty():
                self.heard.set()
            yield await self.waiting.get()

    async def say(self, *_: object, **__: object) -> int:
        """Take what the cabinet says, as a broker with somebody behind it does."""
        return 0


class Door:
    """One topic of one cabinet. ``retained``: the broker had kept it; ``signed``: operations keys are configured."""

    def __init__(self, leaf: DownLeaf, *, retained: bool = False, signed: bool = False) -> None:
        self.closings = 0
        self._answered: set[str | None] = set()
        self._leaf, self._retained, self._signed = leaf, retained, signed
        self._cap = next(one.max_bytes for one in CHANNELS if one.way == "dn" and one.leaf == leaf)
        self._cabinet = Cabinet(_UPSTREAM, _keys_file() if signed else None)
        station = self._cabinet.station
        self._station = station
        parts = station._answers.upstream  # noqa: SLF001 - the parts of the house
        assert parts is not None  # noqa: S101 - it is configured
        self._upstream, self._sync = parts
        self._sync._asked_ms = clock.boottime_ms()  # noqa: SLF001
        self._wire = _Wire()
        self._link = MqttLink(cast("Client", self._wire), Version.V5, NODE, self._upstream.dropped)  # type: ignore[arg-type] # of the real adapter
        pending = Pending()
        self._cabinet.spawn(self._sync._listen(self._link, pending))  # noqa: SLF001
        self._cabinet.spawn(self._sync._keep_confirmations(self._link, pending))  # noqa: SLF001

    def _own(self, data: bytes) -> bytes:
        """Put in what samples cannot know: the log, its newest link, when the cabinet asked, which number is newer."""
        status = self._station._journal.status()  # noqa: SLF001
        asked_ms = self._sync._asked_ms  # noqa: SLF001
        data = data.replace(b"%d" % _NEXT, b"%d" % self._next_version())
        data = data.replace(LOG_ID.encode(), status.log_id.encode())
        return data.replace(_HEAD.encode(), status.head.encode()).replace(b"%d" % _ASKED_MS, b"%d" % (asked_ms or 0))

    def give(self, data: bytes) -> str:
        """Deliver ``data``."""
        data = self._own(data)
        port = self._starts(data)
        if port is not None:
            self._cabinet.started.add(port)
        word, result = self._cabinet.do(lambda: self._deliver(data))
        if result is not None and result.ok and result.op == "start":
            if port is None and result.id not in self._answered:  # who repeats an id is told what became of it
                raise BrokenPromiseError("a start without authority is carried out")
            self._answered.add(result.id)
        if word == "taken" and self._is_none(data):
            raise BrokenPromiseError("what is no message is taken")
        self.closings = max(self.closings, self._cabinet.look())
        return word

    async def _deliver(self, data: bytes) -> tuple[str, CommandResult | None]:
        before = self._counts()
        self._wire.heard.clear()
        message = aiomqtt.Message(down(NODE, self._leaf), data, 1, self._retained, 1, None)
        self._wire.waiting.put_nowait(message)
        await self._wire.heard.wait()
        if not self._sync._waiting.empty():  # noqa: SLF001
            result = await self._station._commands.handle(self._sync._waiting.get_nowait())  # noqa: SLF001
            await self._link.result(result)  # whose words somebody else has chosen
            return result.code or "taken", result
        if self._leaf == "cfg" and not await self._take_config() and self._counts() == before:
            return "known", None  # what came before, or nothing
        counted = self._counts() - before
        if self._leaf == "cmd" and not counted:
            raise BrokenPromiseError("a command is neither answered nor counted")
        return next(iter(counted), "taken"), None

    async def _take_config(self) -> bool:
        """Look at a desired configuration now, and as often as it comes; return whether it is staged. Not in force."""
        keeper = self._station._desired  # noqa: SLF001
        if keeper is None or keeper._offered is None:  # noqa: SLF001
            return False
        before = keeper.book.staged
        keeper._bucket = Bucket(1, 1.0)  # noqa: SLF001
        await keeper._take()  # noqa: SLF001
        await keeper._tell()  # noqa: SLF001
        return keeper.book.staged != before

    def _counts(self) -> Counter[str]:
        keeper = self._station._desired  # noqa: SLF001
        counts = Counter(self._upstream.dropped) + self._sync.dropped + self._station._wall.refused  # noqa: SLF001
        return counts if keeper is None else counts + keeper.refused

    def _is_none(self, data: bytes) -> bool:
        """Return whether ``data`` is beyond doubt no message of this topic."""
        cap = MAX_ENVELOPE_BYTES if self._leaf == "cmd" and b'"signed"' in data else self._cap
        return len(data) > cap or read(data) is None

    def _starts(self, data: bytes) -> int | None:
        """Return which port ``data`` may start, by another way of reckoning than the gate's."""
        if self._leaf != "cmd" or self._retained or self._is_none(data):
            return None
        outer = read(data)
        envelope = opened(outer) if outer is not None and "signed" in outer else None
        content = read(envelope[0]) if envelope is not None else outer
        if self._signed and (envelope is None or not _verifies(*envelope) or (content or {}).get("node") != NODE):
            return None
        port = started_port(content, "op")
        return port if (content or {}).get("node") in (None, NODE) else None

    def well(self) -> None:
        """Deliver something good of this topic, and end what runs."""
        if self._leaf == "cmd":
            stop = Command(id="well", op="stop", port=1, session="nobody", iat=WALL_MS, exp=WALL_MS)
            word, wanted = self.give(msgspec.json.encode(stop)), "wrong_session"
            self._cabinet.rest()
        elif self._leaf == "ack":
            status = self._station._journal.status()  # noqa: SLF001
            ack = Ack(log_id=status.log_id, upto=status.last_seq, hash=status.head)
            word, wanted = self.give(msgspec.json.encode(ack)), "taken"
        elif self._leaf == "cfg":
            good = msgspec.structs.replace(cast("Desired", SAMPLES["cfg"]["desired"]), version=_NEXT)
            used_up = self._next_version() > MAX_INTEGER  # no version is newer than the last that there is (ADR 28)
            word, wanted = self.give(msgspec.json.encode(good)), "malformed" if used_up else "taken"
        else:
            self._sync._asked_ms = clock.boottime_ms()  # noqa: SLF001 - an answer that took long is not believed
            word, wanted = self.give(samples(self._leaf)[0]), "retained_time" if self._retained else "taken"
        if word != wanted:
            raise BrokenPromiseError(f"a good message is not heard any more: {word}")

    def _next_version(self) -> int:
        keeper = self._station._desired  # noqa: SLF001
        newest = None if keeper is None else keeper.book.newest
        return 1 if newest is None else newest.version + 1

    def close(self) -> None:
        """Free everything."""
        self._cabinet.close()


def _keys_file() -> bytes:
    return f"{_KEY_NAME} {base64.b64encode(_KEY.public_key().public_bytes_raw()).decode()}\n".encode()


def _verifies(content: bytes, signature: bytes, key: object) -> bool:
    try:
        _KEY.public_key().verify(signature, PURPOSE + content)
    except InvalidSignature:
        return False
    return key == _KEY_NAME
