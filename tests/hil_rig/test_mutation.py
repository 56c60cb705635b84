"""The mutation run: what it changes, that it notices what tests notice, and that it names what they do not."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from hil_rig.mutation import sources
from hil_rig.mutation_forks import Outcome
from hil_rig.mutation_operators import Edit, Mutant, Source, applied, mutants
from hil_rig.mutation_protective import protective, silenced
from hil_rig.mutation_report import Equivalent, count, equivalents, good, report
from safety.catalogue import CATALOGUE, Kind

ROOT = Path(__file__).parents[2]
WORDS = '''
"""What it is about."""
from __future__ import annotations
LIMIT_V: float = 10.0
NAMES = ("one", "two")
def judge(a: int, b: float = 2.0) -> str | None:
    """Say what stands."""
    if a < b and not NAMES:
        raise ValueError(f"{a} is too little")
    return "over_voltage" if a >= LIMIT_V else None
'''


def changes(text: str) -> set[tuple[str, str]]:
    """Return every change as text before and after."""
    return {(mutant.before, mutant.after) for mutant in mutants(Source("words", text))}


def test_every_sort_of_change_is_made_and_nothing_that_is_only_words() -> None:
    """Boundaries, conditions, operands, constants, elements, statements, codes; no docstring, sentence, annotation."""
    found = changes(WORDS)
    assert {
        ("10.0", "11.0"),
        ("10.0", "9.0"),
        ("2.0", "1.8"),
        ('("one", "two")', "('two',)"),
        ("a < b", "a <= b"),
        ("a < b", "a >= b"),
        ("a < b and not NAMES", "False"),
        ("a < b and not NAMES", "a < b or not NAMES"),
        ("a < b and not NAMES", "a < b"),
        ("not NAMES", "NAMES"),
        ('raise ValueError(f"{a} is too little")', "pass"),
        ("a >= LIMIT_V", "a > LIMIT_V"),
        ('"over_voltage"', "'over_voltage_'"),
        ('"over_voltage" if a >= LIMIT_V else None', "None"),
    } <= found
    assert not any("too little" in before or "What" in before for before, _ in found if not before.startswith("raise"))
    assert not any(before in {"int", "float", "annotations"} for before, _ in found)


@pytest.mark.parametrize(
    ("text", "before", "after"),
    [
        ("x = min(a, b)", "min(a, b)", "max(a, b)"),
        ("x = a + b", "a + b", "a - b"),
        ("def f(a):\n    a += 1", "a += 1", "pass"),
        ("def f(a):\n    a = a * 2", "a = a * 2", "pass"),
        ("def f(a):\n    return replace(a, b=1, c=2)", "replace(a, b=1, c=2)", "replace(a, c=2)"),
        ("x = [*a, b]", "[*a, b]", "[b]"),
        ("x = {1: 2, 3: 4}", "{1: 2, 3: 4}", "{3: 4}"),
        ("x = [i for i in a if i]", "i", "True"),
        ("for i in a:\n    break", "break", "pass"),
        ("x = 1e-9", "1e-9", "0.0"),
        ("x = Effect.CUT", "Effect.CUT", "next(m for m in (*Effect, *Effect) if m is not Effect.CUT)"),
        ("def f(a):\n    return a == 1", "a == 1", "True"),
    ],
)
def test_one_change(text: str, before: str, after: str) -> None:
    """Each operator by an example."""
    assert (before, after) in changes(text)


def test_a_change_keeps_the_lines_that_follow() -> None:
    """The tests of a line are found by its number."""
    source = Source("words", "def f(a):\n    a = g(\n        a,\n    )\n    return a\n")
    (removed,) = (mutant for mutant in mutants(source) if mutant.operator == "statement")
    assert applied(source.text, removed.edits).decode().splitlines()[4] == "    return a"
    assert removed.lines == (2, 3, 4)
    assert (removed.function, removed.name) == ("f", "words:2 f")


def test_chinese_words_do_not_move_a_change() -> None:
    """Places are counted in bytes."""
    source = Source("words", 'a = "端口", 1 < 2\n')
    (smaller,) = (mutant for mutant in mutants(source) if mutant.after == "1 <= 2")
    assert applied(source.text, smaller.edits).decode() == 'a = "端口", (1 <= 2)\n'


def test_every_mutant_of_the_safety_core_is_a_program() -> None:
    """One that cannot be compiled would count as noticed. Every twentieth, for the time it takes."""
    for source in sources().values():
        for mutant in mutants(source)[::20]:
            ast.parse(applied(source.text, mutant.edits))


def test_every_fault_is_silenced_once_and_conditions_are_removed() -> None:
    """The list is made from the catalogue and the code: a new fault, rule or refusal is in it by itself."""
    checks = protective(sources())
    faults = {code for code, entry in CATALOGUE.items() if entry.kind is Kind.FAULT}
    assert {check.code for check in checks if check.code} == faults
    guarded = {(check.module, check.function) for check in checks if not check.code}
    wanted = {("hazards", "judge"), ("cabinet", "next_to_close"), ("ending", "why_end"), ("engine", "_open_port")}
    assert wanted <= guarded
    assert sum(check.module == "requests" for check in checks) > 20


@pytest.mark.parametrize(
    ("text", "silent"),
    [
        ('return ("a",) if x else ()', "return () if x else ()"),
        ('return {"a": x, "b": y}', 'return {"a": False, "b": y}'),
        ('return [("a", x), ("b", y)]', 'return [("a", False), ("b", y)]'),
        ('found.append("a")', "None"),
        ('found.append("a" if x else "b")', "found.extend((c for c in ['a' if x else 'b'] if c != 'a'))"),
        ('return "a"', "return None"),
        ('return f(fault="a")', "return f(fault=None)"),
        ('return Verdict("a", "why")', "return None"),
    ],
)
def test_a_fault_is_silenced_wherever_a_rule_names_it(text: str, silent: str) -> None:
    """Every way of naming one has its way of being dumb."""
    source = Source("rule", f"def f():\n    {text}\n")
    mutant = silenced("a", {"rule": source})
    assert ast.unparse(ast.parse(applied(source.text, mutant.edits))) == ast.unparse(
        ast.parse(f"def f():\n    {silent}\n")
    )


def test_a_new_way_of_naming_a_fault_is_not_passed_over() -> None:
    """The program stops and says where."""
    with pytest.raises(ValueError, match="rule:1 names 'a' in a way"):
        silenced("a", {"rule": Source("rule", 'x = f("a")\n')})


def mutation(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program."""
    command = [sys.executable, "-P", "-m", "hil_rig.mutation", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=100)


def test_what_no_test_notices_is_named(tmp_path: Path) -> None:
    """A weak test kills some mutants, inside functions and outside; the report names the others."""
    (tmp_path / "test_verdict.py").write_text(
        "from safety.verdict import lasting\n"
        "def test_lasting():\n    assert lasting(119.0) == '119.0 s' and lasting(121.0) == '2.0 min'\n"
    )
    report_path = tmp_path / "report.md"
    done = mutation("--modules", "verdict", "--tests", str(tmp_path), "--report", str(report_path))
    assert done.returncode == 1, done.stderr
    told = report_path.read_text()
    assert "lasting (comparison, 1 tests)\n\n  ```diff\n  - seconds < _MINUTES_FROM_S\n" in told
    assert "+ seconds <= _MINUTES_FROM_S" in told
    assert "+ seconds >= _MINUTES_FROM_S" not in told
    assert "+ 132.0" not in told  # the constant of the module: 121 s would be seconds
    assert "Sample.factor" in told


def test_tests_that_fail_without_a_mutant_end_it(tmp_path: Path) -> None:
    """They would kill everything; leaving them out must be asked for."""
    (tmp_path / "test_verdict.py").write_text("def test_red():\n    assert False\n")
    report_path = tmp_path / "report.md"
    done = mutation("--modules", "verdict", "--tests", str(tmp_path), "--report", str(report_path))
    assert done.returncode == 1
    assert "fail on the unchanged program: " in done.stderr
    assert "test_red" in done.stderr
    assert not report_path.exists()


@pytest.mark.long
def test_removed_protective_checks_are_noticed() -> None:
    """Ten of them, spread over all; ``make mutation`` removes every one."""
    done = mutation("--short")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == "10 protective checks removed, 10 noticed\n"


def outcome(result: str, after: str = "b") -> Outcome:
    """Return what became of one mutant."""
    edits = (Edit("rule", 0, 1, after),)
    return Outcome(Mutant("rule", "f", "return", (1,), "a", after, edits, line="x = a"), result, 3)


def test_the_figure_counts_what_can_be_noticed() -> None:
    """Equivalent mutants are left out, hanging ones are caught; one protective check not noticed fails the run."""
    known = (Equivalent("rule", "x = a", "a", "same", "why"),)
    alive = [outcome("survived"), outcome("survived", "same")]
    outcomes = [*(outcome("killed") for _ in range(18)), outcome("timed out"), *alive]
    counts = count(outcomes, known)
    assert (counts.mutants, counts.killed, counts.late, counts.survived, counts.equivalent) == (21, 18, 1, 1, 1)
    assert counts.share == 0.95
    assert good(outcomes, [], known)
    assert not good(outcomes, [outcome("survived")], known)
    assert good(outcomes, [outcome("survived", "same")], known)
    assert not good([*outcomes, outcome("survived")], [], known)
    told = report(outcomes, [outcome("survived", "gone")], known, "How it was made.")
    assert "| rule | 21 | 18 | 1 | 1 | 1 | 95.0 % |" in told
    assert "1 checks removed: 0 noticed, 0 equivalent, 1 not noticed." in told
    assert "**not noticed**: rule:1 f `a` → `gone`" in told


def test_the_list_of_equivalent_mutants_is_about_the_code_as_it_is() -> None:
    """Every entry has its reason, and its line and its change are still there."""
    there = {(m.module, m.line, m.before, m.after) for source in sources().values() for m in mutants(source)}
    assert [one for one in equivalents() if (one.module, one.line, one.before, one.after) not in there] == []
    assert all(len(one.why) > 10 for one in equivalents())
