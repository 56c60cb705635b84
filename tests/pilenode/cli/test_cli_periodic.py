"""The command ``tests``: what is due is seen, an order waits for its own result, and the exit status tells it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
import pytest
from rich.cells import cell_len

from pilenode.cli import periodic, tables
from pilenode.cli.main import main
from pilenode.ipc import codec
from pilenode.ipc.client import RequestError
from pilenode.ipc.messages import Done, OrderTest, PeriodicTest, RecordTest, Refused, Status, StatusReply
from pilenode.station.periodic import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from pilenode.ipc.messages import ControlRequest
    from tests.pilenode.cli.conftest import FakeStation

    Run = Callable[..., tuple[int, str, str]]

GOOD = PeriodicTest(
    kind="dead_man",
    fitted=True,
    due=False,
    last_seq=41,
    last_wall_ms=1_704_096_000_000,
    last_clock="ntp",
    last_ok=True,
    last_detail="dropped after 0.42 s",
)
FAILED = PeriodicTest(
    kind="probes",
    fitted=True,
    due=True,
    waits="not_idle",
    last_seq=40,
    last_wall_ms=1_704_096_060_000,
    last_clock="ntp",
    last_ok=False,
    last_detail="4 probes, 24.0 to 40.0 °C; port 2 40.0 °C (median 26.0)",
    last_by="uid 1000, pid 77: cli:li",
)
TESTS = [
    GOOD,
    PeriodicTest(kind="relays", fitted=True, due=True, running=True),
    FAILED,
    PeriodicTest(kind="meters", fitted=False, due=False),
    PeriodicTest(kind="rcd", fitted=True, due=True),
]


def test_every_test_has_words() -> None:
    """No test is shown as a bare identifier."""
    assert tables.TESTS.keys() == {kind.value for kind in Kind}


def test_tests_prints_a_table(run: Run, station: FakeStation, cabinet: StatusReply) -> None:
    """What, when, how it went, whether it is due; below it what there is to say."""
    station.reply = msgspec.structs.replace(cabinet, tests=TESTS)
    status, out, err = run("tests")
    assert (status, err) == (0, "")
    assert [line.rstrip() for line in out.splitlines()] == [
        "Test      What                           Last         Result  Due",
        "dead-man  no heartbeat, contactor drops  01-01 08:00  good    no",
        "relays    all open, no socket is live    -            never   running",
        "probes    agree with each other at rest  01-01 08:01  failed  due",
        "meters    ports add up to the inlet      -            -       not fitted",
        "rcd       test button, by a person       -            never   due",
        "",
        "dead-man  dropped after 0.42 s",
        "probes    4 probes, 24.0 to 40.0 °C; port 2 40.0 °C (median 26.0); uid 1000, pid",
        "          77: cli:li",
        "probes    A port is in use; this test needs an idle cabinet. [not_idle]",
    ]
    assert station.asked == [Status()]


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_table_fits_80_columns(run: Run, station: FakeStation, cabinet: StatusReply, language: str) -> None:
    """In both languages, wide characters or not."""
    station.reply = msgspec.structs.replace(cabinet, tests=TESTS)
    _, out, _ = run("tests", "--lang", language)
    assert max(cell_len(line.rstrip()) for line in out.splitlines()) <= 80
    assert {"zh": "不合格", "en": "failed"}[language] in out


def test_tests_as_json(run: Run, station: FakeStation, cabinet: StatusReply) -> None:
    """One line with every field."""
    station.reply = msgspec.structs.replace(cabinet, tests=TESTS)
    status, out, _ = run("tests", "--json")
    assert status == 0
    assert json.loads(out) == {"tests": msgspec.to_builtins(TESTS)}


@pytest.mark.parametrize(
    ("tests", "line"),
    [
        (TESTS, "Tests     failed probes; due relays, rcd (pilenode tests)"),
        ([GOOD, TESTS[4]], "Tests     due rcd (pilenode tests)"),
        ([GOOD], None),
        ([], None),
    ],
)
def test_status_tells_what_is_due_or_failed(
    run: Run, station: FakeStation, cabinet: StatusReply, tests: list[PeriodicTest], line: str | None
) -> None:
    """One line, and none while all is well."""
    station.reply = msgspec.structs.replace(cabinet, tests=tests)
    _, out, _ = run("status")
    shown = [one.rstrip() for one in out.splitlines() if one.startswith("Tests")]
    assert shown == ([] if line is None else [line])


class Station:
    """Answers ``ask`` without a socket: a test that is ordered has its result after ``after`` more looks."""

    def __init__(self, cabinet: StatusReply, *, ok: bool, after: int = 2) -> None:
        self.cabinet = cabinet
        self.ok = ok
        self.after = after
        self.asked: list[ControlRequest] = []

    def __call__(self, _path: str, request: ControlRequest, _expected: object) -> object:
        """Answer one request."""
        self.asked.append(request)
        if isinstance(request, OrderTest):
            return Done()
        looks = sum(isinstance(one, Status) for one in self.asked)
        done = any(isinstance(one, OrderTest) for one in self.asked) and looks > self.after
        tests = [msgspec.structs.replace(GOOD, last_seq=50, last_ok=self.ok) if done else GOOD, FAILED]
        return msgspec.structs.replace(self.cabinet, tests=tests)


@pytest.mark.parametrize(
    ("ok", "status", "line"),
    [
        (True, 0, "dead-man: good. dropped after 0.42 s\n"),
        (False, 7, "dead-man: failed. dropped after 0.42 s\n"),
    ],
)
def test_run_waits_for_its_own_result(
    cabinet: StatusReply,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    ok: bool,  # noqa: FBT001 - a table
    status: int,
    line: str,
) -> None:
    """An older result of the same test is not taken for it; a failure is an exit status of its own."""
    station = Station(cabinet, ok=ok)
    monkeypatch.setattr("pilenode.ipc.client.ask", station)
    monkeypatch.setattr(periodic, "_EVERY_S", 0.0)
    monkeypatch.setattr(periodic, "_PATIENCE_S", 5.0)
    assert main(["tests", "run", "dead-man", "--lang", "en"]) == status
    assert capsys.readouterr().out == line
    orders = [one for one in station.asked if isinstance(one, OrderTest)]
    assert [order.kind for order in orders] == ["dead_man"]
    assert orders[0].by.startswith("cli:")
    monkeypatch.setattr("pilenode.ipc.client.ask", Station(cabinet, ok=ok))
    assert main(["tests", "run", "dead-man", "--json"]) == status
    assert json.loads(capsys.readouterr().out)["last_ok"] is ok


def test_run_does_not_wait_for_ever(cabinet: StatusReply, monkeypatch: pytest.MonkeyPatch) -> None:
    """A result that never comes is told, with the status of a process that does not answer."""
    monkeypatch.setattr("pilenode.ipc.client.ask", Station(cabinet, ok=True, after=10**9))
    monkeypatch.setattr(periodic, "_EVERY_S", 0.0)
    monkeypatch.setattr(periodic, "_PATIENCE_S", 0.05)
    assert main(["tests", "run", "dead-man"]) == 4


def test_a_refused_run_is_a_refusal(run: Run, station: FakeStation, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cabinet's own reason reaches the person, and nothing is waited for."""
    station.reply = Refused(code="not_idle", detail="port 1")

    def found(*_: object) -> PeriodicTest:
        return GOOD

    monkeypatch.setattr(periodic, "_find", found)
    status, _, err = run("tests", "run", "relays")
    assert status == 3
    assert "not_idle" not in err
    assert "A port is in use; this test needs an idle cabinet. (port 1)" in err


def test_an_old_station_knows_no_tests(run: Run, station: FakeStation, cabinet: StatusReply) -> None:
    """A reply without the test that is asked for is told as a mismatch, not waited for."""
    station.reply = cabinet
    assert run("tests", "run", "relays")[0] == 4
    assert RequestError("protocol_mismatch").en in run("tests", "run", "relays")[2]


@pytest.mark.parametrize(
    ("failed", "ok", "detail"), [((), True, ""), (("--failed", "does not trip"), False, "does not trip")]
)
def test_record_tells_who_pressed_the_button(
    run: Run,
    station: FakeStation,
    failed: tuple[str, ...],
    ok: bool,  # noqa: FBT001 - a table
    detail: str,
) -> None:
    """The name that was given, and the login of who typed it."""
    station.reply = Done()
    assert run("tests", "record", "rcd", "--by", "Li Wei", *failed)[:2] == (0, "Recorded.\n")
    (asked,) = station.asked
    assert isinstance(asked, RecordTest)
    assert (asked.kind, asked.ok, asked.detail) == ("rcd", ok, detail)
    assert asked.by.startswith("Li Wei (cli:")
    assert run("tests", "record", "rcd", "--by", "Li", "--json")[1] == '{"type":"done"}\n'


@pytest.mark.parametrize(
    "arguments",
    [
        ("tests", "record", "rcd"),
        ("tests", "record", "dead-man", "--by", "Li"),
        ("tests", "run", "rcd"),
        ("tests", "run"),
        ("tests", "fly"),
        ("tests", "record", "rcd", "--by", "L" * 200),
    ],
)
def test_wrong_use_asks_nothing(run: Run, station: FakeStation, arguments: tuple[str, ...]) -> None:
    """A test without a name, or one that a person cannot do, is a usage error before anybody is asked."""
    assert run(*arguments)[0] == 2
    assert station.asked == []


def test_the_socket_may_be_named_before_or_behind_the_command(
    run: Run, station: FakeStation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``--socket`` of the command itself counts."""
    monkeypatch.delenv("PILENODE_CONTROL")
    station.reply = Done()
    assert run("tests", "record", "rcd", "--by", "Li", "--socket", station.path)[0] == 0
    assert codec.encode(station.asked[0])
