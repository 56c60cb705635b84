"""What guard tests about itself: program sequence, limits in memory, clock, rate of the loop. Pure values.

Named after the kinds of test in IEC 60730-1 Annex H, and claiming no class of it: kernel, processor and memory are
not tested here, and a fault that changes this program may change these tests. The dead-man circuit is what stands
behind them.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from safety.state import Settings

_WORD: Final = (1 << 64) - 1
#: An odd constant (the golden ratio in 64 bits): multiplying by it is reversible and carries low bits upwards.
_SPREAD: Final = 0x9E37_79B9_7F4A_7C15
_TURN: Final = 13


@dataclass(frozen=True, slots=True)
class Sequence:
    """The stages of one tick in order. A tick is sound when its signature passed each exactly once, in that order.

    The signature is a plain int that the loop carries: ``begin()``, ``passed(signature, stage)`` after the work of
    each stage, ``sound(signature)`` before the heartbeat. Each stage xors its token in and turns and spreads the
    result, so that order counts; ``expected`` is computed once. Annex H calls this logical monitoring of the program
    sequence. It shows that the work was gone through, not that it was right.

    Raises ValueError for no stages or one named twice; ``passed`` raises KeyError for a stage that is not declared.
    """

    stages: tuple[str, ...]
    expected: int = field(init=False)
    _tokens: Mapping[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.stages or len(set(self.stages)) != len(self.stages):
            raise ValueError(f"stages must be there and distinct: {self.stages}")
        # Not hash(): its values differ from one process to the next, and the constant must not.
        tokens = {name: zlib.crc32(name.encode()) << 32 | zlib.adler32(name.encode()) for name in self.stages}
        object.__setattr__(self, "_tokens", tokens)
        signature = self.begin()
        for stage in self.stages:
            signature = self.passed(signature, stage)
        object.__setattr__(self, "expected", signature)

    def begin(self) -> int:
        """Return the signature of a tick that has done nothing yet."""
        return _SPREAD

    def passed(self, signature: int, stage: str) -> int:
        """Return the signature after ``stage``."""
        mixed = (signature ^ self._tokens[stage]) * _SPREAD & _WORD
        return (mixed << _TURN | mixed >> (64 - _TURN)) & _WORD

    def sound(self, signature: int) -> bool:
        """Whether every stage was passed once and in order."""
        return signature == self.expected


# -- the limits, stored twice ----------------------------------------------------------------------------------

_INVERSE: Final = bytes(255 - value for value in range(256))
#: Types, as annotated, that become eight bytes each.
_NUMBERS: Final = frozenset({"float", "int", "bool"})


@dataclass(frozen=True, slots=True)
class LimitsBlock:
    """Every value of the settings as bytes, the same with every bit inverted, and a CRC-32 of the first."""

    plain: bytes
    inverted: bytes
    crc: int


def seal(settings: Settings) -> LimitsBlock:
    """Return the block of ``settings``, to be taken once at start."""
    plain = canonical(settings)
    return LimitsBlock(plain, plain.translate(_INVERSE), zlib.crc32(plain))


def intact(block: LimitsBlock, settings: Settings) -> bool:
    """Whether both copies agree with each other, with the CRC, and with the settings that the rules use now."""
    return (
        zlib.crc32(block.plain) == block.crc
        and block.inverted.translate(_INVERSE) == block.plain
        and canonical(settings) == block.plain
    )


def canonical(settings: Settings) -> bytes:
    """Return every value of ``settings`` in a fixed order: numbers as IEEE 754 doubles, anything else as its repr.

    The order is that of the fields; mappings are sorted by key. Integers beyond 2**53 would not be told apart; no limit
    is that large.
    """
    return b"".join(_chunks(settings))


def _chunks(value: object) -> Iterator[bytes]:
    if is_dataclass(value) and not isinstance(value, type):
        layout, take, others = _plan(type(value))
        yield layout.pack(*take(value))
        for name in others:
            yield from _chunks(getattr(value, name))
    elif isinstance(value, Mapping):
        for key in sorted(value):
            yield repr(key).encode()
            yield from _chunks(value[key])
    elif isinstance(value, tuple):
        yield b"%d;" % len(value)
        for item in value:
            yield from _chunks(item)
    else:
        yield repr(value).encode() + b";"


@cache
def _plan(kind: type) -> tuple[struct.Struct, Callable[[object], tuple[float, ...]], tuple[str, ...]]:
    """Return how a dataclass becomes bytes: its numbers in one go, because this runs in every tick, and the rest."""
    names = [entry.name for entry in fields(kind)]
    types = {entry.name: entry.type if isinstance(entry.type, str) else entry.type.__name__ for entry in fields(kind)}
    numbers = [name for name in names if types[name] in _NUMBERS]
    others = tuple(name for name in names if name not in numbers)
    return struct.Struct(f"!{len(numbers)}d"), _getter(numbers), others


def _getter(names: list[str]) -> Callable[[object], tuple[float, ...]]:
    if not names:
        return lambda _: ()
    if len(names) == 1:  # attrgetter of one name returns the value itself, not a tuple
        return lambda value: (getattr(value, names[0]),)
    return attrgetter(*names)


# -- the clock -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pace:
    """Compares the clock that every rule lives by (CLOCK_MONOTONIC) with a second one, over windows of a minute.

    What the second clock can show on a Raspberry Pi:

    - CLOCK_MONOTONIC_RAW is always there and counts the *same* oscillator: it shows only that the kernel's correction
      of the clock (NTP slewing, a wild adjtimex) went astray, never a wrong oscillator;
    - a real-time clock (on board of a Pi 5, a module on I2C before) has a crystal of its own: it shows both. It tells
      whole seconds, an error of up to 1.7 % in a minute, so the 5 % cannot be much narrower. Somebody may set it;
      that spoils one window, and two in a row are needed;
    - the cloud's or NTP's time is no reference: guard has no network.

    A reference that is missing is not judged, and neither clears nor adds anything. A board without a real-time clock
    has no independent test of its clock; the loop rate and the dead-man circuit, which has its own time constant,
    remain. Figures (1 min, 5 %, twice): reliability-security 1.2.

    ``strikes``: windows outside in a row. ``fault`` stays until a window is inside.
    """

    window_s: float = 60.0
    share: float = 0.05
    strikes: int = 0
    clock_s: float | None = None  # where the present window began, on both clocks
    reference_s: float = 0.0

    @property
    def fault(self) -> bool:
        """Whether the clocks disagreed twice in a row."""
        return self.strikes >= 2  # noqa: PLR2004 - twice


def paced(pace: Pace, clock_s: float, reference_s: float | None) -> Pace:
    """Return ``pace`` after a pair of readings taken at one moment, seconds; call it about once a second.

    ``reference_s`` is None (or not finite) when the reference cannot be read: the window then begins anew.
    """
    if reference_s is None or not abs(reference_s) < float("inf"):
        return _from(pace, None, 0.0, pace.strikes)
    if pace.clock_s is None:
        return _from(pace, clock_s, reference_s, pace.strikes)
    clock_ran, reference_ran = clock_s - pace.clock_s, reference_s - pace.reference_s
    # Either of them may be the one that stands still.
    if max(clock_ran, reference_ran) < pace.window_s:
        return pace
    outside = reference_ran <= 0 or abs(clock_ran / reference_ran - 1) > pace.share
    return _from(pace, clock_s, reference_s, pace.strikes + 1 if outside else 0)


def _from(pace: Pace, clock_s: float | None, reference_s: float, strikes: int) -> Pace:
    return Pace(pace.window_s, pace.share, strikes, clock_s, reference_s)


# -- the rate of the loop --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rate:
    """Ticks per second of a reference clock over the last ``window_s`` or so, against ``1 / period_s``.

    Outside [0.8, 1.2] times nominal the loop is unsound: too slow, and cuts come late; too fast, and it no longer waits
    for its clock (reliability-security 1.2; Annex H 2, interrupts "none or too often"). Counted over a fixed number of
    ticks, so that one late tick is averaged: a stall of up to a quarter of the window is borne. Too slow is seen before
    the window is full, too fast only then.

    The reference should not be the clock that the loop sleeps on: CLOCK_MONOTONIC_RAW.
    """

    period_s: float = 0.05
    window_s: float = 2.0
    low: float = 0.8
    high: float = 1.2
    times_s: tuple[float, ...] = ()

    @property
    def intervals(self) -> int:
        """How many ticks make a window, at least one."""
        return max(1, round(self.window_s / self.period_s))

    @property
    def sound(self) -> bool:
        """Whether the ticks so far keep the rate."""
        if len(self.times_s) < 2:  # noqa: PLR2004 - no interval yet
            return True
        ran_s = self.times_s[-1] - self.times_s[0]
        nominal_s = self.intervals * self.period_s
        if ran_s < 0 or ran_s * self.low > nominal_s:
            return False
        return len(self.times_s) <= self.intervals or ran_s * self.high >= nominal_s


def ticked(rate: Rate, reference_s: float) -> Rate:
    """Return ``rate`` after a tick at ``reference_s``, seconds."""
    surplus = max(0, len(rate.times_s) - rate.intervals)
    times_s = (*islice(rate.times_s, surplus, None), reference_s)
    return Rate(rate.period_s, rate.window_s, rate.low, rate.high, times_s)
