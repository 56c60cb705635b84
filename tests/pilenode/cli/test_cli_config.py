"""Promises of ``pilenode config`` about what is desired from afar: checked beforehand, shown, given up by hand."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click
import msgspec
import pytest

from pilenode.ipc.messages import ConfigShown, Done, ForgetConfig, Refused, StatusReply
from pilenode.station import desired
from pilenode.station.desired import Book, Text
from pilenode.station.desired_store import FOLDER, DesiredStore
from pilenode.upstream.desired import digest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.pilenode.cli.conftest import FakeStation

    Run = Callable[..., tuple[int, str, str]]

GOOD = "[cards]\nday_cap_fen = 400\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return the file of a cabinet."""
    path = tmp_path / "cabinet.toml"
    path.write_text(
        f"""\
[node]
id = "n1"
[station]
data_dir = "{tmp_path}"
[cards]
debounce_s = 4
[[bus]]
name = "main"
device = "/dev/serial/by-id/x"
[[port]]
number = 1
meter = {{ model = "pzem004t-v3", unit = 1, bus = "main" }}
relay = {{ pin = 5 }}
""",
        encoding="utf-8",
    )
    return path


def apply(directory: Path, body: str, version: int = 7) -> DesiredStore:
    """Put a text in force, as the station does."""
    store = DesiredStore(directory / FOLDER)
    text = Text(version=version, sha256=digest(body))
    store.keep(text, body)
    store.save(desired.commit(desired.begin_trial(desired.stage(Book(), text), [])))
    return store


def test_a_text_is_checked_against_the_file_of_a_cabinet(run: Run, file: Path, tmp_path: Path) -> None:
    """Everything that the cabinet would refuse, in both languages and with its remedy, before it is sent."""
    text = tmp_path / "text.toml"
    text.write_text(GOOD, encoding="utf-8")
    assert run("config", "check", "--desired", str(text), str(file), "--lang", "en")[:2] == (0, f"{file}: good.\n")
    text.write_text("[limits]\n[cards]\nday_cap_fen = 900\n", encoding="utf-8")
    status, out, _ = run("config", "check", "--desired", str(text), str(file), "--lang", "zh")
    assert status == 2
    assert f"{text}:1:limits: 这个键不能远程设置。" in out
    assert f"{text}:3:cards.day_cap_fen: 比机柜自己的配置宽松。900，本地为 500" in out
    _, out, _ = run("config", "check", "--desired", str(text), str(file), "--json")
    (told,) = json.loads(out)["files"]
    assert [one["code"] for one in told["problems"]] == ["not_from_afar", "above_ceiling"]
    assert run("config", "check", "--desired", str(tmp_path / "none"), str(file))[0] == 2


def test_show_tells_where_a_value_comes_from(run: Run, file: Path, tmp_path: Path) -> None:
    """Own file, profile, default, or what version was desired; with --own as if nothing was."""
    apply(tmp_path, GOOD)
    _, out, err = run("config", "show", str(file), "--lang", "en")
    assert err == ""
    assert "day_cap_fen = 400  # desired v7" in out
    assert "debounce_s = 4.0  # line 6" in out
    assert "lease_s = 60.0  # profile default" in out
    assert "day_cap_fen = 400  # 远程 v7" in run("config", "show", str(file), "--lang", "zh")[1]
    assert "day_cap_fen = 500  # default" in run("config", "show", "--own", str(file), "--lang", "en")[1]
    assert json.loads(run("config", "show", str(file), "--json")[1])["cards"]["day_cap_fen"] == 400


@pytest.mark.parametrize("how", ["damaged", "spoiled", "above the ceiling"])
def test_show_tells_what_does_not_count(run: Run, file: Path, tmp_path: Path, how: str) -> None:
    """The own file is shown, and on stderr why."""
    store = apply(tmp_path, GOOD if how != "above the ceiling" else "[cards]\nday_cap_fen = 900\n")
    if how != "above the ceiling":
        next(store.folder.glob("*.toml" if how == "spoiled" else "book.json")).write_text("x", encoding="utf-8")
    status, out, err = run("config", "show", str(file), "--lang", "en")
    assert status == 0
    assert "day_cap_fen = 500  # default" in out
    assert {"damaged": "book.json", "spoiled": "config_damaged", "above the ceiling": "config_error"}[how] in err


def test_forget_asks_the_station(run: Run, station: FakeStation) -> None:
    """In somebody's name; what it says is what will be."""
    station.reply = Done()
    status, out, err = run("config", "forget", "--yes", "--lang", "en")
    assert (status, err) == (0, "")
    (asked,) = station.asked
    assert isinstance(asked, ForgetConfig)
    assert asked.by
    assert "idle" in out
    assert json.loads(run("config", "forget", "--yes", "--json")[1]) == {"type": "done"}


def test_forget_needs_a_person(run: Run, station: FakeStation, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody there to confirm: nothing is asked. Somebody says no: neither."""
    assert run("config", "forget", "--lang", "en")[0] == 2
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    for answer, count in ((False, 0), (True, 1)):
        station.reply = Done()
        monkeypatch.setattr(click, "confirm", lambda _question, default, said=answer: said or default)
        run("config", "forget", "--lang", "en")
        assert len(station.asked) == count


def test_forget_tells_a_refusal(run: Run, station: FakeStation) -> None:
    """Nothing is desired: that is said, and what it means."""
    station.reply = Refused(code="nothing_desired")
    status, _, err = run("config", "forget", "--yes", "--lang", "en")
    assert status == 3
    assert "own file counts alone" in err


def test_status_tells_where_desired_configuration_stands(run: Run, station: FakeStation, cabinet: StatusReply) -> None:
    """In force, waiting, on trial, refused; nothing where nothing was ever desired."""
    shown = ConfigShown(
        applied=7,
        in_force=9,
        on_trial=9,
        staged=10,
        forget=True,
        refused=8,
        code="config_rolled_back",
        detail="upstream",
    )
    station.reply = msgspec.structs.replace(cabinet, config=shown)
    _, out, _ = run("status", "--lang", "en")
    for words in ("v7 in force", "v9 on trial", "v10 waits", "v8 does not count [config_rolled_back] (upstream)"):
        assert words in out
    assert "own file is to count again" in out
    assert "v7 生效" in run("status", "--lang", "zh")[1]
    assert json.loads(run("status", "--json")[1])["config"]["refused"] == 8
    station.reply = msgspec.structs.replace(cabinet, config=ConfigShown())
    assert "Desired" not in run("status", "--lang", "en")[1]
