"""``pilenode meter`` on a line of simulated meters: what a technician sees, and the status a script gets."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from config.meter_files import METERS
from drivers.bus import SerialLine
from drivers.scan import Progress
from drivers.wire import Format
from hil_rig.commissioning import ServiceMeter, ServiceRack
from pilenode.cli.exits import Exit, status_of
from pilenode.cli.line_errors import LineError
from pilenode.cli.main import main
from pilenode.cli.meter_bar import Bar
from pilenode.cli.terminal import Terminal
from tests.drivers.service_models import ALL, DDS238, DDSU666, LOAD, PZEM, SDM120, Desk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from config.schema_meter import MeterProfile

    Run = Callable[..., tuple[int, str, str]]
    Bench = Callable[..., Desk]

FAST = ("--baud", "115200")


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Know the meters of these tests, and do not wait for them to settle."""
    for module in ("commission", "change_over", "clear_energy"):
        monkeypatch.setattr(f"drivers.{module}.SETTLE_S", 0.0)
    known = {one.model: one for one in ALL}

    def load_meter(name: str) -> MeterProfile:
        return known[name]

    for module in ("meter_models", "meter_set", "meter_clear", "meter_verify"):
        monkeypatch.setattr(f"pilenode.cli.{module}.load_meter", load_meter)
    monkeypatch.setattr("pilenode.cli.meter_models.meters", lambda: sorted(known))
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Return a function that runs ``pilenode meter`` with arguments: exit status, stdout and stderr."""

    def command(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        status = main(["meter", *arguments])
        out, err = capsys.readouterr()
        return status, out, err

    return command


def pzem(unit: int = 1, volts: float = 229.8) -> ServiceMeter:
    """Return a PZEM on a fast line."""
    return ServiceMeter(PZEM, lambda: replace(LOAD, voltage_v=volts), unit=unit, baud=115_200)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Desk]:
    """Return what puts meters on a desk whose line every command opens."""

    def made(*stations: ServiceMeter) -> Desk:
        desk = Desk(stations)

        def line(device: str, baud: int, parity: str, stopbits: int, turnaround_s: float) -> object:
            del stopbits, turnaround_s
            assert device == desk.device
            return desk.line(baud, parity)

        monkeypatch.setattr("pilenode.cli.meter_line.SerialLine", line)
        return desk

    return made


def objects(out: str) -> list[dict[str, object]]:
    """Return the JSON lines of an output."""
    return [json.loads(line) for line in out.splitlines()]


# -- scan --------------------------------------------------------------------------------------------------


def test_scan_tells_what_it_finds_as_it_finds_it(run: Run) -> None:
    """Plan and time first, a line for each part, a line for each meter, the sum at the end; status 0."""
    with ServiceRack([pzem(1), pzem(3)]) as rack:
        status, out, err = run("scan", "--device", rack.device, *FAST, "--to", "3", "--turnaround-ms", "15")
    lines = out.splitlines()
    assert (status, err) == (Exit.OK, "")
    assert lines[0].startswith(f"{rack.device}: addresses 1 to 3, 115200 8N1; about ")
    assert re.fullmatch(r"\[1/1\] 115200 8N1: 3 addresses, about \d s left", lines[1])
    assert lines[2:4] == [
        "115200 8N1, address 1: a meter answers (function 04 brings data)",
        "115200 8N1, address 3: a meter answers (function 04 brings data)",
    ]
    assert re.fullmatch(r"Done after \d s: 2 meters found\.", lines[4])


def test_scan_speaks_chinese(run: Run, bench: Bench) -> None:
    """Every line, the unit of time included."""
    with bench(pzem(1)) as rack:
        _, out, _ = run("scan", "--device", rack.device, *FAST, "--to", "1", "--turnaround-ms", "15", "--lang", "zh")
    lines = out.splitlines()
    assert lines[0].endswith("秒。")
    assert lines[2] == "115200 8N1，地址 1：有电表应答（功能 04 有数据）"
    assert lines[3].endswith("找到 1 个电表。")


def test_scan_of_a_silent_line(run: Run, bench: Bench) -> None:
    """Nothing answers: status 4, and what to check; a DL/T 645 meter is called without being asked for."""
    with bench() as rack:
        status, out, _ = run("scan", "--device", rack.device, *FAST, "--dlt645", "--to", "1", "--turnaround-ms", "15")
        calls = [frame for baud, frame in rack.heard if baud == 2400]
    assert status == Exit.NO_ANSWER
    assert "A and B are swapped" in out
    assert len(calls) == 1


def test_scan_of_two_meters_with_one_address(run: Run, bench: Bench) -> None:
    """Not a meter but trouble: told with what to do, status 7."""
    second = pzem(2, 221.0)
    second.faults.lag_s = 0.01
    with bench(pzem(2), second) as rack:
        status, out, _ = run("scan", "--device", rack.device, *FAST, "--to", "2", "--turnaround-ms", "15")
    assert status == Exit.FAILED
    assert "address 2: two answers to one question: two meters have this address; connect them one by one" in out
    assert "0 meters found" in out


def test_scan_in_json(run: Run, bench: Bench) -> None:
    """One object a line: plan, progress, findings, end; ``--expect`` ends it early."""
    with bench(pzem(2)) as rack:
        status, out, _ = run("scan", "--device", rack.device, *FAST, "--turnaround-ms", "15", "--expect", "1", "--json")
    plan, *middle, done = objects(out)
    assert status == Exit.OK
    assert (plan["event"], plan["from"], plan["to"]) == ("plan", 1, 247)
    assert float(str(plan["seconds"])) > 10
    assert {str(one["event"]) for one in middle} == {"progress", "found"}
    (found,) = [one for one in middle if one["event"] == "found"]
    assert (found["kind"], found["unit"], found["baud"], found["functions"]) == ("meter", 2, 115_200, [4])
    assert (done["event"], done["meters"], done["stopped"]) == ("done", 1, False)


def test_scan_takes_the_line_of_a_configuration(run: Run, bench: Bench, tmp_path: Path) -> None:
    """Device, rate and the expected addresses come from the bus of a configuration; an unknown bus is refused."""
    example = (METERS.parent / "example.toml").read_text(encoding="utf-8")
    with bench() as rack:
        path = tmp_path / "cabinet.toml"
        text, count = re.subn(r'(?m)^device = ".*"$', f'device = "{rack.device}"', example, count=1)
        assert count == 1
        path.write_text(text, encoding="utf-8")
        name = re.search(r'(?s)\[\[bus\]\].*?name = "([^"]+)"', text)
        assert name is not None
        status, out, err = run(
            "scan", "--config", str(path), "--bus", name[1], "--from", "90", "--to", "90", "--turnaround-ms", "15"
        )
        assert (status, err) == (Exit.NO_ANSWER, "")
        assert out.startswith(f"{rack.device}: addresses 90 to 90, ")
        status, _, err = run("scan", "--config", str(path), "--bus", "nowhere")
    assert status == Exit.USAGE
    assert "no bus nowhere" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["scan"],
        ["scan", "--device", "/dev/null", "--config", "x", "--bus", "y"],
        ["scan", "--config", "x"],
        ["scan", "--device", "/dev/null", "--bus", "y"],
        ["scan", "--device", "/dev/null", "--from", "5", "--to", "4"],
        ["scan", "--device", "/dev/null", "--to", "248"],
        ["identify", "1", "--device", "/dev/null", "--baud", "9600", "--baud", "4800"],
        ["set-address", "pzem004t-v3", "0", "5", "--device", "/dev/null"],
        ["set-address", "pzem004t-v3", "1", "248", "--device", "/dev/null"],
        ["change-over", "pzem004t-v3", "--device", "/dev/null"],
        ["change-over", "ddsu666", "--device", "/dev/null", "--baud", "9600"],
        ["clear-energy", "pzem004t-v3", "1", "--device", "/dev/null", "--json"],
    ],
)
def test_wrong_usage_is_refused(run: Run, arguments: list[str]) -> None:
    """Status 2 before any device is touched."""
    status, out, err = run(*arguments)
    assert (status, out) == (Exit.USAGE, "")
    assert err


# -- the device --------------------------------------------------------------------------------------------


def test_a_line_that_guard_holds_is_told_with_the_remedy(run: Run) -> None:
    """In use: status 3, how to stop guard, and what that does to running sessions; nothing is sent."""
    with ServiceRack([pzem()]) as rack:
        guard = SerialLine(rack.device, 115_200, "N", 1, 0.02)
        guard.hear(b"\x01\x04\x00\x00\x00\x02\x71\xcb", 0.1)
        sent = len(rack.heard)
        status, _, err = run("identify", "1", "--device", rack.device, *FAST)
        assert status == Exit.REFUSED
        assert "in use by another program" in err
        assert "systemctl stop pilenode-guard" in err
        assert "running sessions end as interrupted" in err
        status, _, err = run("verify", "pzem004t-v3", "1", "--device", rack.device, *FAST, "--json")
        assert (status, json.loads(err)["error"]["code"]) == (Exit.REFUSED, "line_in_use")
        assert len(rack.heard) == sent
        guard.close()


def test_a_missing_device_is_told(run: Run) -> None:
    """No adapter: status 6."""
    status, out, err = run("scan", "--device", "/dev/no-such-tty", "--json")
    assert (status, json.loads(err)["error"]["code"]) == (Exit.HARDWARE, "line_absent")
    assert [one["event"] for one in objects(out)][:1] == ["plan"]


@pytest.mark.parametrize(
    ("number", "code", "status"),
    [
        (11, "line_in_use", Exit.REFUSED),
        (16, "line_in_use", Exit.REFUSED),
        (2, "line_absent", Exit.HARDWARE),
        (13, "line_forbidden", Exit.NO_RIGHTS),
        (5, "line_failed", Exit.HARDWARE),
        (0, "line_failed", Exit.HARDWARE),
    ],
)
def test_what_the_operating_system_says_becomes_a_code(number: int, code: str, status: Exit) -> None:
    """Each refusal has its words and its status."""
    error = LineError(number, "detail")
    assert (error.code, status_of(error.code)) == (code, status)
    assert "detail" in error.zh
    assert "detail" in error.en


# -- identify and verify -----------------------------------------------------------------------------------


def test_identify_ranks_and_gives_reasons(run: Run, bench: Bench) -> None:
    """The model, what speaks for it, and why each other one is ruled out."""
    with bench(pzem(3)) as rack:
        status, out, _ = run("identify", "3", "--device", rack.device, *FAST)
        assert status == Exit.OK
        assert "Model: pzem004t-v3 (Peacefair PZEM-004T v3" in out
        assert "  + 229.8 V is a mains voltage" in out
        assert re.search(r"Ruled out:\n(  \w+ +.+\n)+", out)
        status, out, _ = run("identify", "3", "--device", rack.device, *FAST, "--json")
        (told,) = objects(out)
        assert (told["verdict"], told["models"]) == ("certain", ["pzem004t-v3"])
        status, out, _ = run("identify", "4", "--device", rack.device, *FAST)
        assert (status, out.splitlines()[-1]) == (Exit.NO_ANSWER, "No answer.")


@pytest.mark.parametrize(
    ("power_w", "current_a", "status", "verdict"),
    [(345.8, 1.52, Exit.OK, "good"), (34.6, 1.52, Exit.FAILED, "wrong"), (0.0, 0.0, Exit.FAILED, "no_load")],
)
def test_verify_judges_the_mean(
    run: Run,
    bench: Bench,
    power_w: float,
    current_a: float,
    status: Exit,
    verdict: str,
) -> None:
    """Good, wrong and not proved: three statuses a script can tell, and a table for people."""
    shown = replace(LOAD, power_w=power_w, current_a=current_a)
    with bench(ServiceMeter(PZEM, lambda: shown, baud=115_200)) as rack:
        arguments = ("verify", "pzem004t-v3", "1", "--device", rack.device, *FAST, "--readings", "3", "--every-s", "0")
        seen, out, _ = run(*arguments)
        assert seen == status
        assert len([line for line in out.splitlines() if line.startswith("    229.8")]) == 3
        seen, out, _ = run(*arguments, "--json")
    (told,) = objects(out)
    assert (seen, told["verdict"], told["readings"]) == (status, verdict, 3)


def test_verify_of_a_silent_meter(run: Run, bench: Bench) -> None:
    """No reading, no verdict: status 4, each failure in words."""
    with bench() as rack:
        arguments = ("verify", "pzem004t-v3", "1", "--device", rack.device, *FAST, "--readings", "3", "--every-s", "0")
        status, out, _ = run(*arguments)
    assert status == Exit.NO_ANSWER
    assert out.count("The meter does not answer.") == 3
    assert "Only 0 of 3 readings are good." in out


# -- changes -----------------------------------------------------------------------------------------------


def test_set_address(run: Run, bench: Bench) -> None:
    """Done, refused, unknown: what is said, and the status."""
    meter = pzem(1)
    with bench(meter, pzem(2)) as rack:
        line = ("--device", rack.device, *FAST)
        status, out, _ = run("set-address", "pzem004t-v3", "1", "9", *line)
        assert (status, meter.unit) == (Exit.OK, 9)
        assert out == "pzem004t-v3 has the address 9 now: Done, and checked. It agreed to the write.\n"
        status, out, _ = run("set-address", "pzem004t-v3", "9", "2", *line)
        assert (status, meter.unit) == (Exit.REFUSED, 9)
        assert "Something answers at the new place already; nothing was written." in out
        assert "remedy: Choose another address" in out
        status, out, _ = run("set-address", "pzem004t-v3", "7", "8", *line, "--json")
        assert (status, objects(out)[0]["why"]) == (Exit.NO_ANSWER, "absent")
        meter.faults.power_cut = "after"
        status, out, _ = run("set-address", "pzem004t-v3", "9", "1", *line, "--lang", "zh")
        assert status == Exit.FAILED
        assert "状态未知" in out
        assert "不要重复写入" in out


def test_set_baud(run: Run, bench: Bench) -> None:
    """The meter is found at its new rate; one that the model does not know is refused."""
    meter = ServiceMeter(DDS238, lambda: LOAD)
    with bench(meter) as rack:
        status, out, _ = run("set-baud", "dds238", "1", "4800", "--device", rack.device)
        assert (status, meter.baud) == (Exit.OK, 4800)
        assert out.startswith("dds238 at address 1 speaks 4800 8N1 now: Done, and checked.")
        status, out, _ = run("set-baud", "dds238", "1", "19200", "--device", rack.device, "--baud", "4800", "--json")
        assert (status, objects(out)[0]["why"]) == (Exit.REFUSED, "no_code")


def test_change_over(run: Run, bench: Bench) -> None:
    """A DDSU666 from the factory ends as a Modbus meter whose place is told."""
    meter = ServiceMeter(DDSU666, lambda: LOAD, dlt645="202311000042")
    with bench(meter) as rack:
        status, out, _ = run("change-over", "ddsu666", "--device", rack.device)
        assert status == Exit.OK
        assert out.startswith("Meter 202311000042 speaks Modbus now, 9600 8N2, address 42: Done")
        status, out, _ = run("change-over", "ddsu666", "--device", rack.device, "--json")
        assert (status, objects(out)[0]["why"]) == (Exit.NO_ANSWER, "absent")


class Keyboard(io.StringIO):
    """A person at a terminal."""

    def isatty(self) -> bool:
        """Say that a person is there."""
        return True


def test_clear_energy_asks_a_person(run: Run, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the exact words clear; anything else, or the end of input, leaves the register as it is."""
    with bench(pzem(3)) as rack:
        command = ("clear-energy", "pzem004t-v3", "3", "--device", rack.device, *FAST)
        for typed, refused in (("yes\n", Exit.REFUSED), ("\n", Exit.REFUSED), ("", Exit.INTERRUPTED)):
            monkeypatch.setattr("sys.stdin", Keyboard(typed))
            assert run(*command)[0] == refused
        assert all(frame[1] != 0x42 for _, frame in rack.heard)
        monkeypatch.setattr("sys.stdin", Keyboard("pzem004t-v3@3\n"))
        status, out, _ = run(*command)
        assert status == Exit.OK
        assert "energy 1234.0 Wh to 0.0 Wh: Done, and checked." in out


def test_clear_energy_for_scripts(run: Run, bench: Bench) -> None:
    """Without a person the confirmation is an option; without either nothing happens."""
    meter = pzem(3)
    meter.faults.refuses, meter.faults.obeys_all_the_same = 3, True
    with bench(meter) as rack:
        command = ("clear-energy", "pzem004t-v3", "3", "--device", rack.device, *FAST)
        status, _, err = run(*command)
        assert status == Exit.USAGE
        assert "--yes-clear pzem004t-v3@3" in err
        status, out, _ = run(*command, "--yes-clear", "pzem004t-v3@4", "--json")
        assert (status, objects(out)[0]["why"]) == (Exit.REFUSED, "not_confirmed")
        assert rack.heard == []
        status, out, _ = run(*command, "--yes-clear", "pzem004t-v3@3", "--json")
    (told,) = objects(out)
    assert (status, told["state"], told["why"], told["exception"]) == (Exit.OK, "done", "refused", 3)
    assert (told["before_wh"], told["after_wh"]) == (1234.0, 0.0)


def test_a_model_that_cannot_be_set(run: Run, bench: Bench) -> None:
    """No way known: refused with what to do instead."""
    with bench(ServiceMeter(SDM120, lambda: LOAD)) as rack:
        status, out, _ = run("clear-energy", "sdm120", "1", "--device", rack.device, "--yes-clear", "sdm120@1")
    assert status == Exit.REFUSED
    assert "knows no way" in out


# -- progress and Ctrl-C -----------------------------------------------------------------------------------


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "LANG": "C.UTF-8", "COLUMNS": "100"}


def test_ctrl_c_stops_a_scan_and_releases_the_device() -> None:
    """What was found so far stays on the screen, the status is 130, and the device can be used at once."""
    with ServiceRack([ServiceMeter(PZEM, lambda: LOAD, unit=1)]) as rack:
        command = [sys.executable, "-P", "-u", "-m", "pilenode.cli", "meter", "scan", "--device", rack.device]
        with subprocess.Popen(
            [*command, "--baud", "9600"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=_environment()
        ) as scan:
            assert scan.stdout is not None
            lines = [scan.stdout.readline() for _ in range(3)]
            assert lines[2] == "9600 8N1, address 1: a meter answers (function 04 brings data)\n"
            scan.send_signal(signal.SIGINT)
            out, err = scan.communicate(timeout=10)
        assert scan.returncode == Exit.INTERRUPTED
        assert re.fullmatch(r"Stopped after \d+ s: 1 meter found\.\n", out)
        assert err == ""
        line = SerialLine(rack.device, 9600, "N", 1, 0.1)
        assert isinstance(line.hear(b"\x01\x04\x00\x00\x00\x0a\x70\x0d", 0.1), bytes)
        line.close()


def test_a_person_at_a_terminal_sees_a_bar() -> None:
    """On a terminal progress moves in place, and the findings stay above it."""
    with ServiceRack([ServiceMeter(PZEM, lambda: LOAD, unit=1)]) as rack:
        master, slave = pty.openpty()
        command = [sys.executable, "-P", "-m", "pilenode.cli", "meter", "scan", "--device", rack.device]
        with subprocess.Popen(
            [*command, "--baud", "9600", "--to", "2"],
            stdout=slave,
            stderr=slave,
            env=_environment() | {"TERM": "xterm"},
        ) as scan:
            os.close(slave)
            screen = _until_end(master)
            assert scan.wait(timeout=10) == Exit.OK
        os.close(master)
    assert "9600 8N1, address 1: a meter answers" in screen
    assert "━" in screen
    assert "\x1b[2K" in screen
    assert "Done after" in screen


def _until_end(descriptor: int) -> str:
    data, deadline_s = b"", time.monotonic() + 20
    while time.monotonic() < deadline_s and select.select([descriptor], [], [], 5)[0]:
        try:
            piece = os.read(descriptor, 4096)
        except OSError:
            break
        data += piece
    return data.decode()


def test_the_bar_shows_round_addresses_and_time() -> None:
    """One line: which part of the search, how far, how long still."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100, highlight=False)
    with Bar(Terminal(language="en", json=False), console) as bar:
        bar.progress(Progress(Format(2400), 2, 7, 62, 247, 75.2))
        bar.line("a [finding]")
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue())
    assert re.search(r"\[2/7\] 2400 8N1 ━.* 62/247 about 1 min 15 s left", shown)
    assert "a [finding]" in shown
