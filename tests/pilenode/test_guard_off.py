"""The switch-off helper as a real process: against the rig's pins, and against a stand-in for lgpio."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from gpiozero import OutputDevice

from hil_rig.harness import CONTACTOR_PIN, HEARTBEAT_PIN, Harness, Setup, wait
from hil_rig.loads import constant
from hil_rig.pins import RigFactory
from pilenode.guard import off
from pilenode.guard.off import OffLine, PlanError
from pilenode.ipc import messages

RIG = "hil_rig.pins:RigFactory"
LINES = off.ordered((17, True), [(1, 5, True), (2, 6, False)], 27)
ROOT = Path(__file__).parents[2]
#: A rig with one line that refuses.
REFUSING = """
from hil_rig.pins import RigFactory

class Refusing(RigFactory):
    def pin(self, name):
        if name == 5:
            raise OSError(16, "Device or resource busy")
        return super().pin(name)
"""
#: Just enough of lgpio, with two chips as on a Raspberry Pi 5 before kernel 6.6.45. It needs a writable directory.
LGPIO = """
import os

class error(Exception):
    pass

open(".lgd-nfy0", "w").close()
LABELS = dict(part.split("=") for part in os.environ["FAKE_CHIPS"].split(","))

def note(*words):
    with open(os.environ["FAKE_LOG"], "a") as log:
        print(*words, file=log)

def gpiochip_open(number):
    if str(number) not in LABELS:
        raise error("can not open gpiochip")
    return number

def gpiochip_close(handle):
    return 0

def gpio_get_chip_info(handle):
    return 0, 54, "gpiochip%d" % handle, LABELS[str(handle)]

def gpio_claim_output(handle, gpio, level=0, lFlags=0):
    if str(gpio) == os.environ.get("FAKE_BUSY"):
        raise error("GPIO busy")
    note(handle, gpio, level)
    return 0
"""


@pytest.fixture
def pins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Name the rig's pins file, for this process and its children."""
    path = tmp_path / "pins"
    monkeypatch.setenv("HIL_RIG_PINS", str(path))
    return path


def run(tmp_path: Path, *, path: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the helper as systemd does, with the files of ``tmp_path``; ``path`` comes first on the module path."""
    search = os.pathsep.join([*([str(path)] if path else []), *filter(None, sys.path)])
    return subprocess.run(
        [
            *(sys.executable, "-P", "-m", "pilenode.guard.off"),
            *("--plan", str(tmp_path / "off-plan"), "--config", str(tmp_path / "cabinet.toml")),
        ],
        env=os.environ | {"PYTHONPATH": search} | environment,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=30,
        cwd=tmp_path,
    )


def levels(pins: Path) -> dict[int, int]:
    """Return the last level of every pin that was ever driven."""
    return {int(pin): int(level) for _, pin, level in (line.split() for line in pins.read_text().splitlines())}


def driven(pins: Path, since: int = 0) -> list[tuple[int, int]]:
    """Return (pin, level) of every change after the first ``since``."""
    lines = [line.split() for line in pins.read_text().splitlines()]
    return [(int(pin), int(level)) for _, pin, level in lines][since:]


def energise(pins: Path) -> int:
    """Leave contactor, both relays and heartbeat on, as a killed guard does; return how many changes that took."""
    factory = RigFactory()
    devices = [
        OutputDevice(pin, active_high=high, pin_factory=factory)
        for pin, high in ((17, True), (5, True), (6, False), (27, True))
    ]
    for device in devices:
        device.on()
    assert levels(pins) == {17: 1, 5: 1, 6: 0, 27: 1}
    return len(driven(pins))


CONFIG = f"""
[gpio]
factory = "{RIG}"
contactor_pin = 17
heartbeat_pin = 27
[[port]]
number = 1
relay = {{ pin = 5 }}
[[port]]
number = 2
relay = {{ pin = 6, active = "low" }}
"""


def test_a_plan_is_driven_contactor_first(tmp_path: Path, pins: Path) -> None:
    """Every line at its off level, none through another one, the contactor before all others; status 0, no words."""
    before = energise(pins)
    off.write_plan(tmp_path, RIG, None, LINES)
    result = run(tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert driven(pins, before) == [(17, 0), (5, 0), (6, 1), (27, 0)]


def test_a_missing_plan_is_made_up_for_by_the_configuration(tmp_path: Path, pins: Path) -> None:
    """The same lines, polarity included; that there was no plan is said."""
    before = energise(pins)
    (tmp_path / "cabinet.toml").write_text(CONFIG)
    result = run(tmp_path)
    assert result.returncode == 0
    assert "no plan" in result.stderr
    assert driven(pins, before) == [(17, 0), (5, 0), (6, 1), (27, 0)]


@pytest.mark.parametrize("damage", ["empty", "truncated", "changed", "other version", "random"])
def test_a_damaged_plan_is_not_used(tmp_path: Path, pins: Path, damage: str) -> None:
    """Not one line of it: a wrong level would close a relay. The configuration is used instead."""
    before = energise(pins)
    path = off.write_plan(tmp_path, RIG, None, LINES)
    data = path.read_bytes()
    path.write_bytes(
        {
            "empty": b"",
            "truncated": data[: len(data) // 2],
            "changed": data.replace(b"line 5 0", b"line 5 1"),
            "other version": data.replace(b"plan 1", b"plan 2"),
            "random": bytes(range(256)) * 8,
        }[damage]
    )
    (tmp_path / "cabinet.toml").write_text(CONFIG)
    assert run(tmp_path).returncode == 0
    assert driven(pins, before) == [(17, 0), (5, 0), (6, 1), (27, 0)]


def test_without_plan_and_configuration_it_says_so(tmp_path: Path, pins: Path) -> None:
    """Nothing known: status 1 and a sentence, never a success."""
    before = energise(pins)
    result = run(tmp_path)
    assert result.returncode == 1
    assert "nothing was driven" in result.stderr
    assert driven(pins, before) == []


def test_a_line_that_refuses_does_not_keep_the_others_on(tmp_path: Path, pins: Path) -> None:
    """The others are off, status 1, and one sentence names the line."""
    before = energise(pins)
    (tmp_path / "refusing_rig.py").write_text(REFUSING)
    off.write_plan(tmp_path, "refusing_rig:Refusing", None, LINES)
    result = run(tmp_path, path=tmp_path)
    assert result.returncode == 1
    assert driven(pins, before) == [(17, 0), (6, 1), (27, 0)]
    assert result.stderr.splitlines() == [
        "pilenode-guard-off: GPIO 5 (port 1) was not driven: [Errno 16] Device or resource busy"
    ]


def test_a_back_end_that_does_not_load_is_said(tmp_path: Path, pins: Path) -> None:
    """Status 1; a crash would say it too, but to nobody."""
    off.write_plan(tmp_path, "nowhere:Factory", None, LINES)
    result = run(tmp_path)
    assert result.returncode == 1
    assert "nowhere:Factory cannot be used, no line was driven" in result.stderr
    assert "Traceback" not in result.stderr
    assert not pins.exists()


# -- lgpio -----------------------------------------------------------------------------------------------------


def lgpio(
    tmp_path: Path, chips: str = "0=pinctrl-bcm2711", busy: str = ""
) -> tuple[subprocess.CompletedProcess[str], str]:
    """Run the helper against the stand-in and return its result and what was claimed, one "chip pin level" a line."""
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "lgpio.py").write_text(LGPIO)
    log = tmp_path / "log"
    log.touch()
    result = run(tmp_path, path=modules, FAKE_CHIPS=chips, FAKE_LOG=str(log), FAKE_BUSY=busy)
    return result, log.read_text()


def test_lgpio_claims_each_line_at_its_off_level(tmp_path: Path) -> None:
    """Level and claim are one call, in the order of the plan, on the chip that guard used."""
    off.write_plan(tmp_path, "lgpio", 0, LINES)
    result, claimed = lgpio(tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert claimed.splitlines() == ["0 17 0", "0 5 0", "0 6 1", "0 27 0"]


@pytest.mark.parametrize(
    ("chips", "chip"),
    [
        ("0=pinctrl-bcm2711", 0),
        ("0=pinctrl-rp1,4=pinctrl-rp1", 0),
        ("0=gpio-brcmstb@107d508500,4=pinctrl-rp1", 4),
        ("4=pinctrl-rp1", 4),
        ("0=1f02000.pinctrl", 0),
    ],
    ids=["Pi 4", "Pi 5, new kernel", "Pi 5, old kernel", "chip 4 alone", "another board"],
)
def test_the_chip_of_the_header_is_found_without_a_plan(tmp_path: Path, chips: str, chip: int) -> None:
    """A configuration does not name the chip: its label does."""
    (tmp_path / "cabinet.toml").write_text("[[port]]\nrelay = { pin = 5 }\n")
    result, claimed = lgpio(tmp_path, chips)
    assert (result.returncode, claimed) == (0, f"{chip} 5 0\n")


def test_a_line_that_is_still_held_is_reported(tmp_path: Path) -> None:
    """Guard lives and holds a line: busy, status 1, the others are tried all the same."""
    off.write_plan(tmp_path, "lgpio", 0, LINES)
    result, claimed = lgpio(tmp_path, busy="17")
    assert result.returncode == 1
    assert claimed.splitlines() == ["0 5 0", "0 6 1", "0 27 0"]
    assert result.stderr == "pilenode-guard-off: GPIO 17 (contactor) was not driven: GPIO busy\n"


def test_no_chip_at_all_is_reported(tmp_path: Path) -> None:
    """Status 1 and a sentence."""
    off.write_plan(tmp_path, "lgpio", None, LINES)
    result, claimed = lgpio(tmp_path, chips="9=none")
    assert (result.returncode, claimed) == (1, "")
    assert "lgpio cannot be used, no line was driven: can not open gpiochip" in result.stderr


def test_lgpio_gets_a_directory_that_it_can_write_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the working directory is read-only it takes another one; LG_WD, which lgpio would obey, is gone."""
    other = tmp_path / "run"
    other.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LG_WD", "/nowhere")
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(other))
    may_write = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != os.curdir and may_write(path, mode))
    off._leave_for_a_writable_directory()
    assert Path.cwd() == other
    assert "LG_WD" not in os.environ


# -- the plan --------------------------------------------------------------------------------------------------


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Factory, chip, lines and their order."""
    path = off.write_plan(tmp_path, "lgpio", 4, LINES)
    assert path == tmp_path / off.PLAN.name
    assert off.read_plan(path) == ("lgpio", 4, LINES)
    off.write_plan(tmp_path, RIG, None, LINES[:1])
    assert off.read_plan(path) == (RIG, None, LINES[:1])


def test_the_order_and_the_levels() -> None:
    """Contactor, relays, heartbeat; off is the level that does not close."""
    assert off.ordered((17, False), [(3, 9, True), (1, 5, False)], 27) == (
        OffLine(17, 1, "contactor"),
        OffLine(9, 0, "port 3"),
        OffLine(5, 1, "port 1"),
        OffLine(27, 0, "heartbeat"),
    )
    assert off.ordered(None, [], None) == ()


def test_every_byte_of_a_plan_counts(tmp_path: Path) -> None:
    """Whatever single byte is changed or missing, the plan is refused."""
    path = off.write_plan(tmp_path, "lgpio", 0, LINES)
    whole = path.read_bytes()
    for place in range(len(whole)):
        for data in (
            whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :],
            whole[:place] + whole[place + 1 :],
            whole[:place],
        ):
            path.write_bytes(data)
            with pytest.raises(PlanError):
                off.read_plan(path)


def test_the_same_plan_is_not_written_again(tmp_path: Path) -> None:
    """A crash loop does not wear the card."""
    path = off.write_plan(tmp_path, "lgpio", 0, LINES)
    before = path.stat().st_ino
    off.write_plan(tmp_path, "lgpio", 0, LINES)
    assert path.stat().st_ino == before
    off.write_plan(tmp_path, "lgpio", 4, LINES)
    assert path.stat().st_ino != before


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("[gpio]\ncontactor_pin = 17", [(17, 0)]),
        ('[gpio]\ncontactor_pin = 17\ncontactor_active = "low"', [(17, 1)]),
        ('[gpio]\ncontactor_pin = "17"\nheartbeat_pin = 27', [(27, 0)]),
        ("[gpio]\ncontactor_pin = true\nheartbeat_pin = -1\n[[port]]\nrelay = { pin = 5 }", [(5, 0)]),
        ('port = 3\nsurplus = "x"\n[gpio]\ncontactor_pin = 17', [(17, 0)]),
        ("gpio = 3\n[[port]]\nrelay = 4\n[[port]]\nrelay = { pin = 6 }", [(6, 0)]),
        ('[[port]]\nnumber = "one"\nrelay = { pin = 6, active = "low" }', [(6, 1)]),
    ],
)
def test_a_wrong_configuration_gives_what_it_has(tmp_path: Path, text: str, lines: list[tuple[int, int]]) -> None:
    """A file that guard would refuse is good enough for every line that can be found in it."""
    path = tmp_path / "cabinet.toml"
    path.write_text(text)
    assert [(line.pin, line.level) for line in off.read_config(path).lines] == lines


@pytest.mark.parametrize("content", [b"", b"x = 1", b"not toml", b"\xff\xfe", b"[gpio]\ncontactor_feedback_pin = 3"])
def test_a_configuration_without_outputs_is_refused(tmp_path: Path, content: bytes) -> None:
    """Nothing found is said, not taken for done."""
    path = tmp_path / "cabinet.toml"
    path.write_bytes(content)
    with pytest.raises(PlanError):
        off.read_config(path)


def test_the_example_configuration_agrees_with_its_plan() -> None:
    """What is found in the shipped example is every output of it."""
    plan = off.read_config(ROOT / "config/example.toml")
    assert plan.factory == "lgpio"
    assert next(line.name for line in plan.lines) == "contactor"
    assert {line.pin for line in plan.lines if line.name.startswith("port")} == {5, 6, 13, 19}


@pytest.mark.parametrize("arguments", [["--plan"], ["--help"], ["--pin", "5"], ["--plan", "a", "--config"]])
def test_wrong_arguments_touch_nothing(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Status 2 and how to call it."""
    assert off.main(arguments) == 2
    assert "usage:" in capsys.readouterr().err


# -- what it needs, and how long it takes ----------------------------------------------------------------------


def test_it_needs_the_standard_library_only(tmp_path: Path) -> None:
    """With lgpio, nothing of ours but the package itself and nothing third-party is imported."""
    off.write_plan(tmp_path, "lgpio", 0, LINES)
    program = (
        "import sys; from pilenode.guard.off import main; print(main(['--plan', sys.argv[1]])); print(*sys.modules)"
    )
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "lgpio.py").write_text(LGPIO)
    result = subprocess.run(
        [sys.executable, "-P", "-c", program, str(tmp_path / "off-plan")],
        env=os.environ
        | {"PYTHONPATH": os.pathsep.join([str(modules), *filter(None, sys.path)])}
        | {"FAKE_CHIPS": "0=pinctrl-bcm2711", "FAKE_LOG": str(tmp_path / "log")},
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
        cwd=tmp_path,
    )
    status, names = result.stdout.splitlines()
    assert status == "0"
    loaded = {name.partition(".")[0] for name in names.split()}
    assert not loaded & {
        "msgspec",
        "structlog",
        "gpiozero",
        "serial",
        "pymodbus",
        "config",
        "drivers",
        "safety",
        "json",
    }
    assert {name for name in names.split() if name.startswith("pilenode")} == {
        "pilenode",
        "pilenode.guard",
        "pilenode.guard.off",
    }


def test_it_is_quick(tmp_path: Path) -> None:
    """From start to end well below the second in which a watchdog's kill must be answered."""
    off.write_plan(tmp_path, "lgpio", 0, LINES)
    started = time.monotonic()
    result, _ = lgpio(tmp_path)
    assert result.returncode == 0
    assert time.monotonic() - started < 1.0


# -- black box -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("result", "boxes"), [("watchdog", 1), ("signal", 1), ("oom-kill", 1), ("success", 0), ("exit-code", 0), ("", 0)]
)
def test_a_death_without_words_leaves_a_black_box(tmp_path: Path, pins: Path, result: str, boxes: int) -> None:
    """A guard that was killed could write none; one that ended by itself has written its own."""
    off.write_plan(tmp_path, RIG, None, LINES)
    assert run(tmp_path, SERVICE_RESULT=result, EXIT_CODE="killed", EXIT_STATUS="KILL").returncode == 0
    assert levels(pins) == {17: 0, 5: 0, 6: 1, 27: 0}
    written = [json.loads(path.read_text()) for path in tmp_path.glob("blackbox-*.json")]
    assert [box["error"] for box in written] == [f"guard ended without words: {result} (killed KILL)"] * boxes


def test_a_disk_that_refuses_the_black_box_changes_nothing(tmp_path: Path, pins: Path) -> None:
    """The lines are off and the status says so."""
    off.write_plan(tmp_path, RIG, None, LINES)
    for number in range(25):
        (tmp_path / f"blackbox-{number}-00.json").mkdir()
    assert run(tmp_path, SERVICE_RESULT="watchdog").returncode == 0
    assert levels(pins) == {17: 0, 5: 0, 6: 1, 27: 0}


# -- the whole of it ---------------------------------------------------------------------------------------------


@pytest.mark.bench
def test_after_the_death_of_a_real_guard_everything_is_off(tmp_path: Path) -> None:
    """SIGKILL under load leaves relay and contactor on, as the kernel does; the plan that guard left turns them off."""
    with Harness(tmp_path / "cabinet", Setup(profile="default")) as cabinet:
        cabinet.rig.plug(1, constant(500.0))
        cabinet.start("guard")
        client = cabinet.guard()
        grant = messages.Grant(port=1, session="off", ttl_s=60.0)
        wait("port 1 granted", lambda: client.ask(grant) == messages.Done())
        wait("current flows", lambda: cabinet.rig.world.meter(1).current_a > 0)
        cabinet.kill("guard")
        before = {pin: level for _, pin, level in cabinet.pins()}
        relay = next(pin for pin, level in before.items() if level and pin not in (CONTACTOR_PIN, HEARTBEAT_PIN))
        assert before[CONTACTOR_PIN]
        result = run(cabinet.storage / "guard", SERVICE_RESULT="signal", HIL_RIG_PINS=str(cabinet.rig.pins_file))
        assert (result.returncode, result.stderr) == (0, "")
        after = {pin: level for _, pin, level in cabinet.pins()}
        assert (after.keys(), set(after.values())) == (before.keys(), {False})
        assert not after[relay]
        assert len(list((cabinet.storage / "guard").glob("blackbox-*.json"))) == 1
