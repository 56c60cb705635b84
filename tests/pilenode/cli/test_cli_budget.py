"""``pilenode budget``: the promise in numbers, for people and for programs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pilenode.cli.budget import bar
from safety.budget import Path as Way
from safety.budget import Term

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., tuple[int, str, str]]

EXAMPLE = Path(__file__).parents[3] / "config" / "example.toml"


@pytest.fixture
def broken(tmp_path: Path) -> str:
    """Return a file whose promise is broken."""
    path = tmp_path / "broken.toml"
    path.write_text(EXAMPLE.read_text(encoding="utf-8").replace("#meter_max_age_s = 3.0", "meter_max_age_s = 3.5"))
    return str(path)


def test_a_kept_promise_is_status_0_with_every_figure(run: Run) -> None:
    """Each port with worst case, margin and dominating part; the parts; what is borne; contacts; how it is computed."""
    status, out, err = run("budget", "--config", str(EXAMPLE))
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "Promise: relay open within 5 s, 2 dead meters on each bus: kept."
    rows = [line for line in lines if re.match(r"^ +\d+ +\d\.\d\d +\d\.\d\d +\S+\|", line)]
    assert [row.split()[:3] for row in rows] == [[str(port), "4.76", "0.24"] for port in (1, 2, 3, 4)]
    assert all(row.endswith("age limit of a reading") for row in rows)
    # Probes on other wires have other figures.
    assert [line for line in lines if "(bus main)" in line] == [
        *("Ports 1, 2 (bus main)", "Port 3 (bus main)", "Port 4 (bus main)")
    ]
    assert "    4.76 s  over-current, the meter falls silent at the worst moment" in lines
    assert "          A  3.00 s  age limit of a reading" in lines
    assert "    0.24 s  smoke (master contactor 0.32 s)" in lines
    assert "  A  age limit of a reading: limits.meter_max_age_s" in lines
    assert max(map(len, lines)) <= 80


def test_a_broken_promise_is_status_2_with_its_figures_and_remedy(run: Run, broken: str) -> None:
    """The figures are shown all the same: they say what to change."""
    status, out, err = run("budget", "--config", broken)
    assert (status, err) == (2, "")
    assert out.startswith("Promise: relay open within 5 s, 2 dead meters on each bus: NOT KEPT.\n")
    assert re.search(r"^ +1 +5\.26 +-0\.26 ", out, re.MULTILINE)
    assert f"{broken}:" in out
    assert "Lower limits.meter_max_age_s" in out


def test_both_languages(run: Run, broken: str) -> None:
    """No English is left in the Chinese page beside names and keys, and no Chinese in the English one."""
    for file in (str(EXAMPLE), broken):
        zh, en = (run("budget", "--config", file, "--lang", language)[1] for language in ("zh", "en"))
        assert not re.search(r"[\u4e00-\u9fff]", en)
        for line in zh.splitlines():
            words = re.sub(r"pilenode \w+|\S*[_./\\-]\S*", "", line)
            assert not re.search(r"[A-Za-z]{3,} [a-z]{3,}", words), line
    assert "承诺：每条总线 2 个电表失效时，5 秒内断开继电器：不满足。" in zh


def test_programs_get_the_same_figures(run: Run, broken: str) -> None:
    """One line of JSON: every path is the sum of its parts, the worst is the slowest, the margin what is left."""
    for file, expected in ((str(EXAMPLE), 0), (broken, 2)):
        status, out, err = run("budget", "--config", file, "--json")
        assert (status, err, out.count("\n")) == (expected, "", 1)
        data = json.loads(out)
        assert (data["promise_s"], data["dead_meters"], data["kept"]) == (5.0, 2, expected == 0)
        assert [one["code"] for one in data["problems"]] == ["promise_broken"] * (expected == 2)
        for port in data["ports"]:
            for path in port["paths"]:
                assert path["total_s"] == pytest.approx(sum(term["seconds"] for term in path["terms"]), abs=1e-4)
            assert port["worst_s"] == max(path["total_s"] for path in port["paths"])
            assert port["margin_s"] == pytest.approx(5.0 - port["worst_s"])
            assert (port["worst_path"], port["dominating"]) == ("silence", "age")
        assert [one["name"] for one in data["contacts"]] == ["smoke", "emergency-stop", "rcd-right"]


def test_ports_with_other_figures_are_shown_apart(run: Run, tmp_path: Path) -> None:
    """Ports of another bus have their own parts."""
    path = tmp_path / "two.toml"
    text = EXAMPLE.read_text(encoding="utf-8")
    second = '\n[[bus]]\nname = "second"\ndevice = "/dev/y"\nbaud = 19200\n'
    text = text.replace("\n[[port]]", f"{second}\n[[port]]", 1)
    path.write_text(text.replace('unit = 4, bus = "main"', 'unit = 4, bus = "second"'), encoding="utf-8")
    status, out, _ = run("budget", "--config", str(path))
    assert status == 0
    assert "Ports 1, 2 (bus main)" in out
    assert "Port 4 (bus second)" in out


def test_other_mistakes_are_told_as_everywhere(run: Run, tmp_path: Path) -> None:
    """A configuration that has no budget yet is an error with its problems."""
    bad = tmp_path / "bad.toml"
    bad.write_text("[node]\nid = 1\n")
    status, out, err = run("budget", "--config", str(bad))
    assert (status, out) == (2, "")
    assert f"{bad}:2:node.id: " in err
    assert run("budget")[0] == 2


def test_config_check_lists_a_broken_promise_like_any_other_problem(run: Run, broken: str) -> None:
    """File, line, key, figures and remedy."""
    status, out, _ = run("config", "check", broken)
    assert status == 2
    assert re.search(r"broken\.toml:\d+:bus\[1\]: The worst-case time .* 5\.26 s at worst .*\n    Lower limits", out)
    assert out.endswith(": 1 error.\n")


@pytest.mark.parametrize(
    ("terms", "drawn"),
    [
        ((("refresh", 1.0), ("age", 3.0)), "rrAAAAAA..|"),
        ((("refresh", 2.5), ("age", 2.5)), "rrrrrAAAAA|"),
        ((("refresh", 2.5), ("age", 3.0)), "rrrrrAAAAA|A"),
        ((("tick", 0.2), ("age", 3.0)), "AAAAAA....|"),
        ((("age", 99.0),), "AAAAAAAAAA|AAAAAAAAAA"),
    ],
)
def test_bars(terms: tuple[tuple[str, float], ...], drawn: str) -> None:
    """Ten characters for a promise of 5 s: each part in its own, what is over the promise behind the line."""
    assert bar(Way("seen", tuple(Term(*term) for term in terms)), 5.0, 10) == drawn


def test_the_budget_imports_nothing_heavy() -> None:
    """A technician waits: no table library, no hardware, neither of the two processes."""
    program = (
        f"import sys\nfrom pilenode.cli.main import main\nmain(['budget', '--config', {str(EXAMPLE)!r}])\n"
        "print('MODULES', *sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True, timeout=60)
    loaded = set(done.stderr.splitlines()[-1].split())
    assert loaded.isdisjoint({"rich", "asyncio", "pymodbus", "serial", "gpiozero", "sqlite3", "structlog"})
    assert not any(name.startswith(("pilenode.guard", "pilenode.station", "drivers")) for name in loaded)
