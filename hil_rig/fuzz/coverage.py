"""Which lines of our own code an input has reached, and from which other lines: what tells a new input from an old one.

``sys.settrace``, on our packages and the standard library's TOML parser only: what is not ours is not traced and costs
nothing. Slow beside an instrumented interpreter, but the inputs here end in C decoders after a few dozen of our lines.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType

#: Lines of a file are numbered below this.
_LINES: Final = 1 << 20
#: ``safety`` is not among them: no byte from outside gets there, and a tick would cost more than all the rest.
_OWN: Final = ("pilenode", "config")


class Coverage:
    """Lines and steps from line to line seen so far. A context manager traces; ``news`` says what was new since."""

    def __init__(self) -> None:
        import config  # noqa: PLC0415 - to know where the packages under test are

        home = Path(config.__file__).parent.parent
        self._folders = (*(str(home / name) + "/" for name in _OWN), str(Path(tomllib.__file__).parent) + "/")
        self._bases: dict[CodeType, int | None] = {}
        self._files: dict[str, int] = {}
        self._steps: set[tuple[int, int]] = set()
        self._lines: set[int] = set()
        self._last = 0
        self._before = 0

    @property
    def lines(self) -> int:
        """How many lines have been reached."""
        return len(self._lines)

    @property
    def steps(self) -> int:
        """How many steps from one line to another have been seen: branches taken."""
        return len(self._steps)

    def __enter__(self) -> Self:
        self._last, self._before = 0, len(self._steps)
        sys.settrace(self._call)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    @property
    def news(self) -> bool:
        """Whether the last tracing has seen a step that none before has."""
        return len(self._steps) > self._before

    def _base(self, code: CodeType) -> int | None:
        name = code.co_filename
        base = None
        if name.startswith(self._folders):
            base = self._files.setdefault(name, len(self._files) + 1) * _LINES
        self._bases[code] = base
        return base

    def _call(self, frame: FrameType, event: str, arg: object) -> Callable[..., Any] | None:
        del event, arg
        code = frame.f_code
        base = self._bases[code] if code in self._bases else self._base(code)
        return None if base is None else self._tracer(base)

    def _tracer(self, base: int) -> Callable[..., Any]:
        steps, lines = self._steps, self._lines

        def trace(frame: FrameType, event: str, arg: object) -> Callable[..., Any]:
            del arg
            if event == "line":
                at = base + frame.f_lineno
                steps.add((self._last, at))
                lines.add(at)
                self._last = at
            return trace

        return trace
