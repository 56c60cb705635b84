"""Promises of the commands: one effect, always an answer, off is always possible, on only when everything is right."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.tariff import flat_schedule
from hil_rig import bench_commands
from pilenode.ipc.messages import Grant, Plan, Release
from pilenode.ipc.wish import Wish
from pilenode.station.acts import Acts
from pilenode.station.command_text import Heard, hear
from pilenode.station.commands import Commands
from pilenode.station.gate import PER_MINUTE, Gate
from pilenode.station.guard_link import GuardLink
from pilenode.station.house import PlainHouse
from pilenode.station.journal import Journal
from pilenode.station.sessions import Sessions
from pilenode.station.terms import Terms
from pilenode.station.wallclock import ClockQuality, Stamp
from pilenode.upstream.contract import MAX_COMMAND_BYTES, MAX_START_LIFE_MS, Command, IncomingCommand
from pilenode.upstream.facts import CommandResult, FactKind
from safety.catalogue import CATALOGUE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from tests.pilenode.conftest import FakeGuard, LimitedFiles

NOW_MS = 1_800_000_000_000
SYNCED = Stamp("b", 0, NOW_MS, ClockQuality.NTP)
CLOCKLESS = Stamp("b", 0, 1000, ClockQuality.NONE)
START = Command(id="c1", op="start", port=1, order="o1", iat=NOW_MS - 1000, exp=NOW_MS + 59_000)
STOP = Command(id="c2", op="stop", port=1, session="s1", iat=NOW_MS - 1000, exp=NOW_MS + 59_000)


def judge(command: Command, *, retained: bool, now: Stamp) -> str | None:
    """Return the refusal of a start that repeats the right challenge, or of any other command, None for none."""
    gate = Gate(monotonic_s=lambda: 0.0)
    if command.op == "start":
        command = msgspec.structs.replace(command, nonce=gate.challenge(now))
    return gate.fresh(command, retained=retained, now=now).code or None


def parse(payload: bytes) -> Command | CommandResult:
    """Return the command in a payload, or its refusal."""
    heard = hear(payload)
    return heard.command if isinstance(heard, Heard) else heard


TERMS = Terms(
    lease_s=60.0,
    checkpoint_s=60.0,
    tariff=lambda: flat_schedule("t", 0, 0),
)


@pytest.mark.parametrize("late_ms", [-1, 0, 1])
@pytest.mark.parametrize(
    ("now", "refused_late"),
    [
        pytest.param(SYNCED, True, id="clock is right"),
        pytest.param(replace(SYNCED, clock=ClockQuality.RTC), True, id="hardware clock"),
        pytest.param(replace(SYNCED, clock=ClockQuality.NONE), False, id="nothing known of the time"),
    ],
)
def test_start_expires_where_the_time_is_known(now: Stamp, refused_late: bool, late_ms: int) -> None:  # noqa: FBT001 - a table
    """A start is refused one millisecond after its expiry; without a clock the age is bounded by the connection."""
    command = msgspec.structs.replace(START, exp=now.wall_ms - late_ms)
    expected = "expired" if refused_late and late_ms > 0 else None
    assert judge(command, retained=False, now=now) == expected


@pytest.mark.parametrize(
    ("change", "retained", "expired", "code"),
    [
        ({}, False, False, None),
        ({}, True, False, None),
        ({}, False, True, None),
        ({"session": None, "order": "o1"}, True, True, None),
    ],
)
def test_stop_that_names_its_session_is_always_honoured(
    change: dict[str, str | None],
    retained: bool,  # noqa: FBT001 - a table
    expired: bool,  # noqa: FBT001 - a table
    code: str | None,
) -> None:
    """A stop of one certain session is never too late; that it names one is checked before."""
    command = msgspec.structs.replace(STOP, exp=NOW_MS - 1 if expired else NOW_MS + 1, **change)
    assert judge(command, retained=retained, now=SYNCED) == code


def test_start_in_a_retained_message_is_refused() -> None:
    """Whatever else is right with it: who subscribes later must not switch on what was meant for then."""
    assert judge(START, retained=True, now=SYNCED) == "retained_command"
    assert judge(START, retained=True, now=CLOCKLESS) == "retained_command"


ENCODED = msgspec.json.encode(START)


def test_the_answer_to_a_key_that_nobody_can_write_can_be_sent() -> None:
    """Half a surrogate pair is JSON and no text: it must not reach the answer, whose sending would end the station."""
    told = hear(b'{"\\ud800":1,"\\ud800":2}')
    assert isinstance(told, CommandResult)
    assert told.code == "duplicate_key"
    assert msgspec.json.encode(told)


@pytest.mark.parametrize(
    ("payload", "code", "told_id"),
    [
        pytest.param(b"", "malformed", None, id="empty"),
        pytest.param(b"\xff\xfe", "malformed", None, id="not UTF-8"),
        pytest.param(b"[]", "malformed", None, id="no object"),
        pytest.param(b"[" * 5000, "too_deep", None, id="deep"),
        pytest.param(ENCODED[:-1] + b',"x":' + b"[" * 7 + b"]" * 7 + b"}", None, "c1", id="eight levels"),
        pytest.param(ENCODED[:-1] + b',"x":' + b"[" * 8 + b"]" * 8 + b"}", "too_deep", None, id="nine levels"),
        pytest.param(ENCODED[:-1] + b',"x":"[[[[[[[[[[\\"[["}', None, "c1", id="brackets in a text"),
        pytest.param(ENCODED[:-1] + b',"port":2}', "duplicate_key", None, id="port twice"),
        pytest.param(ENCODED[:-1] + b',"p\\u006frt":2}', "duplicate_key", None, id="port twice, once in disguise"),
        pytest.param(ENCODED[:-1] + b',"x":[{"a":1,"a":1}]}', "duplicate_key", None, id="twice, further down"),
        pytest.param(b'{"signed":1}', "malformed", None, id="envelope without a signature"),
        pytest.param(b"NaN", "malformed", None, id="no object either"),
        pytest.param(b"9" * 5000, "malformed", None, id="a number of 5000 digits"),
        pytest.param(b'{"id":"c9"}', "malformed", "c9", id="only an id"),
        pytest.param(ENCODED.replace(b'"start"', b'"reboot"'), "malformed", "c1", id="unknown op"),
        pytest.param(ENCODED.replace(b'"port":1', b'"port":0'), "malformed", "c1", id="port 0"),
        pytest.param(ENCODED.replace(b'"port":1', b'"port":"1"'), "malformed", "c1", id="port as text"),
        pytest.param(ENCODED.replace(b'"o1"', b"null"), "malformed", "c1", id="start without order"),
        pytest.param(ENCODED.replace(b'"c1"', b'"' + b"x" * 65 + b'"'), "malformed", None, id="long id"),
        pytest.param(
            msgspec.json.encode(msgspec.structs.replace(START, iat=5, exp=4)), "malformed", "c1", id="exp before iat"
        ),
        pytest.param(
            msgspec.json.encode(msgspec.structs.replace(START, exp=START.iat + MAX_START_LIFE_MS)),
            None,
            "c1",
            id="good for as long as it may be",
        ),
        pytest.param(
            msgspec.json.encode(msgspec.structs.replace(START, exp=START.iat + MAX_START_LIFE_MS + 1)),
            "malformed",
            "c1",
            id="good for too long",
        ),
        pytest.param(
            msgspec.json.encode(msgspec.structs.replace(STOP, session=None)),
            "malformed",
            "c2",
            id="nameless stop",
        ),
        pytest.param(ENCODED.replace(b'"plan":{}', b'"plan":{"energy_wh":-5}'), "malformed", "c1", id="negative plan"),
        pytest.param(
            ENCODED.replace(b'"protocol":1', b'"protocol":2'), "protocol_mismatch", "c1", id="another major version"
        ),
        pytest.param(b'{"protocol":0,"id":"c1"}', "protocol_mismatch", "c1", id="another major version, other fields"),
        pytest.param(ENCODED.replace(b'"protocol":1', b'"protocol":"2"'), "malformed", "c1", id="version as text"),
        pytest.param(b" " * (MAX_COMMAND_BYTES + 1 - len(ENCODED)) + ENCODED, "oversized", None, id="one byte over"),
    ],
)
def test_what_is_no_command_is_refused_with_its_code(payload: bytes, code: str | None, told_id: str | None) -> None:
    """Malformed and oversized input gets a stable code, and its own id back where it has one; None: it is a command."""
    refusal = parse(payload)
    if code is None:
        assert isinstance(refusal, Command)
        assert refusal.id == told_id
        return
    assert isinstance(refusal, CommandResult)
    assert (refusal.code, refusal.id, refusal.ok) == (code, told_id, False)
    assert code in CATALOGUE


def test_largest_command_is_read() -> None:
    """A command of exactly the allowed size is a command."""
    assert parse(b" " * (MAX_COMMAND_BYTES - len(ENCODED)) + ENCODED) == START


def test_unknown_fields_are_ignored() -> None:
    """A newer backend may say more than this version understands."""
    assert parse(ENCODED[:-1] + b',"colour":{"deep":[1,2]}}') == START


def test_limit_that_is_not_known_is_never_dropped() -> None:
    """A field of the plan that this version does not know may be a limit: the start is refused, and names it."""
    refusal = parse(ENCODED.replace(b'"plan":{}', b'"plan":{"power_w":100}'))
    assert isinstance(refusal, CommandResult)
    assert (refusal.code, refusal.id) == ("malformed", "c1")
    assert "power_w" in refusal.detail


@pytest.mark.parametrize(
    "more", [b'"plan":{"power_w":100},', b'"change":{"a":1},', b'"act":{"act":"new"},', b'"paid_fen":-1,']
)
def test_stop_is_understood_whatever_else_it_says(more: bytes) -> None:
    """Off is always honoured: a stop that names its session or order needs nothing else to be right."""
    stop = msgspec.json.encode(STOP).replace(b'"plan":{},', b"").replace(b'"change":null,', b"")
    stop = stop.replace(b'"act":null,', b"").replace(b'"paid_fen":null,', b"")
    assert parse(b"{" + more + stop[1:]) == STOP
    nameless = parse(b"{" + more + stop[1:].replace(b'"s1"', b"null"))
    assert isinstance(nameless, CommandResult)
    assert nameless.code == "malformed"


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_no_payload_raises(payload: bytes) -> None:
    """Whatever arrives is a command or a refusal."""
    assert isinstance(parse(payload), Command | CommandResult)


def play(
    directory: Path,
    guard: FakeGuard,
    story: Callable[[Commands, Journal], Awaitable[None]],
    now: Stamp = SYNCED,
    gate: Gate | None = None,
) -> None:
    """Run ``story`` with a station that has looked around and a guard that listens."""

    async def main() -> None:
        journal, link = Journal(directory / "j.db", reserve_bytes=0), GuardLink(str(guard.path))
        sessions = Sessions(journal, link, TERMS, PlainHouse())
        async with guard:
            await sessions.tick()
            await story(Commands(journal, sessions, Acts(journal, ()), lambda: now, gate), journal)
            await link.close()
        await journal.close()

    asyncio.run(main())


async def results(journal: Journal) -> int:
    """Return how many answers are kept."""
    return [fact.kind for fact in await journal.unacked(1000)].count(FactKind.COMMAND_RESULT)


def incoming(command: Command, *, retained: bool = False) -> IncomingCommand:
    """Return a command as it arrives."""
    return IncomingCommand(msgspec.json.encode(command), retained)


def test_start_and_stop_are_carried_out_and_answered(tmp_path: Path, guard: FakeGuard) -> None:
    """A scan starts a session under its order and plan, a stop ends it with the reason that it came from afar."""

    async def story(commands: Commands, _: Journal) -> None:
        started = await commands.handle(incoming(msgspec.structs.replace(START, plan=Wish(energy_wh=300))))
        assert started.ok
        (grant,) = [request for request in guard.requests if isinstance(request, Grant)]
        assert (grant.session, grant.port, grant.plan) == (started.session, 1, Plan(energy_wh=300))
        stop = msgspec.structs.replace(STOP, session=started.session)
        assert (await commands.handle(incoming(stop))).ok
        (release,) = [request for request in guard.requests if isinstance(request, Release)]
        assert (release.session, release.reason) == (started.session, "remote")

    play(tmp_path, guard, story)


@pytest.mark.parametrize("first", [START, msgspec.structs.replace(START, port=9)])
def test_repeated_id_gets_the_stored_answer_and_has_no_second_effect(
    tmp_path: Path, guard: FakeGuard, first: Command
) -> None:
    """The same id again, changed or late or retained, is answered as the first time and does nothing."""

    async def story(commands: Commands, journal: Journal) -> None:
        answer = await commands.handle(incoming(first))
        other = msgspec.structs.replace(first, port=2, order="o2", exp=first.iat)
        for again in (incoming(first), incoming(first, retained=True), incoming(other)):
            assert await commands.handle(again) == answer
        assert guard.count(Grant) == (1 if answer.ok else 0)
        kinds = [fact.kind for fact in await journal.unacked(100)]
        assert kinds.count(FactKind.COMMAND_RESULT) == 1

    play(tmp_path, guard, story)


def test_answer_survives_the_process(tmp_path: Path, guard: FakeGuard) -> None:
    """A command repeated after a restart is still answered from the journal."""
    answers: list[CommandResult] = []

    async def story(commands: Commands, _: Journal) -> None:
        answers.append(await commands.handle(incoming(START)))

    play(tmp_path, guard, story)
    play(tmp_path, guard, story)
    assert answers[0] == answers[1]
    assert guard.count(Grant) == 1


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (incoming(START, retained=True), "retained_command"),
        (incoming(msgspec.structs.replace(START, exp=START.iat)), "expired"),
        (incoming(msgspec.structs.replace(START, port=9)), "unknown_port"),
        (incoming(STOP), "wrong_session"),
        (IncomingCommand(b"{}", retained=False), "malformed"),
        (IncomingCommand(b"x" * 9000, retained=False), "oversized"),
    ],
)
def test_refusals_are_counted_and_touch_nothing(
    tmp_path: Path, guard: FakeGuard, message: IncomingCommand, code: str
) -> None:
    """A refused command is counted under its code and moves nothing at guard."""

    async def story(commands: Commands, _: Journal) -> None:
        result = await commands.handle(message)
        assert (result.ok, result.code) == (False, code)
        assert commands.refused == {code: 1}
        assert guard.count(Grant) + guard.count(Release) == 0

    play(tmp_path, guard, story)


def test_clockless_cabinet_still_starts(tmp_path: Path, guard: FakeGuard) -> None:
    """A cabinet that does not know the time takes what repeats its challenge, and still nothing retained.

    A start that was refused for its challenge may come again under its id; with the right one it is carried out.
    """

    async def story(commands: Commands, journal: Journal) -> None:
        for nonce in (None, "", "guess"):
            refused = await commands.handle(incoming(msgspec.structs.replace(START, nonce=nonce)))
            assert refused.code == "challenge_needed"
        assert guard.count(Grant) == 0
        assert await results(journal) == 0
        challenge = commands.challenge()
        assert challenge is not None
        assert (await commands.handle(incoming(msgspec.structs.replace(START, nonce=challenge)))).ok
        other = msgspec.structs.replace(START, id="c3", port=2, order="o2", nonce=challenge)
        assert (await commands.handle(incoming(other, retained=True))).code == "retained_command"

    play(tmp_path, guard, story, CLOCKLESS)


def test_full_disk_refuses_starts_and_obeys_stops(
    tmp_path: Path, guard: FakeGuard, limited_files: LimitedFiles
) -> None:
    """When nothing can be kept, nothing is switched on from afar, and everything can be switched off."""

    async def story(commands: Commands, _: Journal) -> None:
        started = await commands.handle(incoming(START))
        limited_files.fill()
        other = msgspec.structs.replace(START, id="c3", port=2, order="o2")
        assert (await commands.handle(incoming(other))).code == "journal_failed"
        stop = msgspec.structs.replace(STOP, session=started.session)
        assert (await commands.handle(incoming(stop))).ok
        assert guard.count(Release) == 1
        limited_files.free()

    play(tmp_path, guard, story)


@settings(max_examples=25, deadline=None)  # each one opens a journal and a socket
@given(
    heard=st.lists(
        st.tuples(
            st.sampled_from(["start", "stop"]),
            st.sampled_from(["c1", "c2", "c3"]),
            st.sampled_from(["o1", "o2"]),
            st.booleans(),
            st.booleans(),
        ),
        max_size=12,
    )
)
def test_no_sequence_of_commands_starts_what_must_not_start(
    tmp_path_factory: pytest.TempPathFactory,
    new_guard: type[FakeGuard],
    heard: list[tuple[str, str, str, bool, bool]],
) -> None:
    """Whatever is repeated, late or retained: an order is granted at most once, and only by a command in time."""
    directory = tmp_path_factory.mktemp("commands")
    guard = new_guard(directory / "guard.sock")

    async def story(commands: Commands, _: Journal) -> None:
        answers: dict[str, CommandResult] = {}
        for op, name, order, retained, late in heard:
            exp = NOW_MS - 1 if late else NOW_MS + 1
            command = Command(
                id=name, op="start" if op == "start" else "stop", port=1, order=order, iat=NOW_MS - 9, exp=exp
            )
            before = guard.count(Grant)
            result = await commands.handle(incoming(command, retained=retained))
            assert answers.setdefault(name, result) == result
            if guard.count(Grant) > before:
                assert not retained
                assert not late
                assert op == "start"
        granted = [request.session for request in guard.requests if isinstance(request, Grant)]
        assert len(granted) == len(set(granted)) <= 2

    play(directory, guard, story)


def test_known_time_needs_no_challenge() -> None:
    """Where the clock is trusted nothing is told and nothing asked for; where it is not, both."""
    gate = Gate(monotonic_s=lambda: 0.0)
    for quality in ClockQuality:
        trusted = quality in (ClockQuality.SERVER, ClockQuality.NTP)
        now = replace(SYNCED, clock=quality)
        assert (gate.challenge(now) is None) == trusted
        assert gate.fresh(START, retained=False, now=now).code == ("" if trusted else "challenge_needed")


def test_command_for_another_cabinet_is_refused_here(tmp_path: Path, guard: FakeGuard) -> None:
    """Whoever copies a command from one topic to another starts nothing; a stop that names its session is honoured."""

    async def story(commands: Commands, _: Journal) -> None:
        elsewhere = msgspec.structs.replace(START, node="cabinet-2")
        assert (await commands.handle(incoming(elsewhere))).code == "wrong_node"
        started = await commands.handle(incoming(msgspec.structs.replace(START, node="cabinet-1")))
        stop = msgspec.structs.replace(STOP, session=started.session, node="cabinet-2")
        assert (await commands.handle(incoming(stop))).ok

    play(tmp_path, guard, story, gate=Gate("cabinet-1"))


def test_starts_come_ten_a_minute_and_stops_as_many_as_like(tmp_path: Path, guard: FakeGuard) -> None:
    """The eleventh start within a minute waits for the next one, under the same id; no number of stops is too many."""
    now_s = [0.0]

    async def story(commands: Commands, journal: Journal) -> None:
        for number in range(PER_MINUTE["start"]):
            wrong = msgspec.structs.replace(START, id=f"n{number}", port=9, order=f"o-{number}")
            assert (await commands.handle(incoming(wrong))).code == "unknown_port"
        assert (await commands.handle(incoming(START))).code == "rate_limited"
        for number in range(100):
            stop = msgspec.structs.replace(STOP, id=f"s{number}")
            assert (await commands.handle(incoming(stop))).code == "wrong_session"
        now_s[0] += 6.1
        assert (await commands.handle(incoming(START))).ok
        assert await results(journal) == 30 + 1  # of refusals only so many

    play(tmp_path, guard, story, gate=Gate(monotonic_s=lambda: now_s[0]))


def test_flood_of_refusals_does_not_fill_the_journal(tmp_path: Path, guard: FakeGuard) -> None:
    """Every one is answered and counted; only the first of a minute are facts."""

    async def story(commands: Commands, journal: Journal) -> None:
        for number in range(200):
            late = msgspec.structs.replace(START, id=f"n{number}", exp=START.iat)
            assert (await commands.handle(incoming(late))).code == "expired"
        assert commands.refused["expired"] == 200
        assert await results(journal) == 30

    play(tmp_path, guard, story, gate=Gate(monotonic_s=lambda: 0.0))


def test_what_was_refused_for_its_sender_does_not_use_up_the_id(tmp_path: Path, guard: FakeGuard) -> None:
    """A forger who guesses an id cannot have the real command under that id refused."""

    async def story(commands: Commands, _: Journal) -> None:
        assert (await commands.handle(incoming(msgspec.structs.replace(START, node="x")))).code == "wrong_node"
        assert (await commands.handle(incoming(START))).ok

    play(tmp_path, guard, story, gate=Gate("cabinet-1"))


def test_random_lives_keep_every_promise(tmp_path: Path) -> None:
    """One session for an id, none late, none forged, off always: the short form of ``hil_rig.bench_commands``."""
    keys = tmp_path / "keys"
    broken, codes = asyncio.run(bench_commands.play(400, 20260101, keys, bench_commands.operations_key(keys)))
    assert broken == {}
    reached = {"carried out", "expired", "retained_command", "challenge_needed", "wrong_node", "unsigned"}
    assert reached | {"bad_signature", "malformed", "rate_limited", "journal_failed"} <= set(codes)
