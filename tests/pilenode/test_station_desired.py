"""Promises of desired configuration: looked at whole, put in force at idle ports, watched, taken back, always told."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from config.load import merge_text
from pilenode import clock
from pilenode.ipc.messages import Done, Refused
from pilenode.station import desired, desired_keeper
from pilenode.station.desired import MAX_STARTS, Book, Text
from pilenode.station.desired_keeper import PER_HOUR, DesiredKeeper
from pilenode.station.desired_start import choose
from pilenode.station.desired_store import FOLDER, DesiredStore
from pilenode.station.desired_text import HeardConfig, hear_config
from pilenode.station.entries import NewFact
from pilenode.station.gate import Gate
from pilenode.station.journal import Journal
from pilenode.station.signatures import CONFIG_PURPOSE, PURPOSE, KeyRing
from pilenode.upstream.desired import MAX_BODY_BYTES, MAX_DESIRED_BYTES, Desired, digest
from pilenode.upstream.facts import Boot, FactKind
from pilenode.upstream.facts_config import ConfigApplied, ConfigRefused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from pathlib import Path

OWN = """\
[node]
id = "n1"

[[bus]]
name = "main"
device = "/dev/serial/by-id/x"

[[port]]
number = 1
meter = { model = "pzem004t-v3", unit = 1, bus = "main" }
relay = { pin = 5 }

[upstream]
url = "mqtt://127.0.0.1:1883"
"""


def body(fen: int) -> str:
    """Return a good text that can be told from others."""
    return f"[cards]\nday_cap_fen = {fen}\n"


def message(version: float, text: str, **more: object) -> bytes:
    """Return what a backend sends."""
    return msgspec.json.encode({"version": version, "sha256": digest(text), "body": text} | more)


class Cabinet:
    """One keeper over a real journal and a real directory. ``idle``, ``connected``, ``sound``: what its world does."""

    def __init__(self, directory: Path, gate: Gate | None = None, own: str = OWN) -> None:
        self.idle, self.connected, self.sound = True, True, True
        self.restarts = 0
        self._directory = directory
        self._gate = gate or Gate("n1")
        self._own = own

    async def start(self) -> None:
        """Start a process."""
        self.journal = Journal(self._directory / "j.db")
        await self.journal.recover()
        await self.journal.append([NewFact(FactKind.BOOT, Boot(version="1"))])
        store = DesiredStore(self._directory / FOLDER)
        self.in_force = choose(store, merge_text(self._own))
        sessions: Any = SimpleNamespace(snapshot=object(), at_rest=self._at_rest)
        journal: Any = self.journal
        self.sessions = sessions
        self.keeper = DesiredKeeper(
            store,
            self.in_force,
            journal=journal,
            sessions=sessions,
            gate=self._gate,
            connected=lambda: self.connected,
            restart=self._count_restart,
            trial_s=0.0,
        )

    async def stop(self) -> None:
        """End it, as a kill does."""
        await self.journal.close()

    async def again(self) -> None:
        """Start another process."""
        await self.stop()
        await self.start()

    async def hear(self, payload: bytes) -> None:
        """Let a message come, and do what is due."""
        self.keeper.offer(payload)
        await self.keeper.step()

    async def facts(self) -> list[ConfigApplied | ConfigRefused]:
        """Return what the journal has."""
        kinds = {FactKind.CONFIG_APPLIED: ConfigApplied, FactKind.CONFIG_REFUSED: ConfigRefused}
        found = await self.journal.facts([*kinds], 0, 500)
        return [msgspec.json.decode(fact.body, type=kinds[FactKind(fact.kind)]) for fact in found]

    async def codes(self) -> list[str]:
        """Return the codes of all refusals in the journal."""
        return [fact.code for fact in await self.facts() if isinstance(fact, ConfigRefused)]

    @property
    def cap(self) -> int:
        """The value that is in force in this process."""
        return self.in_force.merged.config.cards.day_cap_fen

    async def _at_rest(self, work: Callable[[], Awaitable[None]]) -> bool:
        if self.idle:
            await work()
        return self.idle

    def _count_restart(self) -> None:
        self.restarts += 1


@pytest.fixture
def tmp_path(in_memory: Path) -> Path:
    """Return a directory without the waiting for a disk: what a disk does is in ``test_station_desired_store``."""
    return in_memory


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desired_keeper, "_LEAVING_S", 0.0)


def play(
    directory: Path, story: Callable[[Cabinet], Awaitable[None]], gate: Gate | None = None, own: str = OWN
) -> None:
    """Live through ``story`` with a cabinet that has just started."""

    async def main() -> None:
        cabinet = Cabinet(directory, gate, own)
        await cabinet.start()
        try:
            await story(cabinet)
        finally:
            await cabinet.stop()

    asyncio.run(main())


# -- the way to being in force ---------------------------------------------------------------------------------


def test_it_waits_for_idle_ports_and_counts_after_its_trial(tmp_path: Path) -> None:
    """Nothing changes while a session runs; then a new process tries it, and after that it is told."""

    async def story(cabinet: Cabinet) -> None:
        cabinet.idle = False
        await cabinet.hear(message(7, body(400)))
        await cabinet.keeper.step()
        report = cabinet.keeper.report()
        assert (report.applied, report.staged, cabinet.restarts) == (0, 7, 0)
        await cabinet.again()
        assert cabinet.cap == 500  # a restart is no idle port
        cabinet.idle = True
        await cabinet.keeper.step()
        assert cabinet.restarts == 1
        assert await cabinet.facts() == []
        await cabinet.again()
        assert (cabinet.cap, cabinet.keeper.report().staged, cabinet.in_force.on_trial) == (400, 7, True)
        await cabinet.keeper.step()
        assert await cabinet.facts() == [ConfigApplied(version=7, sha256=digest(body(400)))]
        report = cabinet.keeper.report()
        assert (report.applied, report.staged, report.refused, cabinet.restarts) == (7, None, None, 1)
        await cabinet.again()
        assert (cabinet.cap, cabinet.in_force.on_trial) == (400, False)

    play(tmp_path, story)


@pytest.mark.parametrize("lacking", ["guard", "journal", "upstream"])
def test_a_failed_self_test_brings_back_what_was(tmp_path: Path, lacking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Version 2 breaks something that worked: version 1 is in force again, 2 is told and never tried again."""
    monkeypatch.setattr(desired_keeper, "_CONNECT_S", 0.0)

    async def story(cabinet: Cabinet) -> None:
        for version, fen in ((1, 400), (2, 300)):
            await cabinet.hear(message(version, body(fen)))
            await cabinet.again()
            if version == 1:
                await cabinet.keeper.step()
        assert cabinet.cap == 300
        if lacking == "guard":
            cabinet.sessions.snapshot = None
        elif lacking == "journal":
            monkeypatch.setattr(cabinet.journal, "status", lambda: SimpleNamespace(ok=False))
        cabinet.connected = lacking != "upstream"
        before = cabinet.restarts
        await cabinet.keeper.step()
        assert cabinet.restarts == before + 1
        cabinet.connected = True
        await cabinet.again()
        assert (cabinet.cap, cabinet.in_force.version) == (400, 1)
        await cabinet.hear(message(2, body(300)))
        refused = (await cabinet.facts())[-1]
        assert isinstance(refused, ConfigRefused)
        assert (refused.version, refused.code, refused.detail) == (2, "config_rolled_back", lacking)
        report = cabinet.keeper.report()
        assert (report.applied, report.staged, report.refused) == (1, None, 2)
        assert cabinet.restarts == before + 1

    play(tmp_path, story)


def test_what_did_not_work_before_is_not_asked_of_it(tmp_path: Path) -> None:
    """A configuration is not blamed for a backend that was away before it."""

    async def story(cabinet: Cabinet) -> None:
        cabinet.connected = False
        await cabinet.hear(message(1, body(400)))
        await cabinet.again()
        await cabinet.keeper.step()
        assert cabinet.keeper.report().applied == 1

    play(tmp_path, story)


def test_a_connection_gets_the_first_pause_of_the_new_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trial is not over before the backend could be there again."""
    now = [0.0]
    monkeypatch.setattr(clock, "monotonic_s", lambda: now[0])

    async def story(cabinet: Cabinet) -> None:
        await cabinet.hear(message(1, "[upstream]\nretry_base_s = 30\n"))
        await cabinet.again()
        cabinet.connected = False
        cabinet.keeper._trial_s = 60.0
        await cabinet.keeper.step()
        now[0] += 109.9
        await cabinet.keeper.step()
        assert cabinet.keeper.report().staged == 1
        cabinet.connected = True
        await cabinet.keeper.step()
        assert cabinet.keeper.report().applied == 1

    play(tmp_path, story)


def test_the_newest_of_several_counts(tmp_path: Path) -> None:
    """One that is replaced before its turn never counts; one that comes during a trial waits for its end."""

    async def story(cabinet: Cabinet) -> None:
        cabinet.idle = False
        await cabinet.hear(message(1, body(400)))
        await cabinet.hear(message(2, body(300)))
        cabinet.idle = True
        await cabinet.keeper.step()
        cabinet.idle = False
        await cabinet.again()
        assert cabinet.cap == 300
        cabinet.keeper._trial_s = 1000.0
        await cabinet.hear(message(3, body(200)))
        assert (cabinet.keeper.shown().on_trial, cabinet.keeper.shown().staged) == (2, 3)
        cabinet.idle, cabinet.keeper._trial_s = True, 0.0
        await cabinet.keeper.step()
        await cabinet.again()
        assert (cabinet.cap, cabinet.keeper.report().applied) == (200, 2)

    play(tmp_path, story)


def test_the_own_file_that_became_tighter_wins(tmp_path: Path) -> None:
    """What was good is held against the own file at every start: its ceilings are never passed."""

    async def story(cabinet: Cabinet) -> None:
        await cabinet.hear(message(1, body(400)))
        await cabinet.again()
        await cabinet.keeper.step()
        cabinet._own = OWN + "\n[cards]\nday_cap_fen = 399\n"
        await cabinet.again()
        assert (cabinet.cap, cabinet.in_force.version) == (399, 0)
        await cabinet.keeper.step()
        refused, own = (await cabinet.facts())[-2:]
        assert isinstance(refused, ConfigRefused)
        assert (refused.code, refused.problems[0].code) == ("config_error", "above_ceiling")
        assert own == ConfigApplied(version=0)

    play(tmp_path, story)


# -- going back by hand ----------------------------------------------------------------------------------------


def test_a_technician_goes_back_to_the_own_file(tmp_path: Path) -> None:
    """At idle ports, on record with his name; what the broker still keeps does not come again, a newer one does."""

    async def story(cabinet: Cabinet) -> None:
        assert await cabinet.keeper.forget("Li") == Refused(code="nothing_desired")
        await cabinet.hear(message(1, body(400)))
        await cabinet.again()
        await cabinet.keeper.step()
        cabinet.idle = False
        assert await cabinet.keeper.forget("Li") == Done()
        await cabinet.keeper.step()
        assert (cabinet.restarts, cabinet.keeper.shown().forget) == (1, True)
        cabinet.idle = True
        await cabinet.keeper.step()
        await cabinet.again()
        await cabinet.hear(message(1, body(400)))
        assert (cabinet.cap, cabinet.restarts) == (500, 2)
        assert (await cabinet.facts())[-1] == ConfigApplied(version=0, by="Li")
        await cabinet.hear(message(2, body(300)))
        await cabinet.again()
        assert cabinet.cap == 300

    play(tmp_path, story)


def test_what_only_waits_is_forgotten_at_once(tmp_path: Path) -> None:
    """Nothing has to start anew for it."""

    async def story(cabinet: Cabinet) -> None:
        cabinet.idle = False
        await cabinet.hear(message(1, body(400)))
        assert await cabinet.keeper.forget("Li") == Done()
        cabinet.idle = True
        await cabinet.keeper.step()
        assert (cabinet.restarts, cabinet.keeper.report().staged) == (0, None)
        assert await cabinet.facts() == [ConfigApplied(version=0, by="Li")]

    play(tmp_path, story)


# -- what is refused -------------------------------------------------------------------------------------------

BAD = {
    "not JSON": (b"\x00", "malformed"),
    "half a character": (b'{"version":1,"sha256":"%s","body":"\\ud800"}' % (b"0" * 64), "malformed"),
    "a list": (b"[]", "malformed"),
    "no version": (b'{"sha256":"%s","body":""}' % (b"0" * 64), "malformed"),
    "version 0": (message(0, body(1)), "malformed"),
    "a version with a fraction": (message(1.5, body(1)), "malformed"),
    "too long": (b" " * (MAX_DESIRED_BYTES + 1), "oversized"),
    "text too long": (message(1, "#" * (MAX_BODY_BYTES + 1)), "malformed"),
    "text too long in bytes": (message(1, "度" * 20_481), "oversized"),
    "too deep": (b"[" * 9 + b"]" * 9, "too_deep"),
    "a key twice": (b'{"version":1,"version":2}', "duplicate_key"),
    "very deep": (b"[" * 60_000, "too_deep"),
    "a key twice that nobody can write": (b'{"\\ud800":1,"\\ud800":2}', "duplicate_key"),
    "another major version": (message(1, body(1), protocol=2), "protocol_mismatch"),
    "a key twice in another spelling": (b'{"version":1,"versio\\u006e":2}', "duplicate_key"),
    "the hash of another text": (message(1, body(1), sha256=digest(body(2))), "config_hash"),
    "for another cabinet": (message(1, body(1), node="n2"), "wrong_node"),
    "no TOML": (message(1, "[cards"), "config_error"),
    "TOML with a key twice": (message(1, "[cards]\nenabled = true\nenabled = true"), "config_error"),
    "very deep TOML": (message(1, "a = " + "[" * 40_000), "config_error"),
    "above the ceiling": (message(1, body(501)), "config_error"),
    "protective": (message(1, "[limits]\ncurrent_limit_a = 6\n"), "config_error"),
    "a path": (message(1, '[cards]\nkey_file = "../../etc/shadow"\n'), "config_error"),
}


def test_bad_input_is_refused_with_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted, told once however often it comes, nothing staged, and a good one counts after all of it."""
    now = [0.0]
    monkeypatch.setattr(clock, "monotonic_s", lambda: now[0])

    async def story(cabinet: Cabinet) -> None:
        for what, (payload, code) in BAD.items():
            now[0] += 3600.0
            told, counted = len(await cabinet.codes()), cabinet.keeper.refused[code]
            for _ in range(2):
                await cabinet.hear(payload)
            assert (await cabinet.codes())[told:] == [code], what
            assert (cabinet.keeper.refused[code], cabinet.keeper.report().code) == (counted + 1, code)
        assert (cabinet.restarts, [*(tmp_path / FOLDER).glob("*.toml")]) == (0, [])
        await cabinet.hear(message(2, body(400)))
        assert (cabinet.keeper.shown().on_trial, cabinet.restarts) == (2, 1)

    play(tmp_path, story)


def test_the_same_bad_one_is_told_once_over_restarts(tmp_path: Path) -> None:
    """The broker keeps it and says it at every connection; a fact each time would fill the disk."""

    async def story(cabinet: Cabinet) -> None:
        for _ in range(3):
            await cabinet.hear(message(1, body(501)))
            await cabinet.again()
        assert await cabinet.codes() == ["config_error"]

    play(tmp_path, story)


@pytest.mark.parametrize(
    ("version", "fen", "code"),
    [(1, 400, "config_older"), (2, 400, "config_conflict"), (2, 300, ""), (3, 300, "")],
)
def test_versions_only_grow(tmp_path: Path, version: int, fen: int, code: str) -> None:
    """Older and changed ones are refused; the very same is known and says nothing."""

    async def story(cabinet: Cabinet) -> None:
        await cabinet.hear(message(2, body(300)))
        await cabinet.again()
        await cabinet.keeper.step()
        await cabinet.hear(message(version, body(fen)))
        assert await cabinet.codes() == ([code] if code else [])
        assert cabinet.restarts == (2 if version == 3 else 1)

    play(tmp_path, story)


def test_a_message_that_is_taken_back_changes_nothing(tmp_path: Path) -> None:
    """An empty message is how a backend clears what the broker keeps."""

    async def story(cabinet: Cabinet) -> None:
        await cabinet.hear(b"")
        assert await cabinet.facts() == []
        assert not cabinet.keeper.refused

    play(tmp_path, story)


def test_a_flood_fills_no_disk_and_loses_no_good_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six an hour are looked at; the newest of the others waits."""
    now = [0.0]
    monkeypatch.setattr(clock, "monotonic_s", lambda: now[0])

    async def story(cabinet: Cabinet) -> None:
        for number in range(1, 50):
            await cabinet.hear(message(number, body(501)))
        assert len(await cabinet.codes()) == PER_HOUR
        await cabinet.hear(message(50, body(400)))
        assert cabinet.keeper.report().staged is None
        now[0] += 600.0
        await cabinet.keeper.step()
        assert cabinet.keeper.report().staged == 50

    play(tmp_path, story)


def test_a_disk_that_takes_nothing_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is half taken in; with room again it counts."""

    async def story(cabinet: Cabinet) -> None:
        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(DesiredStore, "save", full)
            await cabinet.hear(message(1, body(400)))
            assert cabinet.keeper.book == Book()
        await cabinet.keeper.step()
        assert cabinet.keeper.report().staged == 1

    play(tmp_path, story)


def test_news_are_told_once_although_a_kill_came_between(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal has the fact and the book does not know yet: the next process sees that."""

    async def story(cabinet: Cabinet) -> None:
        cabinet.keeper.offer(message(1, body(501)))
        monkeypatch.setattr(cabinet.keeper, "_save", _killing(cabinet.keeper))
        with contextlib.suppress(asyncio.CancelledError):
            await cabinet.keeper.step()
        await cabinet.again()
        assert len(cabinet.keeper.book.news) == 1
        await cabinet.keeper.step()
        assert await cabinet.codes() == ["config_error"]
        assert not cabinet.keeper.book.news

    play(tmp_path, story)


def _killing(keeper: DesiredKeeper) -> Callable[[Book], Coroutine[Any, Any, None]]:
    """Return a ``_save`` that dies before a book without news is written."""
    real = keeper._save

    async def save(book: Book) -> None:
        if not book.news:
            raise asyncio.CancelledError
        await real(book)

    return save


# -- signatures ------------------------------------------------------------------------------------------------


@pytest.fixture
def operations(tmp_path: Path) -> tuple[Gate, Ed25519PrivateKey]:
    """Return a gate with one key, and that key."""
    key = Ed25519PrivateKey.generate()
    file = tmp_path / "keys"
    file.write_text(f"ops {base64.b64encode(key.public_key().public_bytes_raw()).decode()}\n", encoding="ascii")
    return Gate("n1", KeyRing(file)), key


def sealed(key: Ed25519PrivateKey, content: bytes, purpose: bytes = CONFIG_PURPOSE) -> bytes:
    """Return a signed message."""
    signature = base64.b64encode(key.sign(purpose + content)).decode()
    return msgspec.json.encode({"signed": base64.b64encode(content).decode(), "sig": signature, "key": "ops"})


def test_with_operations_keys_it_must_be_signed(tmp_path: Path, operations: tuple[Gate, Ed25519PrivateKey]) -> None:
    """Unsigned, for another purpose or cabinet, or by somebody else: refused. Signed by operations: taken."""
    gate, key = operations
    good = message(1, body(400), node="n1")
    cases = [
        (good, "unsigned"),
        (sealed(key, good, PURPOSE), "bad_signature"),
        (sealed(Ed25519PrivateKey.generate(), good), "bad_signature"),
        (sealed(key, message(1, body(400), node="n2")), "wrong_node"),
        (sealed(key, message(1, body(400))), "wrong_node"),
    ]

    async def story(cabinet: Cabinet) -> None:
        for payload, code in cases:
            await cabinet.hear(payload)
            assert (cabinet.keeper.report().code, cabinet.keeper.report().staged) == (code, None)
        await cabinet.hear(sealed(key, good))
        assert cabinet.keeper.report().staged == 1

    play(tmp_path, story, gate)


def test_a_key_that_is_added_later_lets_the_same_message_pass(
    tmp_path: Path, operations: tuple[Gate, Ed25519PrivateKey]
) -> None:
    """What is wrong with the list of keys is not held against the message."""
    gate, key = operations
    file = tmp_path / "keys"
    text = file.read_text(encoding="ascii")
    payload = sealed(key, message(1, body(400), node="n1"))

    async def story(cabinet: Cabinet) -> None:
        file.write_text("nonsense\n", encoding="ascii")
        await cabinet.hear(payload)
        assert cabinet.keeper.report().code == "keys_unreadable"
        file.write_text(text, encoding="ascii")
        await cabinet.hear(payload)
        assert cabinet.keeper.report().staged == 1

    play(tmp_path, story, gate)


# -- the values ------------------------------------------------------------------------------------------------


def test_the_largest_signed_text_fits(operations: tuple[Gate, Ed25519PrivateKey]) -> None:
    """46 KiB of plain text go into a signed message, 60 KiB into an unsigned one."""
    large = "#" * (46 * 1024)
    heard = hear_config(sealed(operations[1], message(1, large, node="n1")))
    assert isinstance(heard, HeardConfig)
    assert heard.desired.body == large
    assert isinstance(hear_config(message(1, "#" * MAX_BODY_BYTES)), HeardConfig)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_hearing_never_raises(payload: bytes) -> None:
    """Whatever comes is a message or a refusal."""
    heard = hear_config(payload)
    assert msgspec.json.encode(heard.desired if isinstance(heard, HeardConfig) else heard)


def _text(version: int) -> Text:
    return Text(version=version, sha256=f"{version:064x}")


class _Steps:
    """What may happen to a book, by name; each takes a version that one of them needs."""

    @staticmethod
    def of(book: Book, step: str, version: int) -> Book:
        """Return the book after a step."""
        wanted = Desired(version=version, sha256=f"{version:064x}", body="")
        changes: dict[str, Callable[[], Book]] = {
            "stage": lambda: desired.stage(book, _text(version)) if not desired.verdict(book, wanted) else book,
            "begin": lambda: desired.begin_trial(book, []),
            "start": lambda: desired.started(book),
            "commit": lambda: desired.commit(book),
            "roll back": lambda: desired.roll_back(book, "x"),
            "cannot": lambda: desired.cannot_use(book, ConfigRefused(code="config_damaged", detail=str(version))),
            "want own": lambda: desired.want_own(book, "Li"),
            "forget": lambda: desired.forgotten(book),
            "told": lambda: desired.told(book, 1),
        }
        return changes[step]()


@settings(max_examples=120, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["stage", "begin", "start", "commit", "roll back", "cannot", "want own", "forget", "told"]),
            st.integers(1, 6),
        ),
        max_size=40,
    )
)
def test_books_keep_their_promises(steps: list[tuple[str, int]]) -> None:
    """Whatever happens in whatever order: versions tried only rise, each once; every book can be written and read."""
    book, tried = Book(), []
    for step, version in steps:
        before, book = book, _Steps.of(book, step, version)
        assert msgspec.json.decode(msgspec.json.encode(book), type=Book) == book
        assert book.newest is None or all(text.version <= book.newest.version for text in book.texts)
        if book.trial is not None and (before.trial is None or before.trial.text != book.trial.text):
            tried.append(book.trial.text.version)
        if book.in_force != before.in_force:
            assert step in {"begin", "start", "roll back", "cannot", "forget", "want own"}, step
        assert book.trial is None or book.trial.starts <= MAX_STARTS
    assert tried == sorted(set(tried))
