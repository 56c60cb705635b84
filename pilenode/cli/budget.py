"""``pilenode budget``: how long a hazard may take until the relay is open, and what that time is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from config.budget_words import PATHS, TERMS
from config.load import budget as budget_of
from config.load import load_unpromised
from pilenode.cli.bilingual import Command, Text, json_option, language_option, option
from pilenode.cli.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from config.budget import Budget, PortBudget
    from config.budget_words import TermWords
    from pilenode.cli.terminal import Terminal
    from safety.budget import Path

#: Lengths of a bar that is as long as the promise, characters: in the table, and above the parts.
_NARROW: Final = 30
_WIDE: Final = 60
#: Numbers of ports named one by one; more are shown as first to last.
_NAMED_PORTS: Final = 6


@click.command(
    "budget",
    cls=Command,
    params=[json_option(), language_option()],
    text=Text(
        "计算每个端口从出现危险到继电器断开的最长时间，并与承诺值比较。",
        "Compute the longest time from a hazard to an open relay for every port, and compare it with the promise.",
    ),
)
@option("--config", "path", required=True, metavar="FILE", text=Text("配置文件。", "The configuration."))
@click.pass_obj
def command(terminal: Terminal, path: str) -> int:
    """Print the budget of a configuration, also of one that breaks its promise; nothing is started or changed."""
    config, problems = load_unpromised(path)
    budget = budget_of(config)
    if terminal.json:
        terminal.data(_data(budget) | {"problems": [one._asdict() for one in problems]})
    else:
        for line in _lines(terminal, budget):
            terminal.line(line)
        for one in problems:
            terminal.line()
            terminal.line(terminal.problem(one._asdict()))
    return Exit.USAGE if problems else Exit.OK


# -- for programs ------------------------------------------------------------------------------------------


def _path(path: Path) -> dict[str, object]:
    terms = [{"name": term.name, "seconds": round(term.seconds, 6)} for term in path.terms]
    return {"name": path.name, "total_s": round(path.total_s, 6), "dominating": path.dominating.name, "terms": terms}


def _data(budget: Budget) -> dict[str, object]:
    return {
        "promise_s": budget.promise_s,
        "dead_meters": budget.dead_meters,
        "kept": budget.kept,
        "ports": [
            {
                "port": port.port,
                "bus": port.bus,
                "worst_s": round(port.worst.total_s, 6),
                "worst_path": port.worst.name,
                "dominating": port.worst.dominating.name,
                "margin_s": round(budget.promise_s - port.worst.total_s, 6),
                "oldest_reading_s": round(port.oldest_s, 6),
                "meter_max_age_s": port.max_age_s,
                "paths": [_path(path) for path in port.paths],
                "dwelling": [_path(path) for path in port.dwelling],
            }
            for port in budget.ports
        ],
        "contacts": [
            {
                "name": contact.name,
                "relays": _path(contact.relays),
                "contactor": None if contact.contactor is None else _path(contact.contactor),
            }
            for contact in budget.contacts
        ],
    }


# -- for people --------------------------------------------------------------------------------------------


def _lines(terminal: Terminal, budget: Budget) -> Iterator[str]:
    pick = terminal.pick
    kept = pick("满足", "kept") if budget.kept else pick("不满足", "NOT KEPT")
    yield pick(
        f"承诺：每条总线 {budget.dead_meters} 个电表失效时，{budget.promise_s:g} 秒内断开继电器：{kept}。",
        f"Promise: relay open within {budget.promise_s:g} s, {budget.dead_meters} dead meters on each bus: {kept}.",
    )
    yield ""
    yield pick("端口   最坏   余量", "Port  worst  spare") + " " * (_NARROW + 3) + pick("主要部分", "longest part")
    for port in budget.ports:
        part = TERMS[port.worst.dominating.name]
        spare_s = budget.promise_s - port.worst.total_s
        drawn = bar(port.worst, budget.promise_s, _NARROW)
        yield f"{port.port:4}  {port.worst.total_s:5.2f}  {spare_s:5.2f}  {drawn}  {pick(part.zh, part.en)}"
    for ports in _alike(budget):
        yield ""
        yield from _group(terminal, budget, ports)
    yield from _contacts(terminal, budget)
    yield ""
    yield pick("各部分的计算：", "How the parts are computed:")
    for words in _used(budget):
        name, formula = pick(words.zh, words.en), pick(words.formula_zh, words.formula_en)
        yield f"  {words.mark}  {name}{pick('：', ': ')}{formula}"


def _alike(budget: Budget) -> list[list[PortBudget]]:
    """Return the ports in groups that have the same figures."""
    groups: dict[object, list[PortBudget]] = {}
    for port in budget.ports:
        key = (port.bus, _meter_paths(port), port.dwelling, port.max_age_s, round(port.oldest_s, 9))
        groups.setdefault(key, []).append(port)
    return list(groups.values())


def _meter_paths(port: PortBudget) -> tuple[Path, ...]:
    return tuple(path for path in port.paths if path.name != "contact")


def _group(terminal: Terminal, budget: Budget, ports: list[PortBudget]) -> Iterator[str]:
    pick, first = terminal.pick, ports[0]
    numbers = [str(port.port) for port in ports]
    named = ", ".join(numbers) if len(numbers) <= _NAMED_PORTS else f"{numbers[0]} … {numbers[-1]}"
    plural = "s" if len(numbers) > 1 else ""
    yield pick(f"端口 {named}（总线 {first.bus}）", f"Port{plural} {named} (bus {first.bus})")
    for path in _meter_paths(first):
        words = PATHS[path.name]
        yield f"  {path.total_s:6.2f} s  {pick(words.zh, words.en)}"
        yield f"            {bar(path, budget.promise_s, _WIDE)}"
        for term in path.terms:
            part = TERMS[term.name]
            yield f"          {part.mark} {term.seconds:5.2f} s  {pick(part.zh, part.en)}"
    yield pick(
        f"  {first.oldest_s:6.2f} s  线路正常时读数的最长年龄（允许 {first.max_age_s:g} 秒）",
        f"  {first.oldest_s:6.2f} s  oldest reading while the wire works (allowed {first.max_age_s:g} s)",
    )
    yield pick("  有意容忍一段时间的危险，不属于承诺：", "  Borne for a time on purpose, no part of the promise:")
    for path in first.dwelling:
        words = PATHS[path.name]
        yield f"  {path.total_s:6.2f} s  {pick(words.zh, words.en)}"


def _contacts(terminal: Terminal, budget: Budget) -> Iterator[str]:
    if budget.contacts:
        yield ""
        yield terminal.pick("外部触点", "Contacts")
    for one in budget.contacts:
        more = ""
        if one.contactor is not None:
            seconds = one.contactor.total_s
            more = terminal.pick(f"（主接触器 {seconds:.2f} 秒）", f" (master contactor {seconds:.2f} s)")
        yield f"  {one.relays.total_s:6.2f} s  {one.name}{more}"


def _used(budget: Budget) -> list[TermWords]:
    """Return the words of every part that occurs, in the order of the table."""
    paths = [path for port in budget.ports for path in (*port.paths, *port.dwelling)]
    names = {term.name for path in paths for term in path.terms}
    return [words for name, words in TERMS.items() if name in names]


def bar(path: Path, promise_s: float, width: int) -> str:
    """Return the parts of ``path`` side by side, each in its own character; ``|`` after ``width`` is the promise.

    A part that is shorter than half a character has none; beyond twice the promise the bar is cut.
    """
    marks, done_s = "", 0.0
    for term in path.terms:
        done_s += term.seconds
        marks += TERMS[term.name].mark * (round(done_s / promise_s * width) - len(marks))
    return f"{marks[:width]:.<{width}}|{marks[width : 2 * width]}"
