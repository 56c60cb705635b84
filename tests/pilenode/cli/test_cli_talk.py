"""The command line against a real socket: what is asked, what is printed, and which status comes back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
import pytest

from pilenode.ipc.messages import (
    Done,
    LoadShown,
    Modify,
    QueuedStart,
    Refused,
    ResetFault,
    SessionRecord,
    Sessions,
    SessionsReply,
    Start,
    StartReply,
    Status,
    StatusReply,
    Stop,
)
from pilenode.ipc.wish import Change, Wish

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.pilenode.cli.conftest import FakeStation

    Run = Callable[..., tuple[int, str, str]]

SESSION = "01HK153X00ABCDEFGHJKMNPQR1"


def test_start_sends_the_plan_and_prints_the_session(run: Run, station: FakeStation) -> None:
    """Energy is watt-hours, time is minutes, and every start without an order id gets a new one."""
    station.reply = StartReply(session=SESSION, port=3)
    assert run("start", "3", "--energy-wh", "500", "--minutes", "90") == (
        0,
        f"Session {SESSION} started on port 3.\n",
        "",
    )
    run("start", "3")
    first, second = station.asked
    assert isinstance(first, Start)
    assert isinstance(second, Start)
    assert (first.port, first.plan) == (3, Wish(energy_wh=500, duration_s=5400))
    assert first.by.startswith("cli:")
    assert second.plan == Wish()
    assert first.order != second.order


def test_clock_time_and_money_arrive_as_integers(run: Run, station: FakeStation) -> None:
    """Ms since the epoch and fen, with energy and time beside them."""
    station.reply = StartReply(session=SESSION, port=3)
    run("start", "3", "--until", "2026-05-01T06:00+08:00", "--amount", "4.35", "--energy-wh", "300")
    (asked,) = station.asked
    assert isinstance(asked, Start)
    assert asked.plan == Wish(energy_wh=300, until_ms=1_777_586_400_000, amount_fen=435)


def test_modify_sends_what_changes_and_what_is_lifted(run: Run, station: FakeStation) -> None:
    """For the session that is named, and only what was said; nothing at all is misuse and asks nobody."""
    station.reply = Done()
    status, out, _ = run(
        "modify", "3", "--session", SESSION, "--minutes", "60", "--without", "amount", "--without", "energy"
    )
    assert (status, out) == (0, "The plan on port 3 was changed.\n")
    (asked,) = station.asked
    assert isinstance(asked, Modify)
    assert (asked.port, asked.session) == (3, SESSION)
    assert asked.change == Change(duration_s=3600, without=("amount_fen", "energy_wh"))
    assert asked.by.startswith("cli:")
    for wrong in (("--session", SESSION), ("--minutes", "60"), ("--session", SESSION, "--without", "money")):
        assert run("modify", "3", *wrong)[0] == 2
    assert len(station.asked) == 1


def test_a_repeated_order_is_told_as_such(run: Run, station: FakeStation) -> None:
    """The same order id is sent as given, and its second answer is not taken for a second session."""
    station.reply = StartReply(session=SESSION, port=3, repeated=True)
    status, out, _ = run("start", "3", "--order", "o-1")
    assert (status, out) == (0, f"Order o-1 was known: port 3, session {SESSION}.\n")
    assert isinstance(station.asked[0], Start)
    assert station.asked[0].order == "o-1"


def test_stop_names_the_session_that_is_on_the_port(
    run: Run, station: FakeStation, cabinet: StatusReply, records: list[SessionRecord]
) -> None:
    """Without a name the one on the port is looked up, or the order that waits; the station gets a name always."""
    running = records[0]
    waiting = msgspec.structs.replace(
        cabinet,
        sessions=[running],
        load=LoadShown(budget_ma=9000, queue=[QueuedStart(order="o-9", port=77, position=1, waited_s=5)]),
    )
    station.reply = [waiting, Done(), waiting, Done()]
    assert run("stop", str(running.port))[0] == 0
    assert run("stop", "77")[0] == 0
    stops = [one for one in station.asked if isinstance(one, Stop)]
    assert [(one.session, one.order) for one in stops] == [(running.session, None), (None, "o-9")]


def test_stop_and_reset_ask_for_what_was_said(run: Run, station: FakeStation) -> None:
    """Port, session and cabinet arrive at the station as they were given."""
    station.reply = Done()
    assert run("stop", "2", "--session", SESSION)[:2] == (0, "Port 2 stopped.\n")
    assert run("reset", "2")[:2] == (0, "Port 2 was reset.\n")
    assert run("reset", "--cabinet")[:2] == (0, "The cabinet was reset.\n")
    stops = [one for one in station.asked if isinstance(one, Stop)]
    resets = [one for one in station.asked if isinstance(one, ResetFault)]
    assert [(one.port, one.session) for one in stops] == [(2, SESSION)]
    assert [one.port for one in resets] == [2, None]
    assert all(one.by for one in stops)
    assert all(one.by for one in resets)


@pytest.mark.parametrize(
    "arguments",
    [
        ["start"],
        ["start", "0"],
        ["start", "100"],
        ["start", "x"],
        ["start", "1.5"],
        ["start", "1", "2"],
        ["start", "1", "--energy-wh", "0"],
        ["start", "1", "--energy-wh", "nan"],
        ["start", "1", "--energy-wh", "inf"],
        ["start", "1", "--energy-wh", "100001"],
        ["start", "1", "--minutes", "-1"],
        ["start", "1", "--minutes", "721"],
        ["start", "1", "--minutes", "nan"],
        ["start", "1", "--order", "a b"],
        ["start", "1", "--order", ""],
        ["start", "1", "--order", "a" * 65],
        ["stop", "1", "--session", "\n"],
        ["stop"],
        ["reset"],
        ["reset", "1", "--cabinet"],
        ["sessions", "--limit", "0"],
        ["sessions", "--limit", "1001"],
        ["status", "--interval", "0"],
        ["status", "--wacht"],
        ["strat", "1"],
        ["explain", "nope"],
        ["config", "chekc"],
        ["guard"],
        ["station"],
        ["status", "--lang", "fr"],
    ],
)
@pytest.mark.parametrize("language", ["zh", "en"])
def test_wrong_usage_asks_nothing_and_is_status_2(
    run: Run, station: FakeStation, arguments: list[str], language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A typing mistake reaches no cabinet, and is told in two lines in the right language."""
    monkeypatch.setenv("LANG", f"{language}_XX.UTF-8")
    status, out, err = run(*arguments)
    assert status == 2
    assert station.asked == []
    if "fr" not in arguments:
        first, second = ("错误：", "办法：") if language == "zh" else ("error: ", "remedy: ")
        assert out == ""
        assert [line[: len(first)] for line in err.splitlines()[:1]] == [first]
        assert err.splitlines()[-1].startswith(second)


@pytest.mark.parametrize("value", ["0", "-1", "nan", "-nan", "inf", "100000.1", "100001", "1.5", "x", ""])
def test_a_number_out_of_range_is_told_with_the_range(run: Run, value: str) -> None:
    """Whatever is no usable number is answered with the numbers that are."""
    _, _, err = run("start", "1", f"--energy-wh={value}")
    assert "'--energy-wh': expected a number from 1 up to 100000." in err
    _, _, err = run("start", "1", f"--energy-wh={value}", "--lang", "zh")
    assert "'--energy-wh' 的值不对：应为 1 至 100000 的数。" in err


@pytest.mark.parametrize(
    ("code", "status"),
    [("port_busy", 3), ("cause_present", 3), ("not_allowed", 5), ("guard_absent", 4), ("a_code_of_tomorrow", 3)],
)
def test_a_refusal_is_told_in_words_with_its_status(run: Run, station: FakeStation, code: str, status: int) -> None:
    """The cabinet's code decides the exit status; the detail follows the words; nothing goes to stdout."""
    station.reply = Refused(code=code, detail="because")
    for arguments in (["start", "1"], ["stop", "1"], ["reset", "1"], ["status"], ["sessions"]):
        found, out, err = run(*arguments)
        assert (found, out) == (status, "")
        assert "because" in err
        assert len(err.splitlines()) == 2


def test_errors_are_objects_with_json(run: Run, station: FakeStation) -> None:
    """A program reads code, message and remedy from one line of stderr, whatever kind of error it is."""
    station.reply = Refused(code="port_busy")
    cases = [
        (["start", "1"], "port_busy", 3),
        (["start"], "usage", 2),
        (["strat"], "usage", 2),
        (["status", "--socket", "/nonexistent/x.sock"], "station_absent", 4),
        (["status", "--config", "/nonexistent.toml"], "config_error", 2),
        (["explain", "nope"], "usage", 2),
    ]
    for arguments, code, expected in cases:
        status, out, err = run(*arguments, "--json")
        assert (status, out) == (expected, "")
        error = json.loads(err)["error"]
        assert error["code"] == code
        assert error["message"]
        assert error["remedy"]
    assert error.keys() == {"code", "message", "remedy"}


def test_json_is_the_message_itself(
    run: Run, station: FakeStation, cabinet: StatusReply, records: list[SessionRecord]
) -> None:
    """With --json the reply is printed as it came, in one line, so its shape is that of the messages."""
    replies: list[tuple[msgspec.Struct, list[str]]] = [
        (cabinet, ["status"]),
        (SessionsReply(sessions=records), ["sessions"]),
        (StartReply(session=SESSION, port=1), ["start", "1"]),
        (Done(), ["stop", "1", "--session", SESSION]),
        (Done(), ["reset", "--cabinet"]),
    ]
    for reply, arguments in replies:
        station.reply = reply
        status, out, err = run(*arguments, "--json")
        assert (status, err) == (0, "")
        assert out.count("\n") == 1
        assert json.loads(out) == msgspec.to_builtins(reply)


def test_the_socket_is_found_in_the_documented_order(
    run: Run, station: FakeStation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cabinet: StatusReply
) -> None:
    """--socket counts before --config, that before the environment, that before the default."""
    station.reply = cabinet
    config = tmp_path / "cabinet.toml"
    config.write_text(
        '[node]\nid = "n1"\n[[bus]]\nname = "b"\ndevice = "/dev/x"\n[[port]]\nnumber = 1\nrelay = { pin = 5 }\n'
        f'meter = {{ model = "sdm120", unit = 1, bus = "b" }}\n[station]\ncontrol_socket = "{station.path}"\n'
    )
    absent = str(tmp_path / "absent.sock")
    assert run("status", "--json")[0] == 0
    monkeypatch.setenv("PILENODE_CONTROL", absent)
    assert run("status", "--json")[0] == 4
    assert run("status", "--json", "--config", str(config))[0] == 0
    assert run("status", "--json", "--config", str(config), "--socket", absent)[0] == 4
    assert run("status", "--json", "--socket", station.path)[0] == 0
    monkeypatch.delenv("PILENODE_CONTROL")
    assert "/run/pilenode/control.sock" in run("status")[2]
    assert station.asked == [Status()] * 3


def test_sessions_asks_for_as_many_as_wanted(run: Run, station: FakeStation) -> None:
    """The limit goes to the station; no sessions is a sentence, not an empty table."""
    station.reply = SessionsReply(sessions=[])
    assert run("sessions", "--limit", "7") == (0, "No sessions yet.\n", "")
    assert run("sessions", "--lang", "zh")[1] == "还没有会话。\n"
    assert station.asked == [Sessions(limit=7), Sessions(limit=20)]
