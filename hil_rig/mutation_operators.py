"""Mutants of one module: every small change that a careless hand could make, as an edit of its text.

A mutant replaces one expression, or takes one statement, condition, operand, element or argument away. What has no
meaning for the rules is left alone: docstrings, annotations, sentences for people, the words of an exception.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")

_COMPARED: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_COMPUTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
_SWAPPED = {"min": "max", "max": "min", "any": "all", "all": "any"}
#: Classes whose members are exchanged for one another; the tables of the catalogue and of the port consist of them.
_ENUMS = frozenset({"Effect", "Latch", "PortStatus", "Signal", "Phase", "Kind"})
#: Assignments that mean nothing at run time.
_NAMES_OF_TYPES = frozenset({"__all__", "T", "Request"})
_CODE = re.compile(r"[a-z][a-z0-9_]*\Z")
#: Below this a number is a tolerance for rounding; it is taken away and not changed by a tenth.
_ROUNDING = 1e-5


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace ``start`` to ``end`` (bytes of the source) of ``module`` by ``text``."""

    module: str
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """One changed program. ``operator``: the sort of change. ``before`` and ``after``: the text that it changed.

    ``function``: qualified name of the outermost function or method that it is in, empty for the body of the module or
    of a class. ``lines``: those that a test must run to notice; ``line``: text of the first line of what it changes.
    ``code``: the fault that it silences, if it does.
    """

    module: str
    function: str
    operator: str
    lines: tuple[int, ...]
    before: str
    after: str
    edits: tuple[Edit, ...]
    line: str = ""
    code: str = ""

    @property
    def name(self) -> str:
        """Return where it is, for the report."""
        return f"{self.module}:{self.lines[0]}" + (f" {self.function}" if self.function else "")


class Source:
    """The text of one module with its tree, parents and places."""

    def __init__(self, module: str, text: str) -> None:
        self.module = module
        self.text = text.encode()
        self.tree = ast.parse(text)
        self.parents = {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}
        self._lines = self.text.splitlines(keepends=True)
        self._line_starts = [0]
        for line in self._lines:
            self._line_starts.append(self._line_starts[-1] + len(line))

    def span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        """Return where the node begins and ends, in bytes."""
        start = self._line_starts[node.lineno - 1] + node.col_offset
        return start, self._line_starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)

    def segment(self, node: ast.expr | ast.stmt) -> str:
        """Return the text of a node on one line."""
        start, end = self.span(node)
        return re.sub(r"\s*\n\s*", " ", self.text[start:end].decode())

    def function(self, node: ast.AST) -> str:
        """Return the qualified name of the outermost function around ``node``, empty when there is none."""
        chain = []
        while (parent := self.parents.get(node)) is not None:
            chain.append((node, parent))
            node = parent
        names: list[str] = []
        for child, parent in reversed(chain):
            if isinstance(parent, ast.ClassDef):
                names.append(parent.name)
            elif isinstance(parent, ast.FunctionDef):
                # Defaults and decorators are evaluated with the module.
                return ".".join([*names, parent.name]) if child in parent.body else ""
        return ""

    def statement(self, node: ast.AST) -> ast.stmt:
        """Return the smallest statement around ``node``."""
        while not isinstance(node, ast.stmt):
            node = self.parents[node]
        return node

    def lines(self, node: ast.expr | ast.stmt) -> tuple[int, ...]:
        """Return the lines that a test runs when it runs ``node``."""
        first = self.statement(node).lineno
        return tuple(sorted({first, *range(node.lineno, (node.end_lineno or node.lineno) + 1)}))

    def mutant(self, operator: str, node: ast.expr | ast.stmt, text: str) -> Mutant:
        """Return the mutant in which ``text`` stands in place of ``node``."""
        start, end = self.span(node)
        # One line for many, so that what follows keeps its number.
        padded = text + "\n" * self.text.count(b"\n", start, end) if isinstance(node, ast.stmt) else text
        edit = Edit(self.module, start, end, padded)
        if isinstance(node, ast.expr):
            edit = replace(edit, text=f"({text})")
        line = self._lines[node.lineno - 1].decode().strip()
        before = self.segment(node)
        return Mutant(self.module, self.function(node), operator, self.lines(node), before, text, (edit,), line)


def mutants(source: Source) -> list[Mutant]:
    """Return every mutant of a module, in the order of its text, each once."""
    found: dict[tuple[Edit, ...], Mutant] = {}
    for node in _meaningful(source):
        for mutant in _of_node(source, node):
            found.setdefault(mutant.edits, mutant)
    return sorted(found.values(), key=lambda mutant: (mutant.edits[0].start, mutant.edits[0].end))


def applied(text: bytes, edits: tuple[Edit, ...]) -> bytes:
    """Return the text with its edits."""
    for edit in sorted(edits, key=lambda edit: edit.start, reverse=True):
        text = text[: edit.start] + edit.text.encode() + text[edit.end :]
    return text


def _meaningful(source: Source) -> Iterator[ast.AST]:
    """Yield every node that is code."""
    waiting: list[ast.AST] = [source.tree]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += [child for child in ast.iter_child_nodes(node) if not _idle(node, child)]


def _idle(parent: ast.AST, child: ast.AST) -> bool:
    """Return whether nothing in ``child`` matters to the rules."""
    if isinstance(child, (ast.Import, ast.ImportFrom, ast.JoinedStr)) or isinstance(parent, ast.Raise):
        return True
    if isinstance(child, ast.If):
        return isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING"
    if isinstance(child, ast.Assign):
        return isinstance(child.targets[0], ast.Name) and child.targets[0].id in _NAMES_OF_TYPES
    if isinstance(child, ast.Expr):
        return isinstance(child.value, ast.Constant)
    decorators = parent.decorator_list if isinstance(parent, (ast.FunctionDef, ast.ClassDef)) else []
    annotations = (getattr(parent, "returns", None), getattr(parent, "annotation", None))
    return child in (*decorators, *annotations)


def _of_node(source: Source, node: ast.AST) -> Iterator[Mutant]:
    if isinstance(node, ast.stmt):
        yield from _of_statement(source, node)
    elif isinstance(node, ast.comprehension):
        for condition in node.ifs:
            yield source.mutant("condition", condition, "True")
            yield source.mutant("condition", condition, "False")
    elif isinstance(node, ast.expr) and isinstance(getattr(node, "ctx", None) or ast.Load(), ast.Load):
        for operator, text in _of_expression(source, node):
            yield source.mutant(operator, node, text)


def _of_statement(source: Source, node: ast.stmt) -> Iterator[Mutant]:
    match node:
        case ast.If() | ast.While():
            yield source.mutant("condition", node.test, "False")
            if isinstance(node, ast.If):
                yield source.mutant("condition", node.test, "True")
        case ast.Raise() | ast.Expr(value=ast.Call()) | ast.Break() | ast.Continue():
            yield source.mutant("statement", node, "pass")
        case ast.AugAssign():
            yield source.mutant("statement", node, "pass")
            if (other := _COMPUTED.get(type(node.op))) is not None:
                swapped = ast.AugAssign(node.target, other(), node.value)
                yield source.mutant("arithmetic", node, ast.unparse(swapped))
        case ast.Assign() if source.function(node) and _assigned_before(source, node):
            yield source.mutant("statement", node, "pass")
        case ast.Return(value=ast.Compare() | ast.BoolOp() | ast.UnaryOp(op=ast.Not()) as value):
            yield source.mutant("return", value, "True")
            yield source.mutant("return", value, "False")
        case ast.Return(value=ast.expr() as value) if not isinstance(value, (ast.Constant, ast.Tuple)):
            yield source.mutant("return", value, "None")


def _assigned_before(source: Source, node: ast.Assign) -> bool:
    """Return whether every name that the statement binds has a value already, so that it can be left out."""
    names = {leaf.id for target in node.targets for leaf in ast.walk(target) if isinstance(leaf, ast.Name)}
    around: ast.AST = node
    while not isinstance(around, ast.FunctionDef):
        around = source.parents[around]
    arguments = around.args
    known = {argument.arg for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
    for leaf in ast.walk(around):
        if isinstance(leaf, ast.Name) and isinstance(leaf.ctx, ast.Store) and leaf.lineno < node.lineno:
            known.add(leaf.id)
    return names <= known


def _of_expression(source: Source, node: ast.expr) -> Iterator[tuple[str, str]]:
    match node:
        case ast.Constant():
            yield from _of_constant(source, node)
        case ast.Compare() | ast.BoolOp() | ast.UnaryOp() | ast.IfExp():
            yield from _of_logic(node)
        case ast.BinOp():
            if (other := _COMPUTED.get(type(node.op))) is not None:
                yield "arithmetic", ast.unparse(ast.BinOp(node.left, other(), node.right))
        case ast.Attribute(value=ast.Name(id=name)) if name in _ENUMS:
            yield "member", f"next(m for m in (*{name}, *{name}) if m is not {ast.unparse(node)})"
        case ast.Call():
            yield from _of_call(node)
        case ast.Tuple() | ast.List() | ast.Set() | ast.Dict():
            yield from _of_display(source, node)


def _of_logic(node: ast.Compare | ast.BoolOp | ast.UnaryOp | ast.IfExp) -> Iterator[tuple[str, str]]:
    match node:
        case ast.Compare():
            for index, operator in enumerate(node.ops):
                for other in _COMPARED[type(operator)]:
                    ops = [*node.ops[:index], other(), *node.ops[index + 1 :]]
                    yield "comparison", ast.unparse(ast.Compare(node.left, ops, node.comparators))
        case ast.BoolOp():
            swapped = ast.Or() if isinstance(node.op, ast.And) else ast.And()
            yield "boolean", ast.unparse(ast.BoolOp(swapped, node.values))
            for kept in _without_one(node.values):
                yield "operand", ast.unparse(ast.BoolOp(node.op, kept) if len(kept) > 1 else kept[0])
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            yield "negation", ast.unparse(node.operand)
        case ast.IfExp():
            yield "condition", ast.unparse(node.body)
            yield "condition", ast.unparse(node.orelse)


def _of_display(source: Source, node: ast.Tuple | ast.List | ast.Set | ast.Dict) -> Iterator[tuple[str, str]]:
    """Leave out one element: of tables and of lists that are put together; a pair has its meaning by its length."""
    if isinstance(node, ast.Dict):
        for pairs in _without_one([*zip(node.keys, node.values, strict=True)]):
            yield "element", ast.unparse(ast.Dict([key for key, _ in pairs], [value for _, value in pairs]))
        return
    together = any(isinstance(element, ast.Starred) for element in node.elts)
    if together or isinstance(node, ast.Set) or not source.function(node):
        for elements in _without_one(node.elts):
            yield "element", _listed(node, elements)


def _listed(node: ast.Tuple | ast.List | ast.Set, elements: list[ast.expr]) -> str:
    if not elements:
        return "[]" if isinstance(node, ast.List) else "()"
    if isinstance(node, ast.Set):
        return ast.unparse(ast.Set(elements))
    return ast.unparse(type(node)(elts=elements, ctx=ast.Load()))


def _of_call(node: ast.Call) -> Iterator[tuple[str, str]]:
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    if name in _SWAPPED:
        yield "call", ast.unparse(ast.Call(ast.Name(_SWAPPED[name]), node.args, node.keywords))
    if name in {"abs", "round", "sorted"}:
        yield "call", ast.unparse(node.args[0])
    if name == "replace" or name[:1].isupper():
        for keywords in _without_one(node.keywords):
            yield "argument", ast.unparse(ast.Call(node.func, node.args, keywords))


def _of_constant(source: Source, node: ast.Constant) -> Iterator[tuple[str, str]]:
    value = node.value
    if isinstance(value, bool):
        yield "constant", str(not value)
    elif isinstance(value, int):
        yield "constant", str(value + 1)
        yield "constant", str(value - 1)
    elif isinstance(value, float):
        if value == 0.0:
            yield "constant", "1.0"
        elif abs(value) < _ROUNDING:
            yield "constant", "0.0"
        else:
            yield "constant", repr(value * 1.1)
            yield "constant", repr(value * 0.9)
    elif isinstance(value, str) and _CODE.match(value) and not isinstance(source.parents[node], ast.FormattedValue):
        yield "code", repr(value + "_")


def _without_one(items: list[T]) -> Iterator[list[T]]:
    for index in range(len(items)):
        yield [*items[:index], *items[index + 1 :]]
