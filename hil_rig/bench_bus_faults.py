"""What faulty replies become: over ptys with the real line discipline, and a million damaged frames in process.

A fault may cost a reading, never give a wrong one. After every faulty reply of a unit three more questions are asked:
one of another unit, one of the same unit and another address, one of the same again; none of them may be answered with
somebody else's values either. A reply that comes late costs at most the one question it meets, and the one asked after
it has gone by is answered.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from drivers.bus import SerialLine
from drivers.frames import Question
from hil_rig.fault_line import FAULTS, FaultLines, good_reply, registers, sealed
from hil_rig.figures import Figure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_LINES: Final = 40
_BAUD: Final = 115_200
_TURNAROUND_S: Final = 0.02
_UNITS: Final = 8
#: Pause in which noise comes to an idle line, seconds.
_IDLE_S: Final = 0.01
#: What comes late is heard by somebody before the next fault, seconds: a copy of an old reply that meets a question
#: without any answer is taken for it, and RTU has no way to tell. Two faults at once are not what is counted here.
_AFTER_S: Final = {"duplicate": 0.06, "late reply": 0.46}
#: What comes later may hit one of the next questions, whichever is then on the wire: it costs that one, and no more.
_LATER: Final = frozenset({"late reply", "duplicate"})
#: A CRC error is known so soon after the frame's computed end, ms: a wake-up of a busy machine, far from the time-out.
_CRC_KNOWN_MS: Final = 10.0


class _TimedLine(SerialLine):
    """A line that says when it knew that a reply was bad: when it began to be quiet."""

    known_s = 0.0

    def _drain(self, reply_bytes: int) -> None:
        self.known_s = time.monotonic()
        super()._drain(reply_bytes)


@dataclass(slots=True)
class _Tally:
    """What came of one kind of fault."""

    tried: int = 0
    survived: int = 0
    wrong: int = 0
    unrecovered: int = 0
    known_ms: list[float] = field(default_factory=list)
    crashes: list[str] = field(default_factory=list)


def measure_faults(directory: Path, count: int) -> Iterator[Figure]:
    """Yield wrong values, missing recoveries and, for CRC errors, when they were known; ``count`` of each kind."""
    del directory
    lines = min(_LINES, len(FAULTS) * count)
    tallies = {kind: _Tally() for kind in FAULTS}
    work = [kind for kind in FAULTS for _ in range(count)]
    random.Random(7).shuffle(work)
    lock = threading.Lock()
    with FaultLines(lines, random.Random(11)) as slaves:
        threads = [
            threading.Thread(target=_drive, args=(slaves, number, work, tallies, lock), daemon=True)
            for number in range(lines)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for kind, tally in tallies.items():
        where = f"{kind}: {tally.survived} kept"
        row = Figure("wrong after a fault", where, "", 0.0, 1, [float(tally.wrong)], tally.crashes[:3])
        if tally.tried != count:
            row.failures.append(f"{tally.tried} of {count} tried")
        yield row
        yield Figure("not recovered", kind, "", 0.0, 1, [float(tally.unrecovered)])
    if "bad CRC" in tallies:
        known = tallies["bad CRC"].known_ms
        yield Figure("bad CRC known after", "from the end of the frame", "ms", _CRC_KNOWN_MS, len(known), known)


def _drive(slaves: FaultLines, number: int, work: list[str], tallies: dict[str, _Tally], lock: threading.Lock) -> None:
    line = _TimedLine(slaves.devices[number], _BAUD, "N", 1, _TURNAROUND_S)
    chance = random.Random(number)
    for unit in range(1, _UNITS + 1):
        line.read(Question(unit, 4, 0, 2))
    while True:
        with lock:
            if not work:
                break
            kind = work.pop()
        tally = _Tally(tried=1)
        try:
            _one(slaves, number, line, kind, chance, tally)
        except Exception as error:  # noqa: BLE001 - a crash is a result here
            tally.crashes.append(f"{kind}: {error!r}")
        if line.echoes:  # a learned echo is a property of an adapter: the next fault finds a new one
            line.close()
            line = _TimedLine(slaves.devices[number], _BAUD, "N", 1, _TURNAROUND_S)
            line.read(Question(1, 4, 0, 2))
        with lock:
            _add(tallies[kind], tally)
    line.close()


def _one(slaves: FaultLines, number: int, line: _TimedLine, kind: str, chance: random.Random, tally: _Tally) -> None:
    unit, start, count = chance.randint(1, _UNITS), chance.randint(0, 500), chance.randint(1, 10)
    first = Question(unit, 4, start, count)
    slaves.spoil(number, kind)
    before_s = time.monotonic()
    if _asked(line, first, tally):
        tally.survived += 1
    elif kind == "bad CRC":
        frame_s = (len(first.frame) + first.reply_bytes) * line.timing.character_s + line.timing.silence_s
        tally.known_ms.append((line.known_s - before_s - frame_s) * 1000)
    if kind == "noise while idle":
        time.sleep(_IDLE_S)
    # An echo that was seen once is expected from now on, and these slaves echo nothing more.
    others = () if line.echoes else (unit % _UNITS + 1, unit, unit)
    recovered = [_asked(line, Question(other, 4, start + chance.randint(1, 90), count), tally) for other in others]
    time.sleep(_AFTER_S.get(kind, 0.0))
    if kind in _LATER:
        after = _asked(line, Question(unit, 4, start + chance.randint(1, 90), count), tally)
        tally.unrecovered += recovered.count(False) > 1 or not after
    else:
        tally.unrecovered += not all(recovered)


def _asked(line: SerialLine, question: Question, tally: _Tally) -> bool:
    """Ask and check; return whether there was a value."""
    outcome = line.read(question)
    if not isinstance(outcome, bytes):
        return False
    tally.wrong += outcome != registers(question.unit, question.start, question.count)
    return True


def _add(total: _Tally, one: _Tally) -> None:
    total.tried += one.tried
    total.survived += one.survived
    total.wrong += one.wrong
    total.unrecovered += one.unrecovered
    total.known_ms += one.known_ms
    total.crashes += one.crashes


# -- in process ---------------------------------------------------------------------------------------------


def _flips(good: bytes, question: Question, chance: random.Random) -> bytes:
    """Flip one to three bits anywhere: CRC-16 finds every one of them."""
    del question
    frame = bytearray(good)
    for bit in chance.sample(range(8 * len(good)), chance.randint(1, 3)):
        frame[bit // 8] ^= 1 << bit % 8
    return bytes(frame)


def _burst(good: bytes, question: Question, chance: random.Random) -> bytes:
    """Damage up to 16 bits in a row: CRC-16 finds every such burst."""
    del question
    number = int.from_bytes(good, "little")
    pattern = chance.randint(1, 0xFFFF) << chance.randrange(8 * len(good) - 16)
    return (number ^ pattern).to_bytes(len(good), "little")


def _resealed(good: bytes, question: Question, chance: random.Random) -> bytes:
    """Put in another unit, function or byte count, under a good CRC."""
    del question
    body = bytearray(good[:-2])
    body[chance.randrange(3)] ^= chance.randint(1, 255)
    return sealed(bytes(body))


def _longer(good: bytes, question: Question, chance: random.Random) -> bytes:
    """Answer with another number of registers, under a good CRC, or put bytes behind the frame."""
    if chance.choice((True, False)):
        return good + chance.randbytes(chance.randint(1, 20))
    count = chance.choice([n for n in range(1, 30) if n != question.count])
    data = registers(question.unit, question.start, count)
    return sealed(bytes([question.unit, question.function, len(data)]) + data)


DAMAGES: Final[dict[str, Callable[[bytes, Question, random.Random], bytes]]] = {
    "up to three bits": _flips,
    "a burst of up to 16 bits": _burst,
    "truncated": lambda good, _, chance: good[: chance.randrange(len(good))],
    "unit, function or byte count with a good CRC": _resealed,
    "longer, or another count": _longer,
    "random bytes": lambda good, _, chance: chance.randbytes(chance.randint(0, len(good) + 4)),
    "echo in front": lambda good, question, _: (question.frame + good)[: len(good)],
    "exception": lambda good, _, chance: sealed(bytes([good[0], good[1] | 0x80, chance.randint(0, 255)])),
    "two replies in one": lambda good, _, chance: good + good[: chance.randint(1, len(good))],
}


def measure_fuzz(directory: Path, count: int) -> Iterator[Figure]:
    """Yield how many of ``count`` damaged frames were taken for a value that is not theirs."""
    del directory
    chance = random.Random(3)
    wrong: Counter[str] = Counter()
    tried: Counter[str] = Counter()
    failures: list[str] = []
    for number in range(count):
        kind = [*DAMAGES][number % len(DAMAGES)]
        question = Question(
            chance.randint(1, 247), chance.choice((3, 4)), chance.randint(0, 60_000), chance.randint(1, 25)
        )
        damaged = DAMAGES[kind](good_reply(question.frame), question, chance)
        tried[kind] += 1
        try:
            outcome = question.check(damaged)
        except Exception as error:  # noqa: BLE001 - a crash is a result here
            failures.append(f"{kind}: {error!r}: {damaged.hex()}")
            continue
        wrong[kind] += isinstance(outcome, bytes)
    for kind in DAMAGES:
        row = Figure("fuzzed frames taken", f"{kind}: {tried[kind]}", "", 0.0, 1, [float(wrong[kind])])
        row.failures = [one for one in failures if one.startswith(kind)][:3]
        yield row
