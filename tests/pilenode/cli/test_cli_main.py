"""The program as a whole: help, languages, statuses, import cost."""

from __future__ import annotations

import json
import os
import re
import signal
import statistics
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import pilenode
from pilenode import __version__
from pilenode.cli import codes
from pilenode.cli.exits import MEANINGS, Exit, status_of
from pilenode.cli.main import main
from pilenode.cli.terminal import language_of
from safety.catalogue import CATALOGUE

if TYPE_CHECKING:
    from collections.abc import Callable

    import click

    from tests.pilenode.cli.conftest import FakeStation

    Run = Callable[..., tuple[int, str, str]]

_ROOT = Path(__file__).parents[3]
_COMMANDS = ["guard", "station", "status", "start", "stop", "reset", "sessions", "config", "budget", "explain"]


def _pilenode(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "pilenode.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "LC_ALL": "en_US.UTF-8", **environment},
    )


# -- help and language -------------------------------------------------------------------------------------


def test_help_lists_every_command_and_status_in_both_languages(run: Run) -> None:
    """``pilenode --help`` is the first page of the manual."""
    for language in ("zh", "en"):
        status, out, err = run("--lang", language, "--help")
        assert (status, err) == (0, "")
        for name in _COMMANDS:
            assert re.search(rf"^  {name} +\S", out, re.MULTILINE)
        for number, words in MEANINGS.items():
            assert re.search(rf"^  {int(number)} +{re.escape(words[language == 'en'])}$", out, re.MULTILINE)


@pytest.mark.parametrize("path", [[name] for name in _COMMANDS] + [["config", "check"], ["config", "show"]])
def test_every_command_helps_in_both_languages(run: Run, path: list[str]) -> None:
    """The Chinese help has no English text left in it beside names, and the other way round."""
    status, zh, _ = run(*path, "--lang", "zh", "--help")
    assert status == 0
    status, en, _ = run(*path, "--help", "--lang", "en")
    assert status == 0
    chinese = re.compile(r"[\u4e00-\u9fff]")
    assert not chinese.search(en)
    for line in zh.splitlines():
        if line.strip() and not line.startswith("用法"):
            words = re.sub(r"--?[\w-]+|[A-Z_]{2,}|\[.*?\]|/[\w/.]+|^ +[a-z]+ ", "", line)
            assert not re.search(r"[A-Za-z]{3,} [a-z]{3,}", words), line


def test_no_arguments_at_all_shows_the_help(run: Run) -> None:
    """Whoever types the bare command learns what there is; a script learns that it was wrong."""
    status, out, _ = run()
    assert status == 2
    assert "sessions" in out


@pytest.mark.parametrize(
    ("arguments", "environment", "expected"),
    [
        ([], {}, "en"),
        ([], {"LANG": "zh_CN.UTF-8"}, "zh"),
        ([], {"LANG": "ZH"}, "zh"),
        ([], {"LANG": "C.UTF-8"}, "en"),
        ([], {"LANG": "en_US.UTF-8", "LC_ALL": "zh_CN.UTF-8"}, "zh"),
        ([], {"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "en"),
        ([], {"LANG": "zh_CN.UTF-8", "LC_ALL": ""}, "zh"),
        ([], {"LANG": "en", "LC_MESSAGES": "zh_TW"}, "zh"),
        (["status", "--lang", "zh"], {}, "zh"),
        (["status", "--lang=en"], {"LANG": "zh_CN"}, "en"),
        (["--lang"], {"LANG": "zh_CN"}, "en"),
    ],
)
def test_the_language_is_the_option_else_the_locale(
    arguments: list[str], environment: dict[str, str], expected: str
) -> None:
    """LC_ALL counts before LC_MESSAGES, that before LANG, and the option before all."""
    assert language_of(arguments, environment) == expected


def test_the_version_is_that_of_the_package(run: Run) -> None:
    """``--version`` answers without a cabinet."""
    assert run("--version") == (0, f"pilenode {__version__}\n", "")


# -- statuses ----------------------------------------------------------------------------------------------


def test_statuses_are_the_documented_numbers() -> None:
    """A script may rely on these numbers for ever."""
    assert {status.name: int(status) for status in Exit} == {
        "OK": 0,
        "BUG": 1,
        "USAGE": 2,
        "REFUSED": 3,
        "NO_ANSWER": 4,
        "NO_RIGHTS": 5,
        "HARDWARE": 6,
        "FAILED": 7,
        "INTERRUPTED": 130,
    }
    assert MEANINGS.keys() == set(Exit)
    assert {code for code in CATALOGUE if status_of(code) is not Exit.REFUSED} == {
        "not_allowed",
        "station_absent",
        "guard_absent",
        "protocol_mismatch",
    }


def test_a_bug_is_status_1_with_its_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody foresaw is told as a bug, with what a developer needs, and never as success."""
    monkeypatch.setattr(codes, "every", lambda: 1 / 0)
    status, out, err = run("explain", "full")
    assert (status, out) == (1, "")
    assert "ZeroDivisionError" in err
    assert "Traceback" in err
    assert err.splitlines()[-1].startswith("remedy: ")


def test_ctrl_c_is_quiet(tmp_path: Path) -> None:
    """A request that waits for its answer is given up without a traceback."""
    pipe = tmp_path / "fifo"
    os.mkfifo(pipe)
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "pilenode.cli", "config", "check", str(pipe)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    end = os.open(pipe, os.O_WRONLY)  # returns once the program reads
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    os.close(end)
    assert (process.returncode, out, err) == (130, b"", b"")


def test_a_reader_that_goes_away_is_no_bug() -> None:
    """``pilenode … | head -1`` prints no traceback and does not pretend to have shown everything."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    example = str(_ROOT / "config" / "example.toml")
    command = [sys.executable, "-P", "-m", "pilenode.cli", "config", "show", example]
    done = subprocess.run(command, stdout=write_end, stderr=subprocess.PIPE, check=False, timeout=60)
    os.close(write_end)
    assert (done.returncode, done.stderr) == (130, b"")


def test_a_terminal_without_chinese_gets_marks_instead_of_a_crash() -> None:
    """An encoding that lacks the characters never ends the program."""
    done = _pilenode("--lang", "zh", "--help", PYTHONIOENCODING="latin-1")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"^  status +\?+", done.stdout, re.MULTILINE)


# -- configuration -----------------------------------------------------------------------------------------


def test_config_check_lists_files_and_problems(run: Run, tmp_path: Path) -> None:
    """Good files are called good, bad ones listed with key, line and remedy; one bad file makes status 2."""
    example = str(_ROOT / "config" / "example.toml")
    bad = tmp_path / "bad.toml"
    bad.write_text("[node]\nid = 1\n")
    assert run("config", "check", example) == (0, f"{example}: good.\n", "")
    status, out, err = run("config", "check", example, str(bad))
    assert (status, err) == (2, "")
    assert f"{bad}:2:node.id: The type is wrong. 1: expected a string.\n    Write a value" in out
    assert out.endswith(f"{bad}: 3 errors.\n")
    assert f"{bad}：3 处错误。" in run("config", "check", str(bad), "--lang", "zh")[1]
    status, out, err = run("config", "check", example, str(bad), "--json")
    assert (status, err) == (2, "")
    good_file, bad_file = json.loads(out)["files"]
    assert good_file == {"file": example, "problems": []}
    assert bad_file["problems"][0] == {
        "file": str(bad),
        "key": "bus",
        "line": None,
        "code": "missing_key",
        "zh": "缺少必需的键。应为列表。",
        "en": "A required key is missing.",
        "remedy_zh": "补上该键；可参考 config/example.toml。",
        "remedy_en": "Add it; config/example.toml shows how.",
    }


def test_config_show_prints_toml_or_json(run: Run, tmp_path: Path) -> None:
    """The merged view names its sources in the language asked for; a bad file is an error with its problems."""
    example = str(_ROOT / "config" / "example.toml")
    assert "max_duration_s = 36000.0  # profile default\n" in run("config", "show", example)[1]
    assert "max_duration_s = 36000.0  # 配置档 default\n" in run("config", "show", example, "--lang", "zh")[1]
    assert json.loads(run("config", "show", example, "--json")[1])["completion"]["max_duration_s"] == 36_000
    bad = tmp_path / "bad.toml"
    bad.write_text("[node]\nid = 1\n")
    status, out, err = run("config", "show", str(bad))
    assert (status, out) == (2, "")
    assert err.startswith("error: The configuration has errors; nothing was done.\n")
    assert f"{bad}:2:node.id: " in err
    problems = json.loads(run("config", "show", str(bad), "--json")[2])["error"]["problems"]
    assert [one["key"] for one in problems] == ["bus", "port", "node.id"]


@pytest.mark.parametrize("process", ["guard", "station"])
def test_a_process_does_not_start_on_a_bad_configuration(process: str, tmp_path: Path) -> None:
    """Every problem is listed, status 2, nothing is started."""
    bad = tmp_path / "bad.toml"
    bad.write_text('[node]\nid = "n1"\n[guard]\nstate_dir = "x"\n[[port]]\nnumber = 0\n')
    done = _pilenode(process, "--config", str(bad))
    assert (done.returncode, done.stdout) == (2, "")
    for key in ("bus", "port[1].number", "port[1].meter", "port[1].relay"):
        assert f"{key}: " in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["bad.toml"]


def test_explain_tells_every_code_in_both_languages(run: Run) -> None:
    """Any code that a person may meet is explained, in words and as JSON."""
    for code, entry in codes.every().items():
        status, out, _ = run("explain", code, "--lang", "zh")
        assert status == 0
        assert entry.zh in out
        assert entry.remedy_zh in out
    status, out, _ = run("explain", "over_current")
    assert "needs a reset on the spot" in out
    assert json.loads(run("explain", "over_current", "--json")[1]) == {
        "code": "over_current",
        "kind": "fault",
        "latch": "local_reset",
        "zh": CATALOGUE["over_current"].zh,
        "en": CATALOGUE["over_current"].en,
        "remedy_zh": CATALOGUE["over_current"].remedy_zh,
        "remedy_en": CATALOGUE["over_current"].remedy_en,
    }


# -- the manual --------------------------------------------------------------------------------------------


def _every_command() -> list[tuple[str, click.Command]]:
    """Return every command with its path, as the program itself knows them."""
    import click  # noqa: PLC0415 - only this test looks inside

    from pilenode.cli.main import cli  # noqa: PLC0415 - as above

    found: list[tuple[str, click.Command]] = []

    def walk(path: str, command: click.Command) -> None:
        found.append((path, command))
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                inner = command.get_command(context, name)
                assert inner is not None
                walk(f"{path} {name}", inner)

    walk("pilenode", cli)
    return found


@pytest.mark.parametrize(("name", "language"), [("manual.md", "en"), ("manual.zh-CN.md", "zh")])
def test_the_manual_is_complete_and_fresh(name: str, language: str) -> None:
    """Every command, option, status, code and JSON key stands in both manuals; the tables are those of the program."""
    import msgspec  # noqa: PLC0415 - only this test looks inside

    from pilenode.ipc import messages  # noqa: PLC0415 - as above
    from pilenode.ipc.wish import Wish  # noqa: PLC0415 - as above
    from pilenode.station.ledger_entry import Entry, Step  # noqa: PLC0415 - as above
    from pilenode.station.ledger_records import Check  # noqa: PLC0415 - as above
    from pilenode.station.statistics import Row  # noqa: PLC0415 - as above

    text = (_ROOT / "docs" / name).read_text(encoding="utf-8")
    assert codes.renew(text, language) == text, f"run: python -m pilenode.cli.codes {language} docs/{name}"
    for path, command in _every_command():
        assert path in text
        for param in command.params:
            for option in (*param.opts, *param.secondary_opts):
                if option.startswith("-"):
                    assert option in text, f"{path} {option} is missing in {name}"
    for struct in (
        messages.StatusReply,
        messages.Snapshot,
        messages.PortSnapshot,
        messages.SessionRecord,
        Wish,
        messages.StartReply,
        messages.SessionsReply,
        messages.PeriodicTest,
        messages.LockShown,
        messages.LedgerShown,
        messages.Place,
        Row,
        Entry,
        Step,
        Check,
        messages.ReaderReport,
        messages.CardsReport,
    ):
        for field in msgspec.structs.fields(struct):
            assert f"`{field.name}`" in text or f'"{field.name}"' in text, f"{field.name} is missing in {name}"
    assert {f"`{code}`" for code in codes.every() if f"| `{code}` |" in text} == {f"`{code}`" for code in codes.every()}
    for number, words in MEANINGS.items():
        assert f"| {int(number)} | {words[language == 'en']} |" in text


def test_every_entry_has_words_in_both_languages() -> None:
    """No code leaves a Chinese or an English reader without sentence or remedy."""
    for code in codes.every().values():
        assert all(code[3:]), code
        assert re.search(r"[\u4e00-\u9fff]", code.zh + code.remedy_zh)
        assert not re.search(r"[\u4e00-\u9fff]", code.en + code.remedy_en)
        assert all(codes.kind_words(code))
    assert codes.every().keys() >= CATALOGUE.keys()


# -- cost --------------------------------------------------------------------------------------------------

_HEAVY = ("rich", "msgspec", "asyncio", "pymodbus", "serial", "gpiozero", "sqlite3", "sqlite_utils", "structlog")


def _modules(*arguments: str) -> set[str]:
    program = (
        "import sys\nfrom pilenode.cli.main import main\n"
        f"main({[*arguments]!r})\nprint('MODULES', *sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True, timeout=60)
    return set(done.stderr.splitlines()[-1].split()[1:])


def test_help_imports_nothing_heavy() -> None:
    """A Pi is slow: the first page costs click and our own words."""
    loaded = _modules("--help")
    assert "click" in loaded
    assert not loaded.intersection(_HEAVY)
    assert not any(name.startswith(("pilenode.guard", "pilenode.station", "config.load")) for name in loaded)


def test_status_imports_what_it_needs_only(station: FakeStation, cabinet: object) -> None:
    """The status for programs needs no rich; for people rich comes on top; nothing of the two processes ever does."""
    station.reply = cabinet
    loaded = _modules("status", "--json", "--socket", station.path)
    assert "msgspec" in loaded
    assert not loaded.intersection(set(_HEAVY) - {"msgspec"})
    assert loaded.isdisjoint({"config.load", "safety"})
    loaded = _modules("status", "--socket", station.path)
    assert "rich" in loaded
    assert not loaded.intersection(set(_HEAVY) - {"msgspec", "rich"})


def _seconds(*arguments: str) -> float:
    """Return the median processor time of a whole process: what else the machine does is not counted."""
    times = []
    for _ in range(7):
        begun = os.times()
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, timeout=60)
        ended = os.times()
        times.append(ended.children_user + ended.children_system - begun.children_user - begun.children_system)
    return statistics.median(times)


def test_help_costs_little_more_than_click_alone() -> None:
    """Measured against the same machine at the same moment: help takes less than twice what importing click takes."""
    assert _seconds("-P", "-m", "pilenode.cli", "--help") < 2 * _seconds("-P", "-c", "import click")


def test_a_shadowing_folder_does_not_matter_with_p(tmp_path: Path) -> None:
    """``python -P -m pilenode.cli`` runs the installed program although a folder here has a module of that name."""
    (tmp_path / "safety").mkdir()
    (tmp_path / "safety" / "__init__.py").write_text("raise SystemExit(99)\n")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "pilenode.cli", "--version"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(pilenode.__file__).parents[1])},
    )
    assert (done.returncode, done.stdout) == (0, f"pilenode {__version__}\n")


def test_main_takes_the_arguments_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The console script calls ``main()`` and hands its result to the shell."""
    monkeypatch.setattr(sys, "argv", ["pilenode", "explain", "full"])
    assert main() == 0
