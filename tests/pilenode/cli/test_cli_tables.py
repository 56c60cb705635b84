"""Tables for people: readable at 80 columns, aligned in Chinese, in both languages."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import msgspec
import pytest
from rich.cells import cell_len

from pilenode.cli import tables
from pilenode.ipc.messages import (
    ClockStatus,
    LineSnapshot,
    Refused,
    SessionRecord,
    SessionsReply,
    StatusReply,
    UnitCounts,
)
from safety.catalogue import CATALOGUE
from safety.port import PortStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.pilenode.cli.conftest import FakeStation

    Run = Callable[..., tuple[int, str, str]]

SESSION = "01HK153X00ABCDEFGHJKMNPQR1"

SERVED = ClockStatus(
    quality="server",
    wall_ms=1_800_000_000_000,
    boottime_ms=100_000,
    uncertainty_ms=1201,
    system_quality="none",
    system_ahead_ms=3650 * 86_400_000,
    anchor_age_ms=61_000,
)


def test_every_state_of_a_port_has_words() -> None:
    """A state that safety may report is never shown as a bare identifier."""
    assert tables.STATES.keys() == {str(status) for status in PortStatus}


def _cell_of(line: str, part: str) -> int:
    """Return the terminal column where ``part`` ends."""
    return cell_len(line[: line.index(part) + len(part)])


def test_failures_of_a_line_are_shown_by_address(run: Run, station: FakeStation, cabinet: StatusReply) -> None:
    """A bus without failures is not spoken of; one with failures names the addresses; a lost device its trouble."""
    assert cabinet.guard is not None
    good = UnitCounts(unit=1, requests=900)
    bad = UnitCounts(unit=2, requests=100, discarded=1, failed={"timeout": 7, "bad_crc": 2})
    lines = [
        LineSnapshot(name="main", device="/dev/a", trouble="", echoes=False, units=[good, bad]),
        LineSnapshot(name="quiet", device="/dev/b", trouble="", echoes=False, units=[good]),
        LineSnapshot(name="gone", device="/dev/c", trouble="[Errno 2] No such file", echoes=False, units=[]),
    ]
    station.reply = msgspec.structs.replace(cabinet, guard=msgspec.structs.replace(cabinet.guard, lines=lines))
    _, out, _ = run("status", "--lang", "en")
    assert "bus main  1000 questions, 9 failed" in out
    assert "address 2: timeout 7, bad_crc 2" in out
    assert "address 1" not in out
    assert "bus quiet" not in out
    assert "bus gone  /dev/c: [Errno 2] No such file" in out
    _, out, _ = run("status", "--lang", "zh")
    assert "地址 2：timeout 7, bad_crc 2" in out


@pytest.mark.parametrize("language", ["zh", "en"])
def test_columns_align_at_80_columns(
    run: Run, station: FakeStation, cabinet: StatusReply, records: list[SessionRecord], language: str
) -> None:
    """No line is wider than 80 cells, wide characters or not; right-aligned columns end in the same cell."""
    station.reply = cabinet
    _, out, _ = run("status", "--lang", language)
    lines = [line.rstrip() for line in out.splitlines()]
    assert max(map(cell_len, lines)) <= 80
    (head,) = (line for line in lines if re.search(r" V +A +W ", line))
    (first,) = (line for line in lines if SESSION in line)
    assert _cell_of(head, " V") == _cell_of(first, "229.8")
    assert _cell_of(head, " W ") - 1 == _cell_of(first, " 348")
    title = {"zh": "会话", "en": "Session"}[language]
    assert cell_len(head[: head.index(title)]) == cell_len(first[: first.index(SESSION)])
    station.reply = SessionsReply(sessions=[msgspec.structs.replace(records[1], reason="planned_duration"), *records])
    _, out, _ = run("sessions", "--lang", language)
    assert max(cell_len(line.rstrip()) for line in out.splitlines()) <= 80
    assert out.count(SESSION) == 2


@pytest.mark.parametrize("language", ["zh", "en"])
def test_status_tells_everything_that_a_technician_needs(
    run: Run, station: FakeStation, cabinet: StatusReply, language: str
) -> None:
    """Node, guard, upstream, outbox, journal, measured values, and every fault with sentence, code and remedy."""
    station.reply = cabinet
    status, out, err = run("status", "--lang", language)
    assert (status, err) == (0, "")
    flat = re.sub(r"\s+", "", out)
    for word in ("example-001", "25h01", "mqtt5", "120", "117", "control2", "229.8", "1.52", "348", "31.2"):
        assert word in flat
    for word in ("123", "1h02", "58s", SESSION, "4h15", "500"):
        assert word in flat
    for code in ("smoke", "over_current", "temperature_warning", "meter_lost", "full"):
        entry = CATALOGUE[code]
        sentence, remedy = (entry.zh, entry.remedy_zh) if language == "zh" else (entry.en, entry.remedy_en)
        assert re.sub(r"\s+", "", f"{sentence}[{code}]") in flat
        assert (re.sub(r"\s+", "", remedy) in flat) == (code != "full")


def test_a_cabinet_without_guard_is_told_and_is_status_4(
    run: Run, station: FakeStation, cabinet: StatusReply, records: list[SessionRecord]
) -> None:
    """Nobody takes a cabinet without its cutoff process for a sound one, not even a script."""
    station.reply = msgspec.structs.replace(cabinet, guard=None, sessions=records)
    status, out, err = run("status")
    assert status == 4
    assert "does not answer" in out
    assert SESSION in out
    assert CATALOGUE["guard_absent"].en in err
    status, out, err = run("status", "--json")
    assert status == 4
    assert '"guard":null' in out
    assert '"code":"guard_absent"' in err


def test_trouble_of_upstream_and_journal_is_shown(run: Run, station: FakeStation, cabinet: StatusReply) -> None:
    """A lost broker, a cabinet without one and a journal that cannot write are told apart."""
    station.reply = msgspec.structs.replace(
        cabinet, upstream_connected=False, upstream_protocol=None, journal_ok=False, journal_problem="disk full"
    )
    out = run("status")[1]
    assert "not connected mqtt://127.0.0.1:1883" in out
    assert "failed disk full" in out
    station.reply = msgspec.structs.replace(cabinet, upstream_url=None, upstream_connected=False)
    assert "not configured" in run("status")[1]


def test_a_connection_over_which_nothing_arrives_is_not_called_well(
    run: Run, station: FakeStation, cabinet: StatusReply
) -> None:
    """Who is connected and not heard reads why, with code, reason of the broker and what to do."""
    station.reply = msgspec.structs.replace(
        cabinet, upstream_problem="upstream_publish_refused", upstream_detail="0x87"
    )
    out = " ".join(run("status")[1].split())
    for words in ("connected mqtt://127.0.0.1:1883 mqtt5", "[upstream_publish_refused] (0x87)", "right to publish"):
        assert words in out


@pytest.mark.parametrize(
    ("language", "clock", "words"),
    [
        ("en", SERVED, ["told by the backend [server]", "±2s", "system 87600h00 fast", "anchored 1m01 ago"]),
        ("zh", SERVED, ["平台授时 [server]", "±2s", "系统时钟快 87600h00", "锚点 1m01 前"]),
        ("en", msgspec.structs.replace(SERVED, system_ahead_ms=-1001), ["system 1s slow"]),
        ("zh", msgspec.structs.replace(SERVED, quality="none", uncertainty_ms=None), ["时间不可信 [none]"]),
        ("en", msgspec.structs.replace(SERVED, quality="ntp"), ["network time [ntp]"]),
        ("en", msgspec.structs.replace(SERVED, quality="rtc"), ["hardware clock [rtc]"]),
        ("en", msgspec.structs.replace(SERVED, quality="gps"), ["gps [gps]"]),
    ],
)
def test_status_tells_what_is_believed_of_the_time(
    run: Run, station: FakeStation, cabinet: StatusReply, language: str, clock: ClockStatus, words: list[str]
) -> None:
    """Its source, how wrong it may be, how far off the system's own clock is, and when it was last written down."""
    station.reply = msgspec.structs.replace(cabinet, clock=clock)
    flat = re.sub(r"\s+", " ", run("status", "--lang", language)[1])
    for word in words:
        assert word in flat
    quiet = msgspec.structs.replace(clock, system_ahead_ms=1000, anchor_age_ms=None)
    station.reply = msgspec.structs.replace(cabinet, clock=quiet)
    flat = run("status", "--lang", "en")[1]
    assert "system 1s" not in flat
    assert "anchored" not in flat
    assert ("±" in flat) is (clock.uncertainty_ms is not None)


def test_fees_are_exact() -> None:
    """Fen become yuan without a floating-point number in between."""
    assert [tables.yuan(fen) for fen in (0, 5, 99, 100, 1016, 100_000_000_000_000_019)] == [
        "0.00",
        "0.05",
        "0.99",
        "1.00",
        "10.16",
        "1000000000000000.19",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59.9, "59s"), (60, "1m00"), (3599, "59m59"), (3600, "1h00"), (36_061, "10h01"), (90_061, "25h01")],
)
def test_durations_are_short(seconds: float, text: str) -> None:
    """A duration fits five characters and cannot be read in two ways."""
    assert tables.duration(seconds) == text


def test_no_colour_reaches_a_file(run: Run, station: FakeStation, cabinet: StatusReply) -> None:
    """Output that is no terminal carries no escape sequence."""
    station.reply = cabinet
    assert "\x1b" not in run("status")[1]


def _watch(station: FakeStation, *more: str, terminal: bool) -> tuple[int, str]:
    """Run ``status --watch`` for about a second, press Ctrl-C, and return status and output."""
    main_end, tty = pty.openpty()
    read_end, write_end = os.pipe()
    output, source = (tty, main_end) if terminal else (write_end, read_end)
    arguments = ["status", "--watch", "--interval", "0.2", "--socket", station.path, "--lang", "en", *more]
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "pilenode.cli", *arguments], stdout=output, stderr=output, stdin=subprocess.DEVNULL
    )
    enough = len(station.asked) + 4
    try:
        deadline = time.monotonic() + 20
        while len(station.asked) < enough and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        status = process.wait(10)
    finally:
        process.kill()
        process.wait()
    text = os.read(source, 1 << 20).decode()
    for end in (main_end, tty, read_end, write_end):
        os.close(end)
    return status, text


@pytest.mark.parametrize("terminal", [True, False])
def test_watching_refreshes_until_ctrl_c(station: FakeStation, cabinet: StatusReply, *, terminal: bool) -> None:
    """The picture is asked for again and again; Ctrl-C ends it quietly with 0; colours only on a terminal."""
    station.reply = cabinet
    status, text = _watch(station, terminal=terminal)
    assert status == 0
    assert len(station.asked) >= 4
    assert "Traceback" not in text
    assert text.count("example-001") >= 2
    assert ("\x1b[" in text) == terminal


def test_watching_survives_a_station_that_refuses(station: FakeStation) -> None:
    """While there is no answer the reason is shown and asked again, with --json as one object per try."""
    station.reply = Refused(code="starting_up")
    status, text = _watch(station, "--json", terminal=False)
    assert status == 0
    assert text.count('"code":"starting_up"') >= 3
    status, text = _watch(station, terminal=True)
    assert status == 0
    assert CATALOGUE["starting_up"].en in text
