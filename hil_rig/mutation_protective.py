"""The protective checks as mutants: each of them takes one away, and every one must fail a test.

- For every fault of the catalogue: the program in which nothing ever names it. Where a rule names it, that place is
  made dumb; what is only carried (contacts of the cabinet, guard's own tests) is not let through.
- Every entry of the tuple of rules, every condition for a cut, a refusal, a closing, and each part of it.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from hil_rig.mutation_operators import Edit, Mutant, Source, mutants
from safety.catalogue import CATALOGUE, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Functions that cut, refuse or let close; every condition in them protects. Empty: all of the module.
_GUARDED: dict[str, tuple[str, ...]] = {
    "hazards": ("judge", "_observe"),
    "cabinet": ("judge_cabinet", "next_to_close", "_seen_dead", "shed", "drive_contactor"),
    "requests": (),
    "ending": ("why_end", "_completed"),
    "engine": ("_open", "_open_port", "_escalate"),
}
_CARRIED = """

_said = {function}


def {function}(*given):
    return _said(*({without} for one in given))
"""
#: What is given to them, without the code.
_CARRIERS = {
    ("contacts", "judge_contacts"): "tuple(c for c in one if c.code != {code!r}) if isinstance(one, tuple) else one",
    ("cabinet", "judge_cabinet"): (
        "replace(one, self_test=tuple(c for c in one.self_test if c != {code!r})) if hasattr(one, 'self_test') else one"
    ),
}


def protective(sources: Mapping[str, Source]) -> list[Mutant]:
    """Return the mutants of all protective checks. Raises ValueError where a fault is named in a way not known here."""
    rules = {name: source for name, source in sources.items() if not name.startswith("catalogue")}
    faults = [silenced(code, rules) for code, entry in CATALOGUE.items() if entry.kind is Kind.FAULT]
    return [*faults, *_removed(rules)]


# -- one fault that nothing names --------------------------------------------------------------------------


def silenced(code: str, sources: Mapping[str, Source]) -> Mutant:
    """Return the program that never names this fault."""
    places = [
        (source, node)
        for source in sources.values()
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Constant) and node.value == code and not _consumed(source, node)
    ]
    if not places:
        edits = tuple(_not_carried(code, sources[module], function) for module, function in _CARRIERS)
        return Mutant("contacts", "", "silenced", (1,), code, "not let through", edits, code=code)
    source, node = places[0]
    before = f"{code} ({', '.join(f'{source.module}:{node.lineno}' for source, node in places)})"
    edits = tuple(_dumb(source, node) for source, node in places)
    return Mutant(source.module, "", "silenced", (node.lineno,), before, "never", edits, code=code)


def _consumed(source: Source, node: ast.Constant) -> bool:
    """Return whether the code is only compared here, or is another word that happens to read the same."""
    parent = source.parents[node]
    if isinstance(parent, (ast.Compare, ast.Set, ast.Subscript)):
        return True
    return isinstance(parent, ast.Assign) and isinstance(source.parents[parent], ast.ClassDef)


def _dumb(source: Source, node: ast.Constant) -> Edit:
    """Return the edit after which this place does not name its fault."""
    parent = source.parents[node]
    above = source.parents[parent]
    what: ast.expr
    match parent, above:
        case ast.Dict(), _:
            what, text = parent.values[parent.keys.index(node)], "False"
        case ast.Tuple(elts=[ast.Constant(), second]), _ if not isinstance(second, ast.Constant):
            what, text = second, "False"
        case ((ast.Tuple() | ast.List()), _):
            rest = "".join(f"{source.segment(element)}, " for element in parent.elts if element is not node)
            what, text = parent, f"[{rest}]" if isinstance(parent, ast.List) else f"({rest})"
        case ast.Call(func=ast.Attribute(attr="append")), ast.Expr():
            what, text = parent, "None"
        case ast.IfExp(), ast.Call(func=ast.Attribute(attr="append", value=found)):
            some = f"c for c in [{ast.unparse(parent)}] if c != {ast.unparse(node)}"
            what, text = above, f"{ast.unparse(found)}.extend({some})"
        case ((ast.Return() | ast.keyword() | ast.IfExp() | ast.BoolOp()), _):
            what, text = node, "None"
        case ast.Call(func=ast.Name(id="Verdict")), _:
            what, text = parent, "None"
        case _:
            raise ValueError(f"{source.module}:{node.lineno} names {node.value!r} in a way that is not known here")
    start, end = source.span(what)
    return Edit(source.module, start, end, text)


def _not_carried(code: str, source: Source, function: str) -> Edit:
    if f"def {function}(" not in source.text.decode():
        raise ValueError(f"{source.module}.{function} is gone: say here what carries faults now")
    end, without = len(source.text), _CARRIERS[source.module, function].format(code=code)
    return Edit(source.module, end, end, _CARRIED.format(function=function, without=without))


# -- one condition that is not looked at -------------------------------------------------------------------


def _removed(sources: Mapping[str, Source]) -> Iterator[Mutant]:
    for module, functions in _GUARDED.items():
        source = sources[module]
        for mutant in mutants(source):
            if mutant.function and (not functions or mutant.function in functions) and _removes(source, mutant):
                yield mutant


def _removes(source: Source, mutant: Mutant) -> bool:
    """Return whether the mutant takes a check away, rather than changing it or making it stricter."""
    if mutant.operator in {"element", "statement"}:
        return mutant.after == "pass" or mutant.module == "hazards" or "*" in mutant.before
    node = next(node for node in ast.walk(source.tree) if _at(source, node, mutant))
    removed = False
    match mutant.operator, source.parents[node], node:
        case "condition", ast.If(), _:
            removed = mutant.after == "False"
        case "condition", ast.comprehension(), _:
            removed = mutant.after == ("True" if mutant.function == "next_to_close" else "False")
        case "operand", above, ast.BoolOp(op=joined):
            # `a or ""` is a default, not a check.
            default = isinstance(node.values[-1], ast.Constant)
            allows = isinstance(above, (ast.comprehension, ast.Return))
            removed = (isinstance(joined, ast.Or) or allows) and not default
        case "return", _, _:
            removed = mutant.function == "_seen_dead" and mutant.after == "True"
    return removed


def _at(source: Source, node: ast.AST, mutant: Mutant) -> bool:
    edit = mutant.edits[0]
    return isinstance(node, (ast.expr, ast.stmt)) and source.span(node) == (edit.start, edit.end)
