"""The units as files: systemd's own checks, the settings that carry a promise, and agreement with code and config.

Nothing here talks to a running systemd or touches a path outside the test's own folder.
"""

from __future__ import annotations

import importlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from config.schema import Guard, Station
from pilenode.guard import off

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "systemd"
GUARD = "pilenode-guard.service"
STATION = "pilenode-station.service"
OFF = "pilenode-guard-off.service"

Unit = dict[str, list[str]]


def read_unit(name: str) -> Unit:
    """Return every setting of a unit with its values in order. Keys of all sections are distinct in our units."""
    settings: Unit = {}
    for line in (UNITS / name).read_text(encoding="utf-8").splitlines():
        if line and line[0] not in "#[":
            key, _, value = line.partition("=")
            settings.setdefault(key, []).append(value)
    return settings


def own_root(folder: Path) -> Path:
    """Return a root directory with systemd's own units, ours, and a stand-in for the installed program."""
    shutil.copytree("/lib/systemd/system", folder / "usr/lib/systemd/system", symlinks=True)
    shutil.copytree(
        UNITS, folder / "etc/systemd/system", ignore=lambda _, names: [n for n in names if ".service" not in n]
    )
    programs = folder / "opt/pilenode/bin"
    programs.mkdir(parents=True)
    for name in ("pilenode", "pilenode-guard-off"):
        (programs / name).write_text("#!/bin/sh\n", encoding="ascii")
        (programs / name).chmod(0o755)
    return folder


def verify(root: Path) -> subprocess.CompletedProcess[str]:
    """Run ``systemd-analyze verify`` on our units inside ``root``."""
    command = ["systemd-analyze", f"--root={root}", "--man=no", "verify", GUARD, STATION, OFF]
    return subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)


@pytest.mark.needs("systemd-analyze")
def test_systemd_understands_every_line(tmp_path: Path) -> None:
    """All units load on Debian 12's systemd without one remark."""
    result = verify(own_root(tmp_path))
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.needs("systemd-analyze")
@pytest.mark.parametrize(
    ("right", "wrong", "complaint"),
    [
        ("RestartSec=200ms", "RestartSec=200ms\nRestartSteps=3", "Unknown key"),
        ("WatchdogSec=2\n", "WatchdogSec=2 ticks\n", "Failed to parse"),
        ("/opt/pilenode/bin/pilenode guard", "/opt/pilenode/bin/guard", "not executable"),
        ("ExecStopPost=/opt/pilenode/bin/pilenode-guard-off", "ExecStopPost=/opt/pilenode/bin/off", "not executable"),
    ],
    ids=["key of a newer systemd", "bad value", "missing program", "missing helper"],
)
def test_the_check_itself_bites(tmp_path: Path, right: str, wrong: str, complaint: str) -> None:
    """A key that is too new, a bad value and a missing program are seen, so silence above means something."""
    unit = own_root(tmp_path) / "etc/systemd/system" / GUARD
    text = unit.read_text(encoding="utf-8")
    assert right in text
    unit.write_text(text.replace(right, wrong), encoding="utf-8")
    assert complaint in verify(tmp_path).stderr


@pytest.mark.needs("systemd-analyze")
@pytest.mark.parametrize(("unit", "limit"), [(GUARD, 0.6), (OFF, 0.6), (STATION, 1.2)])
def test_exposure_stays_low(unit: str, limit: float) -> None:
    """Exposure as systemd scores it, 0 (none) to 10; packaged services of this kind score above 9."""
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager"]
    threshold = f"--threshold={round(limit * 10)}"
    result = subprocess.run(
        [*command, threshold, str(UNITS / unit)], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    assert result.returncode == 0, result.stdout


#: What each drop-in of a reader opens, and for which group.
READERS = {
    "reader-serial.conf": ("dialout", r"char-tty(USB|ACM|AMA|S) rw"),
    "reader-keyboard.conf": ("input", r"char-input r"),
    "reader-gpio.conf": ("gpio", r"/dev/gpiochip[04] rw|char-spi rw"),
}


@pytest.mark.needs("systemd-analyze")
def test_every_reader_at_once_is_understood_and_keeps_exposure_low(tmp_path: Path) -> None:
    """All drop-ins together load without one remark, and the station stays at or below 2.0 of 10."""
    root = own_root(tmp_path)
    shutil.copytree(UNITS / "readers", root / "etc/systemd/system" / f"{STATION}.d")
    result = verify(root)
    assert (result.returncode, result.stderr) == (0, "")
    command = ["systemd-analyze", f"--root={root}", "security", "--offline=true", "--no-pager", "--threshold=20"]
    result = subprocess.run([*command, STATION], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert result.returncode == 0, result.stdout
    assert "char-input:r" in result.stdout  # the drop-ins were looked at


@pytest.mark.parametrize("name", READERS)
def test_a_reader_opens_what_its_kind_needs_and_nothing_else(name: str) -> None:
    """Devices of its kind and their group; everything else of the unit stays, and without readers nothing is open."""
    settings = read_unit(f"readers/{name}")
    group, devices = READERS[name]
    assert settings["SupplementaryGroups"] == [group]
    assert [rule for rule in settings["DeviceAllow"] if not re.fullmatch(devices, rule)] == []
    assert settings["DevicePolicy"] == ["closed"]
    assert settings.keys() <= {
        "SupplementaryGroups",
        "PrivateDevices",
        "DevicePolicy",
        "DeviceAllow",
        "Environment",
        "Wants",
        "After",
    }
    assert read_unit(STATION)["PrivateDevices"] == ["yes"]
    assert "SupplementaryGroups" not in read_unit(STATION)


def test_every_reader_has_a_drop_in_and_lgpio_a_place_for_its_pipe() -> None:
    """Lgpio makes a named pipe in $LG_WD: the unit's own run-time directory."""
    assert {path.name for path in (UNITS / "readers").iterdir()} == set(READERS)
    folder = read_unit(STATION)["RuntimeDirectory"][0]
    assert read_unit("readers/reader-gpio.conf")["Environment"] == [f"LG_WD=%t/{folder}"]


ALL = {
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "AmbientCapabilities": "",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "MemoryDenyWriteExecute": "yes",
    "SystemCallArchitectures": "native",
    "SystemCallErrorNumber": "EPERM",
    "RestrictNamespaces": "yes",
    "RestrictSUIDSGID": "yes",
    "UMask": "0077",
    "LimitCORE": "0",
}
BOTH = {
    "Type": "notify",
    "Restart": "always",
    "RestartPreventExitStatus": "2",
    "WatchdogSignal": "SIGKILL",
    "WantedBy": "multi-user.target",
}
GUARD_ONLY = {
    "WatchdogSec": "2",
    "RestartSec": "200ms",
    "StartLimitIntervalSec": "60",
    "StartLimitBurst": "5",
    "OnFailure": OFF,
    "ExecStopPost": "/opt/pilenode/bin/pilenode-guard-off",
    "LimitMEMLOCK": "infinity",
    "MemoryMax": "128M",
    "CPUSchedulingPolicy": "fifo",
    "OOMScoreAdjust": "-900",
    "MemorySwapMax": "0",
    "PrivateNetwork": "yes",
    "IPAddressDeny": "any",
    "RestrictAddressFamilies": "AF_UNIX",
    "DevicePolicy": "closed",
}
OFF_ONLY = {
    "Type": "oneshot",
    "ExecStart": "/opt/pilenode/bin/pilenode-guard-off",
    "Restart": "on-failure",
    "StartLimitBurst": "5",
    "PrivateNetwork": "yes",
    "IPAddressDeny": "any",
    "RestrictAddressFamilies": "AF_UNIX",
    "DevicePolicy": "closed",
}
STATION_ONLY = {"WatchdogSec": "30", "StartLimitIntervalSec": "0", "PrivateDevices": "yes"}
SETTINGS = [(unit, *item) for unit in (GUARD, OFF, STATION) for item in ALL.items()]
SETTINGS += [(unit, *item) for unit in (GUARD, STATION) for item in BOTH.items()]
SETTINGS += [(GUARD, *item) for item in GUARD_ONLY.items()] + [(STATION, *item) for item in STATION_ONLY.items()]
SETTINGS += [(OFF, *item) for item in OFF_ONLY.items()]


@pytest.mark.parametrize(("unit", "key", "value"), SETTINGS)
def test_settings_worth_their_place(unit: str, key: str, value: str) -> None:
    """A setting that carries a promise stands in the unit, once, with this value."""
    assert read_unit(unit).get(key) == [value]


@pytest.mark.parametrize("unit", [GUARD, STATION])
def test_settings_that_would_break_it(unit: str) -> None:
    """PrivateUsers hides who the peer is, ProcSubset=pid hides the boot id; neither may be added for the score."""
    assert not {"PrivateUsers", "ProcSubset"} & read_unit(unit).keys()


def test_guard_depends_on_nobody() -> None:
    """No required unit, no network target: nothing else can keep guard from running."""
    settings = read_unit(GUARD)
    assert not {"Requires", "Requisite", "BindsTo", "PartOf"} & settings.keys()
    assert "network" not in " ".join(settings["After"] + settings["Wants"])


def test_a_guard_that_gives_up_ends_in_off() -> None:
    """Five deaths a minute, or a wrong configuration, start the helper; nothing reboots, nothing restarts for ever."""
    settings = read_unit(GUARD)
    assert not {"FailureAction", "StartLimitAction", "RebootArgument", "SuccessAction"} & settings.keys()
    # Five restarts, each after 200 ms and the helper, are over within the interval: the limit can be reached.
    assert int(settings["StartLimitBurst"][0]) * 5.0 < float(settings["StartLimitIntervalSec"][0])


def test_the_helper_depends_on_nothing_that_may_be_broken() -> None:
    """No directory on the disk, no other unit, no install: it is started by guard's failure and needs the chip only."""
    settings = read_unit(OFF)
    forbidden = {
        "StateDirectory",
        "Requires",
        "Requisite",
        "BindsTo",
        "PartOf",
        "Wants",
        "WantedBy",
        "ConditionPathExists",
    }
    assert not forbidden & settings.keys()
    assert not [line for line in settings["DeviceAllow"] if not re.fullmatch(r"/dev/gpiochip\d rw", line)]
    assert settings["User"] == read_unit(GUARD)["User"]
    assert "gpio" in settings["SupplementaryGroups"][0].split()


def test_the_helper_may_use_every_chip_of_guard() -> None:
    """Nothing that guard can switch on is out of the helper's reach."""
    chips = {rule for rule in read_unit(GUARD)["DeviceAllow"] if "gpiochip" in rule}
    assert chips == set(read_unit(OFF)["DeviceAllow"])


def test_the_helper_is_installed_and_finds_what_guard_left() -> None:
    """The program of both units is a script of the wheel; its plan lies in guard's state directory."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["scripts"]["pilenode-guard-off"] == "pilenode.guard.off:main"
    module, _, function = project["scripts"]["pilenode-guard-off"].partition(":")
    assert callable(getattr(importlib.import_module(module), function))
    assert Path("/var/lib") / read_unit(GUARD)["StateDirectory"][0] == off.PLAN.parent
    assert str(off.CONFIG) in read_unit(GUARD)["ExecStart"][0].split()


def test_guard_may_lock_its_memory() -> None:
    """The filter of system calls leaves mlockall to guard and to nobody else."""
    assert "@memlock" not in " ".join(read_unit(GUARD)["SystemCallFilter"])
    for unit in (OFF, STATION):
        assert "@memlock" in read_unit(unit)["SystemCallFilter"][1]


def test_station_waits_for_no_network() -> None:
    """A cabinet without a network starts: ordered after network.target, never after network-online.target."""
    settings = read_unit(STATION)
    assert "network.target" in settings["After"][0].split()
    assert "network-online" not in " ".join(settings["After"] + settings["Wants"])
    assert "Requires" not in settings


def test_guard_sees_only_its_wires() -> None:
    """Below /dev guard gets GPIO chips, serial ports and SPI, and asks for those drivers before it starts."""
    settings = read_unit(GUARD)
    allowed = {rule.split()[0] for rule in settings["DeviceAllow"]}
    assert {
        name for name in allowed if not re.fullmatch(r"/dev/gpiochip\d|char-(tty(USB|ACM|AMA|S)|spi)", name)
    } == set()
    for driver in ("usbserial", "cdc_acm"):
        assert f"modprobe@{driver}.service" in settings["Wants"][-1]
        assert f"modprobe@{driver}.service" in settings["After"][-1]


@pytest.mark.parametrize(("unit", "command"), [(GUARD, "guard"), (STATION, "station")])
def test_the_program_understands_its_command_line(unit: str, command: str) -> None:
    """ExecStart names a subcommand and options that the shipped CLI has."""
    program, *arguments = shlex.split(read_unit(unit)["ExecStart"][0])
    assert (program, arguments) == ("/opt/pilenode/bin/pilenode", [command, "--config", "/etc/pilenode/pilenode.toml"])
    help_text = subprocess.run(
        [sys.executable, "-P", "-m", "pilenode.cli", command, "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdin=subprocess.DEVNULL,
    ).stdout
    assert "--config" in help_text


@pytest.mark.parametrize(
    ("unit", "path", "key", "base"),
    [
        (GUARD, Guard().socket, "RuntimeDirectory", "/run"),
        (GUARD, Guard().state_dir, "StateDirectory", "/var/lib"),
        (STATION, Station().control_socket, "RuntimeDirectory", "/run"),
        (STATION, Station().data_dir, "StateDirectory", "/var/lib"),
    ],
)
def test_default_paths_lie_where_the_unit_may_write(unit: str, path: str, key: str, base: str) -> None:
    """The defaults of the configuration are inside the directories that the unit owns."""
    assert Path(path).is_relative_to(Path(base) / read_unit(unit)[key][0])


def test_the_example_names_the_groups_of_the_units() -> None:
    """With the shipped example station may ask guard for leases, technicians may ask station, nobody else may."""
    example = tomllib.loads((ROOT / "config/example.toml").read_text(encoding="utf-8"))
    guard, station = read_unit(GUARD), read_unit(STATION)
    assert [example["guard"]["client_group"]] == guard["Group"] == station["Group"]
    assert ("g", example["station"]["control_group"]) in identities()
    assert example["station"]["control_group"] not in (*guard["Group"], *station["Group"])


def identities() -> set[tuple[str, str]]:
    """Return the (type, name) pairs of the sysusers file."""
    lines = (UNITS / "pilenode.sysusers").read_text(encoding="utf-8").splitlines()
    return {(line.split()[0], line.split()[1]) for line in lines if line and line[0] != "#"}


def test_every_user_and_group_exists() -> None:
    """Users and groups of units, tmpfiles and udev rules are made by the sysusers file, or are Debian's own."""
    made = identities()
    users = {name for kind, name in made if kind == "u"}
    groups = {name for _, name in made} | {"dialout", "input", "root"}
    for unit in (GUARD, OFF, STATION, *(f"readers/{name}" for name in READERS)):
        settings = read_unit(unit)
        assert set(settings.get("User", [])) <= users
        assert {*settings.get("Group", []), *" ".join(settings.get("SupplementaryGroups", [])).split()} <= groups
    for line in (UNITS / "pilenode.tmpfiles").read_text(encoding="utf-8").splitlines():
        if line[0] != "#":
            kind, path, mode, user, group, age = line.split()
            assert (kind, age, path.startswith("/etc/pilenode")) == ("d", "-", True)
            assert int(mode, 8) & 0o022 == 0
            assert (user in {*users, "root"}, group in groups) == (True, True)
    rules = (UNITS / "99-pilenode.rules").read_text(encoding="utf-8")
    assert set(re.findall(r'GROUP="(\w+)"', rules)) <= groups


@pytest.mark.needs("systemd-sysusers")
def test_sysusers_are_accepted(tmp_path: Path) -> None:
    """systemd-sysusers plans exactly these users and groups for an empty system; nothing is written."""
    command = ["systemd-sysusers", f"--root={tmp_path}", "--dry-run", str(UNITS / "pilenode.sysusers")]
    result = subprocess.run(command, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL)
    planned = set(re.findall(r"Creating user '([\w-]+)'", result.stdout + result.stderr))
    assert planned == {name for kind, name in identities() if kind == "u"} == {"pilenode-guard", "pilenode"}
    assert list(tmp_path.iterdir()) == []


def test_udev_rules_keep_to_the_grammar() -> None:
    """Every rule is a list of known keys, with an operator that suits the key, and values in quotes."""
    matches, assigns = (
        "SUBSYSTEMS?|KERNEL|DRIVER|ACTION|TEST|ATTR{[\\w/]+}|ENV{\\w+}",
        "GROUP|MODE|TAG|RUN|ATTR{[\\w/]+}|ENV{\\w+}",
    )
    term = re.compile(rf'({matches})(==|!=)"[^"]+"|({assigns})(=|\+=)"[^"]+"')
    rules = [
        line
        for line in (UNITS / "99-pilenode.rules").read_text(encoding="utf-8").splitlines()
        if line and line[0] != "#"
    ]
    assert rules
    for rule in rules:
        assert [part for part in rule.split(", ") if not term.fullmatch(part)] == []
