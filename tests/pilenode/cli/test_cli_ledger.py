"""The commands ledger and stats: a whole ledger on the terminal, in spreadsheets and on paper, and nothing injected."""

from __future__ import annotations

import csv
import io
import json
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import msgspec
import pytest

from pilenode.cli import ledger_export, ledger_words
from pilenode.cli.main import main
from pilenode.cli.svg_bars import bars
from pilenode.ipc.acts import Inspect, Lock, UpdateEntry
from pilenode.ipc.messages import Facts, Perform, PeriodicTest, Place
from pilenode.station.ledger_entry import EntryKind, Late, State
from pilenode.station.periodic import Kind
from pilenode.upstream.facts import Boot, EnergyFlag, FactKind, FaultReset, PeriodicResult
from pilenode.upstream.facts_ledger import Inspected, LockSet
from tests.pilenode.ledger_models import DAY_MS, LOG_ID, MORNING_MS, PORTS, Cabinet, Log, ended, fault, refused, stamp

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., tuple[int, str, str]]

#: What an attacker or a careless hand may write anywhere.
NASTY = '=1+1"<script>alert(1)</script>&<img src=x onerror=y>[red]'


@pytest.fixture
def log() -> Log:
    """Return a log with a little of everything."""
    made = Log()
    made.add(FactKind.BOOT, Boot(version="1"), MORNING_MS - 20 * DAY_MS)
    made.add(FactKind.FAULT_LATCHED, fault("over_current", 1, detail="7.4 A"), MORNING_MS - 10 * DAY_MS)
    made.add(FactKind.FAULT_RESET, FaultReset(port=1, by="li", repair="new socket"), MORNING_MS - 9 * DAY_MS)
    made.add(FactKind.FAULT_LATCHED, fault("poor_contact", 3), MORNING_MS - 4 * DAY_MS)
    made.add(FactKind.FAULT_FOUND, fault("meter_lost", 2), MORNING_MS - DAY_MS)
    made.add(FactKind.FAULT_FOUND, fault("probe_fault", 4), 5, "none")
    made.add(FactKind.TESTED, PeriodicResult(test="rcd", ok=True, by="Chen"), MORNING_MS - DAY_MS)
    made.add(FactKind.SESSION_ENDED, ended(1, energy_wh=1500), MORNING_MS - DAY_MS, session="s1")
    made.add(FactKind.SESSION_ENDED, ended(2, flag=EnergyFlag.NO_READING), MORNING_MS, session="s2")
    made.add(FactKind.START_REFUSED, refused("port_busy"), MORNING_MS)
    made.add(FactKind.SESSION_ENDED, ended(2), 5, "none", session="s3")
    return made


@pytest.fixture
def cabinet(log: Log, monkeypatch: pytest.MonkeyPatch) -> Cabinet:
    """Return a cabinet that answers instead of a socket."""
    made = Cabinet(log)
    monkeypatch.setattr("pilenode.ipc.client.ask", made)
    return made


@pytest.fixture
def run(cabinet: Cabinet, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs ``pilenode`` against ``cabinet``."""
    del cabinet
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")

    def command(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        status = main(arguments)
        out, err = capsys.readouterr()
        return status, out, err

    return command


def lines(out: str) -> list[str]:
    """Return lines without the blanks at their ends."""
    return [line.rstrip() for line in out.splitlines()]


# -- looking -----------------------------------------------------------------------------------------------


def test_what_is_not_closed_is_listed(run: Run) -> None:
    """With the numbers that show and update take; lateness in words where nobody can tell."""
    status, out, err = run("ledger")
    assert (status, err) == (0, "")
    assert lines(out) == [
        "No.            Found  Place Kind            What         Times        Due State",
        "  4 2026-11-26 08:00 port 3 fault           poor_contact     1 2026-11-29 open",
        "  5 2026-11-29 08:00 port 2 fault           meter_lost       1 2026-12-06 open",
        "  6          unknown port 4 fault           probe_fault      1    unknown open",
        "  9 2026-11-30 08:00 port 2 doubtful energy no_reading       1 2026-12-07 open",
    ]
    assert (
        lines(run("ledger", "--lang", "zh")[1])[3]
        == "   6         时间未知 端口 4 故障     probe_fault     1   无法判断 未处理"
    )


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        ([], [4, 5, 6, 9]),
        (["--open"], [4, 5, 6, 9]),
        (["--overdue"], [4]),
        (["--all"], [2, 4, 5, 6, 9]),
    ],
)
def test_which_entries_are_listed(run: Run, options: list[str], numbers: list[int]) -> None:
    """The same with and without the word list, on the terminal and as JSON."""
    for words in (["ledger", *options], ["ledger", "list", *options]):
        _, out, _ = run(*words)
        assert [int(number) for number in re.findall(r"^ *(\d+) ", out, re.MULTILINE)] == numbers
        told = json.loads(run(*words, "--json")[1])
        assert [entry["seq"] for entry in told["entries"]] == numbers
        assert told["log_id"] == LOG_ID
    late = {entry["seq"]: entry["overdue"] for entry in json.loads(run("ledger", "--all", "--json")[1])["entries"]}
    assert late == {2: "no", 4: "yes", 5: "no", 6: "unknown", 9: "no"}


def test_without_a_trusted_clock_nothing_is_said_to_be_late(run: Run, cabinet: Cabinet) -> None:
    """It is said that nobody can tell."""
    cabinet.now = stamp(clock="none")
    assert run("ledger", "--overdue")[1] == "No entries.\n"
    entries = json.loads(run("ledger", "--json")[1])["entries"]
    assert {entry["overdue"] for entry in entries} == {"unknown"}


def test_one_entry_with_its_history(run: Run) -> None:
    """By number or full name; what was repaired stands there."""
    status, out, _ = run("ledger", "show", "2")
    assert status == 0
    assert run("ledger", "show", f"{LOG_ID}-2")[1] == out
    for words in (f"{LOG_ID}-2", "port 1", "new socket", "repaired and reset; li; new socket", "2026-11-20 08:00:00"):
        assert words in out
    assert json.loads(run("ledger", "show", "2", "--json")[1])["entries"][0]["measure"] == "new socket"
    assert run("ledger", "show", "1")[0] == 3
    assert run("ledger", "show", "fedcba9876543210-2")[0] == 3


@pytest.mark.parametrize(("acked_seq", "known"), [(1, "no"), (2, "no"), (3, "yes")])
def test_who_reads_an_entry_knows_whether_the_backend_does(
    run: Run, cabinet: Cabinet, acked_seq: int, known: str
) -> None:
    """An alarm is known upstream when it and all that was written into it is acknowledged: found 2, repaired 3."""
    cabinet.acked_seq = acked_seq
    assert re.search(rf"Acknowledged +{known} *$", run("ledger", "show", "2")[1], re.MULTILINE)
    (entry,) = json.loads(run("ledger", "show", "2", "--json")[1])["entries"]
    assert entry["acknowledged"] is (known == "yes")


def test_every_word_of_the_ledger_exists_in_both_languages() -> None:
    """No kind, state or lateness is shown as a bare identifier."""
    assert ledger_words.KINDS.keys() == {kind.value for kind in EntryKind}
    assert ledger_words.STATES.keys() == {state.value for state in State}
    assert ledger_words.LATE.keys() == {one.value for one in Late}
    assert ledger_words.SUBJECTS.keys() == {kind.value for kind in Kind} | {flag.value for flag in EnergyFlag}
    source = (ledger_words.STEPS, ledger_words.SITE_CLASSES, ledger_words.KINDS, ledger_words.SUBJECTS)
    assert all(
        re.search(r"[\u4e00-\u9fff]", zh) and not re.search(r"[\u4e00-\u9fff]", en)
        for words in source
        for zh, en in words.values()
    )


# -- writing -----------------------------------------------------------------------------------------------


def test_an_update_is_one_act(run: Run, cabinet: Cabinet) -> None:
    """With exactly what was given; a deadline in the time zone of the cabinet."""
    status, out, _ = run(
        "ledger", "update", "4", "--responsible", "Zhao", "--due", "2026-12-01T12:00", "--state", "in-progress"
    )
    assert (status, out) == (0, "Recorded.\n")
    (act,) = [request.act for request in cabinet.asked if isinstance(request, Perform)]
    noon_ms = MORNING_MS + 28 * 3_600_000
    assert act == UpdateEntry(entry="4", responsible="Zhao", due_ms=noon_ms, state="in_progress")
    assert json.loads(run("ledger", "show", "4", "--json")[1])["entries"][0]["due_ms"] == noon_ms
    assert run("ledger", "update", "4", "--state", "closed")[0] == 3
    assert run("ledger", "update", "4", "--state", "closed", "--measure", "new socket")[0] == 0
    assert "  4 " not in run("ledger")[1]
    assert run("ledger", "update", "4")[0] == 2
    assert run("ledger", "update", "4", "--due", "soon")[0] == 2
    assert json.loads(run("ledger", "update", "5", "--note", "n", "--json")[1]) == {"type": "done"}


def test_an_inspection_is_recorded_and_a_bad_one_opens_an_entry(run: Run, cabinet: Cabinet) -> None:
    """The next good one closes it."""
    assert run("ledger", "inspect", "boxes", "--by", "Chen", "--failed", "3 boxes", "--port", "2")[0] == 0
    (act,) = [request.act for request in cabinet.asked if isinstance(request, Perform)]
    assert act == Inspect(what="boxes", ok=False, by="Chen", detail="3 boxes", port=2)
    assert "boxes" in run("ledger")[1]
    assert run("ledger", "inspect", "boxes", "--by", "Chen", "--note", "taken away", "--port", "2")[0] == 0
    assert "boxes" not in run("ledger")[1]
    assert run("ledger", "inspect", "boxes", "--by", "Chen", "--port", "9")[0] == 3
    assert run("ledger", "inspect", "boxes")[0] == 2


# -- exports -----------------------------------------------------------------------------------------------


def table(out: str) -> list[dict[str, str]]:
    """Return CSV as a spreadsheet reads it."""
    return [*csv.DictReader(io.StringIO(out, newline=""))]


def test_csv_has_every_entry_and_every_check(run: Run) -> None:
    """Local times, words in the language, ids that are the same in every export."""
    status, out, _ = run("ledger", "export", "--format", "csv", "--lang", "en")
    assert status == 0
    rows = table(out)
    assert [*rows[0]] == [column[1] for column in ledger_export.COLUMNS]
    assert [
        (row["id"][-2:], row["record"], row["code"], row["found"], row["overdue"], row["state"]) for row in rows
    ] == [
        ("-2", "entry", "over_current", "2026-11-20 08:00:00", "no", "closed"),
        ("-4", "entry", "poor_contact", "2026-11-26 08:00:00", "overdue", "open"),
        ("-5", "entry", "meter_lost", "2026-11-29 08:00:00", "no", "open"),
        ("-6", "entry", "probe_fault", "time unknown", "unknown", "open"),
        ("-9", "entry", "no_reading", "2026-11-30 08:00:00", "no", "open"),
        ("-7", "check", "rcd", "2026-11-29 08:00:00", "", "good"),
    ]
    chinese = table(run("ledger", "export", "--format", "csv", "--lang", "zh")[1])
    assert [*chinese[0]] == [column[0] for column in ledger_export.COLUMNS]
    assert chinese[0]["状态"] == "已销号"


@pytest.mark.parametrize("bom", [False, True])
def test_csv_to_a_file_byte_for_byte(run: Run, tmp_path: Path, bom: bool) -> None:  # noqa: FBT001 - a table
    """CRLF as RFC 4180 has it, and the mark that Excel needs only where it is asked for."""
    path = tmp_path / "ledger.csv"
    assert run("ledger", "export", "--format", "csv", "--output", str(path), *(["--bom"] if bom else [])) == (0, "", "")
    data = path.read_bytes()
    assert data.startswith(b"\xef\xbb\xbf") is bom
    assert data.count(b"\r\n") == 7
    assert run("ledger", "export", "--format", "csv", "--output", str(tmp_path / "no" / "x"))[0] == 2


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@x", "'@x"),
        ("\tx", "'\tx"),
        ("\rx", "'\rx"),
        ("x=1", "x=1"),
        ("", ""),
        (" =1", " =1"),
        ("端口 1", "端口 1"),
    ],
)
def test_no_cell_is_a_formula(cell: str, expected: str) -> None:
    """What a spreadsheet would compute is made text."""
    assert ledger_export.safe(cell) == expected


@pytest.mark.parametrize(
    ("begin", "end", "numbers"),
    [
        ("2026-11-26T08:00", None, [4, 5, 6, 9]),
        ("2026-11-26T08:00:00.001", None, [5, 6, 9]),
        (None, "2026-11-26T08:00", [2, 6]),
        (None, "2026-11-26T08:00:00.001", [2, 4, 6]),
        ("2026-11-29", "2026-11-30", [5, 6]),
        ("2026-11-26T01:00+01:00", "2026-11-26T01:01+01:00", [4, 6]),
    ],
)
def test_a_span_of_time_leaves_out_what_is_known_to_be_outside(
    run: Run, begin: str | None, end: str | None, numbers: list[int]
) -> None:
    """From the first moment, before the second; what has no time stays."""
    options = [*(["--from", begin] if begin else []), *(["--to", end] if end else [])]
    told = json.loads(run("ledger", "export", "--format", "json", *options)[1])
    assert [entry["seq"] for entry in told["entries"]] == numbers


def test_json_with_the_chain(run: Run, log: Log) -> None:
    """The head where it was asked for; a break is in the data, on stderr and in the exit status."""
    told = json.loads(run("ledger", "export", "--format", "json")[1])
    assert told["chain"] is None
    assert (told["wall_ms"], told["clock"], told["timezone"]) == (MORNING_MS, "ntp", "Asia/Shanghai")
    assert told["entries"][0]["id"] == f"{LOG_ID}-2"
    status, out, _ = run("ledger", "export", "--format", "json", "--verify")
    assert (status, json.loads(out)["chain"]) == (
        0,
        {"log_id": LOG_ID, "seq": 11, "hash": log.facts[-1].hash, "broken_at": None},
    )
    log.facts[4] = msgspec.structs.replace(log.facts[4], wall_ms=1)
    status, out, err = run("ledger", "export", "--format", "json", "--verify")
    assert (status, json.loads(out)["chain"]["broken_at"], err) == (7, 5, "The hash chain is broken at fact 5.\n")


def test_a_long_log_is_read_by_pages(run: Run, cabinet: Cabinet, log: Log) -> None:
    """Of the kinds that are needed; all kinds only where the chain is checked."""
    for _ in range(1100):
        log.add(FactKind.BOOT, Boot(version="1"))
    for number in range(600):
        log.add(FactKind.FAULT_FOUND, fault("meter_lost", number % 4 + 1))
    run("ledger", "export", "--format", "json")
    pages = [request for request in cabinet.asked if isinstance(request, Facts)]
    assert len(pages) == 2
    assert "boot" not in pages[0].kinds
    cabinet.asked.clear()
    run("ledger", "export", "--format", "json", "--verify")
    pages = [request for request in cabinet.asked if isinstance(request, Facts)]
    assert len(pages) == 4
    assert pages[0].kinds == sorted(FactKind)


# -- the report --------------------------------------------------------------------------------------------


class Reader(HTMLParser):
    """Keeps every tag and attribute, and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep what a tag says."""
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        """Keep words."""
        self.words.append(data)


def report(run: Run, tmp_path: Path, *options: str) -> tuple[int, str]:
    """Return exit status and page of a report."""
    path = tmp_path / "report.html"
    status, _, _ = run("ledger", "report", "--output", str(path), *options)
    return status, path.read_text(encoding="utf-8")


def words(page: str) -> str:
    """Return the text of a page."""
    reader = Reader()
    reader.feed(page)
    return " ".join(" ".join(reader.words).split())


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_report_tells_what_a_supervisor_asks(
    run: Run, cabinet: Cabinet, log: Log, tmp_path: Path, language: str
) -> None:
    """Cabinet, site, period, sums, entries, inspections, tests, locks, and the head of the chain."""
    cabinet.place = Place(
        timezone="Asia/Shanghai",
        serious_days=3,
        normal_days=7,
        ports=[*PORTS],
        district="Haidian",
        community="Willow Court",
        building="Building 3",
        site_class="shed",
        operator="Property Co",
    )
    log.add(FactKind.INSPECTED, Inspected(what="extinguisher", ok=True, inspector="Chen", source="cli"))
    log.add(
        FactKind.LOCK_SET,
        LockSet(lock="l-1", port=2, lock_kind="lockout", authority="Fire", reason="wires", source="cli"),
    )
    status, page = report(run, tmp_path, "--lang", language)
    assert status == 0
    text = words(page)
    for told in (
        "example-001",
        "Haidian / Willow Court / Building 3",
        "Property Co",
        "2026-11 (Asia/Shanghai)",
        "2.000",  # kWh of two sessions with a known time
        "0.52",  # electricity
        "0.30",  # service
        "0.82",
        "new socket",
        "extinguisher",
        "l-1",
        "Fire",
        f"log_id {LOG_ID}, seq 13, SHA-256 {log.facts[-1].hash}",
        {"zh": "哈希链完整", "en": "the hash chain is whole"}[language],
        {"zh": "未销号 5 条，其中逾期 1 条", "en": "Not closed: 5, overdue: 1."}[language],
        {"zh": "时钟不可信期间", "en": "While the clock could not be trusted"}[language],
        {"zh": "独立车棚", "en": "shed"}[language],
    ):
        assert told in text, told
    assert bool(re.search(r"[\u4e00-\u9fff]", text)) is (language == "zh")


def test_a_broken_chain_stands_in_the_report(run: Run, log: Log, tmp_path: Path) -> None:
    """In words, with the first fact that does not follow, and in the exit status."""
    log.facts[3] = msgspec.structs.replace(log.facts[3], clock="rtc")
    status, page = report(run, tmp_path)
    assert status == 7
    assert "BROKEN at fact 4" in words(page)
    status, page = report(run, tmp_path, "--no-verify")
    assert status == 0
    assert "was not checked" in words(page)


def test_nothing_that_people_write_becomes_a_tag(run: Run, cabinet: Cabinet, log: Log, tmp_path: Path) -> None:
    """A page with hostile texts everywhere has the very tags and attributes of one without them, and loads nothing."""
    plain = Reader()
    plain.feed(report(run, tmp_path)[1])
    place = dict.fromkeys(("site", "district", "community", "building", "operator"), NASTY)
    cabinet.place = Place(
        timezone="Asia/Shanghai", serious_days=3, normal_days=7, ports=[*PORTS], site_class=NASTY, **place
    )
    log.add(FactKind.FAULT_LATCHED, fault(NASTY, 1, detail=NASTY))
    log.add(FactKind.START_REFUSED, refused(NASTY))
    log.add(FactKind.TESTED, PeriodicResult(test=NASTY, ok=False, detail=NASTY, by=NASTY))
    log.add(FactKind.INSPECTED, Inspected(what=NASTY[:64], ok=False, inspector=NASTY, detail=NASTY, source="cli"))
    body = LockSet(
        lock="l", port=None, lock_kind="lockout", authority=NASTY, reason=NASTY, source="cli", until_ms=2**53
    )
    log.add(FactKind.LOCK_SET, body)
    assert (
        run(
            "ledger",
            "update",
            "12",
            "--measure",
            NASTY,
            "--responsible",
            NASTY,
            "--contingency",
            NASTY,
            "--note",
            NASTY,
        )[0]
        == 0
    )
    page = report(run, tmp_path)[1]
    hostile = Reader()
    hostile.feed(page)
    assert (hostile.tags, hostile.attributes) == (plain.tags, plain.attributes)
    assert not hostile.tags & {"script", "img", "link", "iframe", "object"}
    assert not hostile.attributes & {"src", "href", "onerror", "onload"}
    assert "url(" not in page
    assert "default-src 'none'" in page
    assert NASTY in words(page)
    assert "'" + NASTY in run("ledger", "export", "--format", "csv")[1].replace('""', '"')
    shown = "".join("".join(run("ledger", "show", "12")[1].split()))
    assert shown.count(NASTY.replace(" ", "")) == 11
    for command in (["ledger"], ["ledger", "show", "12"], ["stats"], ["status"]):
        assert run(*command)[0] in {0, 4}


def test_the_month_is_asked_for_where_nobody_knows_it(run: Run, cabinet: Cabinet, tmp_path: Path) -> None:
    """Without a trusted clock there is no present month; a month that is none is a usage error."""
    target = str(tmp_path / "r.html")
    for month in ("2026-13", "2026-1", "26-01", "2026-11-01", "x"):
        assert run("ledger", "report", "--output", target, "--month", month)[0] == 2
    cabinet.now = stamp(clock="none")
    assert run("ledger", "report", "--output", target)[0] == 2
    assert run("ledger", "report", "--output", target, "--month", "2026-11")[0] == 0
    status, out, _ = run("ledger", "report", "--output", target, "--month", "2026-10", "--json")
    told = json.loads(out)
    assert (status, told["type"], told["month"], told["chain"]["seq"]) == (0, "done", "2026-10", 11)


def test_tests_that_are_due_are_told(
    run: Run, cabinet: Cabinet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is not fitted and was never done is left out."""
    tests = [
        PeriodicTest(kind="rcd", fitted=True, due=True),
        PeriodicTest(kind="meters", fitted=False, due=False),
        PeriodicTest(kind="relays", fitted=True, due=True),
    ]
    status = cabinet.status
    monkeypatch.setattr(cabinet, "status", lambda: msgspec.structs.replace(status(), tests=tests))
    text = words(report(run, tmp_path)[1])
    assert "test button of the RCD 1 0 2026-11-29 08:00 due" in text
    assert "no socket is live while all are open 0 0 - due" in text
    assert "ports add up" not in text


# -- charts and statistics ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "grid"),
    [
        ([0, 0], ["0", "1"]),
        ([4, 1], ["0", "1", "2", "3", "4"]),
        ([5, 1], ["0", "2", "4", "6"]),
        ([1234], ["0", "500", "1000", "1500"]),
    ],
)
def test_a_chart_is_sound_xml_with_one_bar_for_each_value(values: list[int], grid: list[str]) -> None:
    """Lines at round values, none above the first that covers the largest bar."""
    root = ET.fromstring(bars("a<b>&", [str(one) for one in values], values, str, "#123456"))  # noqa: S314 - our own
    space = "{http://www.w3.org/2000/svg}"
    heights = [float(rect.attrib["height"]) for rect in root.iter(f"{space}rect")]
    assert len(heights) == len(values)
    assert [value * heights[0] for value in values] == pytest.approx([height * values[0] for height in heights], abs=60)
    shown = [text.text for text in root.iter(f"{space}text")]
    assert shown[0] == "a<b>&"
    assert [text for text in shown[1:] if text in grid][: len(grid)] == grid


def test_statistics_by_day_and_month(run: Run) -> None:
    """One line for each period, the unknown one last; JSON has what a line has no room for."""
    status, out, _ = run("stats", "--day", "--lang", "en")
    assert status == 0
    assert lines(out) == [
        "Period     Sessions   kWh Elec. Serv.  Use Refused Faults",
        "2026-11-20        0 0.000  0.00  0.00 0.0%       0      1",
        "2026-11-26        0 0.000  0.00  0.00 0.0%       0      1",
        "2026-11-29        1 1.500  0.26  0.15 1.0%       0      1",
        "2026-11-30        1 0.500  0.26  0.15 3.1%       1      0",
        "unknown           1 0.500  0.26  0.15    -       0      1",
    ]
    told = json.loads(run("stats", "--json")[1])
    assert [row["period"] for row in told["rows"]] == ["2026-11", None]
    assert told["rows"][0]["refusals"] == {"port_busy": 1}
    assert told["timezone"] == "Asia/Shanghai"
    assert run("stats", "--month", "--json")[1] == run("stats", "--json")[1]


def test_an_empty_cabinet(run: Run, log: Log) -> None:
    """No sessions, no entries: said in words."""
    log.facts.clear()
    assert run("stats")[1] == "No sessions yet.\n"
    assert run("ledger")[1] == "No entries.\n"


# -- locks in the status -----------------------------------------------------------------------------------


def test_locks_and_ledger_are_in_the_status(run: Run, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who, where, why, until when, and what is late the longest."""
    monkeypatch.setenv("COLUMNS", "200")
    body = LockSet(
        lock="l-1",
        port=None,
        lock_kind="lockout",
        authority="Fire",
        reason="wires",
        until_ms=MORNING_MS + 1,
        source="cli",
    )
    log.add(FactKind.LOCK_SET, body)
    out = run("status")[1]
    assert re.search(r"Lock +cabinet lock-out Fire: wires \[l-1\] until 2026-1", out)
    assert f"5 not closed; 1 overdue, longest: {LOG_ID}-4 port 3 poor_contact; 1 of unknown age" in out
    told = json.loads(run("status", "--json")[1])
    assert told["locks"][0]["lock"] == "l-1"
    assert told["ledger"]["overdue"] == 1


def test_a_lock_whose_time_nobody_knows_is_said_to_hold(run: Run, cabinet: Cabinet, log: Log) -> None:
    """And one that has not begun, not to."""
    body = LockSet(
        lock="l-1", port=1, lock_kind="maintenance", authority="li", reason="r", from_ms=MORNING_MS + 1, source="cli"
    )
    log.add(FactKind.LOCK_SET, body)
    assert "not yet" in run("status")[1]
    cabinet.now = stamp(clock="none")
    assert "it holds" in run("status")[1]
    assert Lock.__struct_fields__ == ("lock", "port", "kind", "authority", "reason", "from_ms", "until_ms")
