"""The loop: change an input, hand it in, keep what reached something new, see that every promise holds."""

from __future__ import annotations

import contextlib
import hashlib
import resource
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final

from hil_rig.fuzz.coverage import Coverage
from hil_rig.fuzz.doors import BrokenPromiseError, LogWatch

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil_rig.fuzz.doors import Door
    from hil_rig.fuzz.targets import Target

#: A good request must be answered after so many inputs.
WELL_EVERY: Final = 1000
#: A door is built anew after so many: what it keeps is part of the test, but a finding must be told from its past.
_DOOR_LIFE: Final = 2000
_MOST_KEPT: Final = 3000
_PROGRESS_S: Final = 15.0
#: A new input of the corpus is changed again so often before old ones have their turn.
_FRESH: Final = 0.3
_NEWEST: Final = 20
_SHRINK_TRIES: Final = 200
_SLOWEST: Final = 3
_MOST_FINDINGS: Final = 20
#: A time over the bound counts when the shortest of so many repetitions is over it: others use this machine, too.
_AGAIN: Final = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """What an input did that it never may. ``data`` is the shortest input found that does it."""

    target: str
    number: int
    what: str
    data: bytes
    trace: str = ""

    @property
    def name(self) -> str:
        """Return the name of its file."""
        return f"{self.target}-{hashlib.sha256(self.data).hexdigest()[:12]}"


@dataclass(slots=True)
class Outcome:
    """What came of fuzzing one target."""

    target: str
    inputs: int = 0
    seconds: float = 0.0
    seed_steps: int = 0
    steps: int = 0
    seed_lines: int = 0
    lines: int = 0
    kept: int = 0
    closings: int = 0
    slowest_ms: float = 0.0
    slowest: bytes = b""
    answers: Counter[str] = field(default_factory=Counter)
    log_lines: Counter[str] = field(default_factory=Counter)
    grown_mb: float = 0.0
    findings: list[Finding] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether every promise was kept."""
        return not self.findings

    def summary(self) -> dict[str, object]:
        """Return the row as plain data."""
        return {
            "target": self.target,
            "inputs": self.inputs,
            "seconds": round(self.seconds, 1),
            "branches_of_seeds": self.seed_steps,
            "branches": self.steps,
            "lines_of_seeds": self.seed_lines,
            "lines": self.lines,
            "corpus": self.kept,
            "closings": self.closings,
            "slowest_ms": round(self.slowest_ms, 2),
            "answers": dict(self.answers.most_common()),
            "log_lines": sum(self.log_lines.values()),
            "memory_grown_mb": round(self.grown_mb, 1),
            "findings": [{"what": one.what, "file": one.name, "number": one.number} for one in self.findings],
        }


class Fuzzer:
    """Fuzzes one target.

    ``crashes`` is where inputs with findings are written, ``corpus`` where kept ones are found and put; None: nowhere.
    ``hasty``: the first finding is enough, as it is.
    """

    def __init__(
        self, target: Target, seed: int, crashes: Path | None = None, corpus: Path | None = None, *, hasty: bool = False
    ) -> None:
        self._hasty = hasty
        self._target = target
        self._random = Random(f"{seed}-{target.name}")
        self._crashes = crashes
        self._coverage = Coverage()
        self._folder = corpus
        kept = sorted(corpus.iterdir()) if corpus is not None and corpus.is_dir() else []
        self._first = [*target.seeds(), *(file.read_bytes() for file in kept)]
        self._corpus = list(self._first)
        self._known: set[str] = set()
        self._watch = LogWatch()
        self._closings = 0  # of this door
        self._slow: list[tuple[float, bytes]] = []
        self.outcome = Outcome(target.name)

    def run(self, inputs: int, until_s: float, say: Callable[[str], None]) -> Outcome:
        """Hand in ``inputs`` inputs, or as many as can be until ``until_s`` (monotonic)."""
        begun_s = said_s = time.monotonic()
        outcome = self.outcome
        with self._watch:
            door: Door | None = None
            try:
                while outcome.inputs < inputs and time.monotonic() < until_s and not (self._hasty and outcome.findings):
                    if outcome.inputs % _DOOR_LIFE == 0:
                        door = self._anew(door)
                    assert door is not None  # noqa: S101 - the first input has built it
                    if not self._one(door, self._next()):
                        door = self._anew(door)
                    if outcome.inputs % WELL_EVERY == 0 and not self._is_well(door):
                        door = self._anew(door)
                    if time.monotonic() - said_s > _PROGRESS_S:
                        said_s = time.monotonic()
                        say(
                            f"{self._target.name}: {outcome.inputs} of {inputs} inputs, "
                            f"{self._coverage.steps} branches, {len(outcome.findings)} findings"
                        )
                if door is not None:
                    self._is_well(door)
            finally:
                if door is not None:
                    door.close()
            if not (self._hasty and outcome.findings):
                self._time_the_slow()
        outcome.seconds = time.monotonic() - begun_s
        outcome.steps, outcome.lines, outcome.kept = self._coverage.steps, self._coverage.lines, len(self._corpus)
        outcome.log_lines = self._watch.lines
        return outcome

    def _anew(self, door: Door | None) -> Door:
        if door is not None:
            door.close()
        self._closings = 0
        self._watch.forget()
        return self._target.door()

    def _next(self) -> bytes:
        """Return the next input: every seed as it is first, then changes of what has been kept."""
        number, corpus = self.outcome.inputs, self._corpus
        if number < len(self._first):
            return self._first[number]
        if number == len(self._first):
            self.outcome.seed_steps, self.outcome.seed_lines = self._coverage.steps, self._coverage.lines
            self.outcome.grown_mb = -_resident_mb()
        newest = corpus[-_NEWEST:] if self._random.random() < _FRESH else corpus
        return self._target.change(self._random, newest, corpus)

    def _one(self, door: Door, data: bytes) -> bool:
        """Hand in one input and return whether the door can be used on."""
        outcome = self.outcome
        outcome.inputs += 1
        try:
            begun_s = time.perf_counter()
            if outcome.inputs % self._target.traced == 0 or outcome.inputs <= len(self._first):
                with self._coverage:
                    word = door.give(data)
                news = self._coverage.news
            else:
                word, news = door.give(data), False
            taken_s = time.perf_counter() - begun_s
            self._watch.check()
        except Exception as error:  # noqa: BLE001 - every exception is a finding
            self._found(_what(error), data, "".join(traceback.format_exception(error)))
            return False
        outcome.answers[word] += 1
        outcome.closings += door.closings - self._closings
        self._closings = door.closings
        if news and len(self._corpus) < _MOST_KEPT:
            self._corpus.append(data)
            if self._folder is not None:
                self._folder.mkdir(parents=True, exist_ok=True)
                (self._folder / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
        if len(self._slow) < _SLOWEST or taken_s > self._slow[-1][0]:
            self._slow = sorted([*self._slow, (taken_s, data)], reverse=True, key=lambda one: one[0])[:_SLOWEST]
        return True

    def _is_well(self, door: Door) -> bool:
        try:
            door.well()
        except Exception as error:  # noqa: BLE001 - every exception is a finding
            self._found(_what(error), b"", "".join(traceback.format_exception(error)))
            return False
        return True

    def _time_the_slow(self) -> None:
        """Time the slowest again without tracing; one that is over the bound each time is a finding."""
        outcome = self.outcome
        outcome.grown_mb += _resident_mb() if outcome.grown_mb else 0.0
        for _, data in self._slow:
            times_ms = []
            door = self._target.door()
            for _ in range(_AGAIN):
                begun_s = time.perf_counter()
                with contextlib.suppress(Exception):  # told already
                    door.give(data)
                times_ms.append((time.perf_counter() - begun_s) * 1000)
            door.close()
            least_ms = min(times_ms)
            if least_ms > outcome.slowest_ms:
                outcome.slowest_ms, outcome.slowest = least_ms, data
        if outcome.slowest_ms > self._target.bound_ms:
            self._keep(
                Finding(self._target.name, outcome.inputs, f"takes {outcome.slowest_ms:.0f} ms", outcome.slowest)
            )

    # -- findings ----------------------------------------------------------------------------------------------

    def _found(self, what: str, data: bytes, trace: str) -> None:
        if what in self._known or len(self._known) >= _MOST_FINDINGS:
            return
        self._known.add(what)
        self._keep(Finding(self._target.name, self.outcome.inputs, what, self._shrunk(what, data), trace))

    def _keep(self, finding: Finding) -> None:
        self.outcome.findings.append(finding)
        if self._crashes is not None:
            self._crashes.mkdir(parents=True, exist_ok=True)
            (self._crashes / finding.name).write_bytes(finding.data)
            words = f"{finding.what}\ninput {finding.number}\n\n{finding.trace}"
            (self._crashes / f"{finding.name}.txt").write_text(words, encoding="utf-8", errors="replace")

    def _shrunk(self, what: str, data: bytes) -> bytes:
        """Return the shortest part of ``data`` found that does the same to a fresh door; ``data`` when none does."""
        if self._hasty or self._does(data) != what:
            return data  # it took what came before
        tries, size = 0, max(1, len(data) // 2)
        while size and tries < _SHRINK_TRIES:
            at = 0
            while at < len(data) and tries < _SHRINK_TRIES:
                shorter = data[:at] + data[at + size :]
                tries += 1
                if self._does(shorter) == what:
                    data = shorter
                else:
                    at += size
            size //= 2
        return data

    def _does(self, data: bytes) -> str | None:
        return replay(self._target, data)[0]


def replay(target: Target, data: bytes) -> tuple[str | None, str]:
    """Hand ``data`` to a fresh door: what it breaks, None when nothing, and what the door said or the traceback."""
    door = target.door()
    try:
        return None, door.give(data)
    except Exception as error:  # noqa: BLE001 - that is what is asked for
        return _what(error), "".join(traceback.format_exception(error))
    finally:
        door.close()


def _what(error: Exception) -> str:
    """Return a name for a finding that is the same for all inputs that do the same."""
    if isinstance(error, BrokenPromiseError):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    ours = [one for one in frames if "/hil_rig/" not in one.filename] or frames
    place = ours[-1]
    return f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}"


def _resident_mb() -> float:
    """Return the memory that this process has now, in MB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1e6
