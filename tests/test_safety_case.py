"""The safety case says nothing that is not there: every test it names exists, every code is in the catalogue."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from safety.catalogue import CATALOGUE, Kind

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs/safety-case.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXT)


def _tests_in(path: Path) -> set[str]:
    """Return the names of the test functions of a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_named_test_exists() -> None:
    """A row of the single-fault table stands for a test that runs."""
    assert len(NAMED) >= 14
    missing = [f"{file}::{name}" for file, name in NAMED if name not in _tests_in(ROOT / file)]
    assert missing == []


def test_all_fourteen_single_faults_have_a_row_with_a_test() -> None:
    """The table is complete and in order, and no row is without its proof."""
    rows = re.findall(r"^\| (\d+) \|.*$", TEXT, re.MULTILINE)
    assert rows == [str(number) for number in range(1, 15)]
    for line in TEXT.splitlines():
        if re.match(r"\| \d+ \|", line):
            assert "::test_" in line, line


def test_every_protective_code_is_in_the_table_of_hazards() -> None:
    """No hazard is watched that the safety case does not mention, and none is mentioned that nobody watches."""
    table = TEXT.partition("## Hazards")[2].partition("## Single faults")[0]
    mentioned = set(re.findall(r"`([a-z_*]+)`", table))
    wild = [name[:-1] for name in mentioned if name.endswith("*")]
    assert {name for name in mentioned if not name.endswith("*")} <= set(CATALOGUE)
    faults = {code for code, entry in CATALOGUE.items() if entry.kind is Kind.FAULT}
    unmentioned = {code for code in faults if code not in mentioned and not code.startswith(tuple(wild))}
    assert unmentioned == set()
