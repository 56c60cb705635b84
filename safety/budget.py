"""The promise in numbers: the longest time from a hazard at a socket to its open relay. Pure arithmetic, in seconds.

Three ways lead to an open relay, and the slowest of them counts:

- ``seen``: the wire works, ``dead`` other meters of the bus do not. The hazard comes just after its meter was sampled;
  every other meter has its turn (a hazard there too, so that it is read twice), then this one is read, and read again.
- ``silence``: whatever the wire does. The last good reading is used until its age limit; one reading over the fast
  stage may still come at that very moment, and nothing after it. No port stays closed for longer, because a closed
  port without young readings is opened. That also caps the waiting in ``seen``.
- ``contact``: smoke, fire, emergency stop, RCD, water.

Hazards that are borne for a time on purpose (a small overload, heat, voltage, a weld) are ``dwelling``: shown, but no
part of the promise.

The arithmetic of the wire stands here once: ``drivers.bus`` keeps its time-outs by it, ``config.budget`` computes
with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from safety.limits import PortLimits

#: Above this rate t3.5 is a fixed time (Modbus over serial line 1.02, 2.5.1.1).
FIXED_SILENCE_ABOVE_BAUD: Final = 19_200
FIXED_SILENCE_S: Final = 0.001_75
#: How late bytes may reach the process: the latency timer of a USB adapter (16 ms) and a busy machine (26 ms measured
#: under full load without real-time priority). Also the pause that ends a frame early.
LATENESS_S: Final = 0.04
#: Quiet time after a failed read, seconds: measured to end every chain of late replies (meters of 50 ms turnaround).
MIN_QUIET_S: Final = 0.2
#: How late the process wakes from the two waits of a read that no byte ends, seconds; measured below 1 ms when idle.
WAKE_LATE_S: Final = 0.01
#: A request to read registers; unit, function, byte count and CRC around the data of its reply.
REQUEST_BYTES: Final = 8
OVERHEAD_BYTES: Final = 5
#: Guard judges this often, and so much later at most (its 99.9th percentile under full load is promised below 5 ms).
TICK_S: Final = 0.05
TICK_LATE_S: Final = 0.01
#: One conversion of a DS18B20 with 12 bits (data sheet 0.75 s), with its transfer.
CONVERSION_S: Final = 0.8
#: A conversion that all probes of a 1-wire bus share is waited for so long, and given up, seconds.
BULK_LIMIT_S: Final = 1.0
#: One thermistor behind a converter: its samples (20 ms) and what a busy machine makes of them, seconds.
ADC_READ_S: Final = 0.1
#: Data bytes of a temperature module's reply: eight inputs.
MODULE_BYTES: Final = 16
#: So many other meters of a bus are polled between two polls that carry an energy register along, or all of them.
ENERGY_APART: Final = 3
#: Multiples of the limit for which the inverse time of the slow stage is shown.
SHOWN_MULTIPLES: Final = (1.1, 1.2, 1.4)


@dataclass(frozen=True, slots=True)
class LineTiming:
    """Times of one serial line: of one character, of t3.5, until a reply begins, and quiet after a failed read.

    ``size`` in the methods is the number of data bytes in a reply.
    """

    character_s: float
    silence_s: float
    turnaround_s: float
    quiet_s: float

    def reply_s(self, size: int) -> float:
        """Return how long a reply is on the wire."""
        return (OVERHEAD_BYTES + size) * self.character_s

    def transaction_s(self, size: int) -> float:
        """Return the longest time of one good read: two silences, request, turnaround, reply, lateness."""
        return (
            2 * self.silence_s + REQUEST_BYTES * self.character_s + self.turnaround_s + self.reply_s(size) + LATENESS_S
        )

    def dead_s(self, size: int) -> float:
        """Return the longest time of one read that nobody answers: its time-out and one quiet time, each to its end."""
        return self.transaction_s(size) + self.quiet_s + WAKE_LATE_S

    def quiet_limit_s(self, size: int) -> float:
        """Return how long draining may last: a quiet time broken once by a whole late reply. Then the line babbles."""
        return 2 * self.quiet_s + self.reply_s(size)

    def failure_s(self, size: int) -> float:
        """Return the longest time of one failing read on a line that may babble: two exchanges, two drainings.

        Either a suspect reply is thrown away and then the read fails, or it fails now and the reply is thrown away in
        the next read of that unit. About three times what a silent meter costs (``dead_s``).
        """
        return 2 * (self.transaction_s(size) + self.quiet_limit_s(size))


def line_timing(baud: int, parity: str, stopbits: int, turnaround_s: float) -> LineTiming:
    """Return the times of a line; ``parity`` is N, E or O, ``baud`` bits per second."""
    character_s = (1 + 8 + (parity != "N") + stopbits) / baud
    silence_s = 3.5 * character_s if baud <= FIXED_SILENCE_ABOVE_BAUD else FIXED_SILENCE_S
    return LineTiming(character_s, silence_s, turnaround_s, max(MIN_QUIET_S, turnaround_s))


@dataclass(frozen=True, slots=True)
class MeterTiming:
    """One meter on its line.

    ``fast`` and ``slow``: data bytes of each block that is read every time, and of each that rides along now and then;
    there is at least one fast block. ``refresh_s``: how old its registers may be. ``again``: a reading over the fast
    stage makes guard read it a second time at once; not so the inlet meter.
    """

    line: LineTiming
    fast: tuple[int, ...]
    slow: tuple[int, ...] = ()
    refresh_s: float = 1.0
    again: bool = True

    @property
    def sample_s(self) -> float:
        """The read that stamps a reading with its time."""
        return self.line.transaction_s(self.fast[0])

    @property
    def fast_s(self) -> float:
        """A poll without the slow blocks."""
        return sum(self.line.transaction_s(size) for size in self.fast)

    @property
    def full_s(self) -> float:
        """A poll with the slow blocks."""
        return self.fast_s + self.slow_s

    @property
    def slow_s(self) -> float:
        """What the slow blocks add to a poll."""
        return sum(self.line.transaction_s(size) for size in self.slow)

    @property
    def dead_s(self) -> float:
        """The most that a dead meter takes from the others in one round.

        It is tried once in a round at most. Silent, it costs one read that nobody answers; when it comes back, its
        first reply is thrown away after the same time, and a whole poll follows.
        """
        return self.line.dead_s(max(self.fast)) + self.full_s


def rides(others: int) -> int:
    """Return how many of so many polls in a row may carry an energy register along (``ENERGY_APART``)."""
    return ceil(others / (min(ENERGY_APART, others) + 1))


def others_s(others: Sequence[MeterTiming], dead: int, *, again: bool) -> float:
    """Return how long the others of a bus take when each has one turn and the ``dead`` worst of them are dead.

    Some of the living carry an energy register along. ``again``: each of them shows a hazard too and is read a second
    time at once; otherwise one of them does.
    """
    second_s = [meter.fast_s if meter.again else 0.0 for meter in others]
    living_s = [meter.fast_s + (more if again else 0.0) for meter, more in zip(others, second_s, strict=True)]
    more_s = sorted((meter.dead_s - good_s for meter, good_s in zip(others, living_s, strict=True)), reverse=True)
    slow_s = sorted((meter.slow_s for meter in others), reverse=True)
    one_s = 0.0 if again else max(second_s, default=0.0)
    return sum(living_s) + sum(max(0.0, more) for more in more_s[:dead]) + sum(slow_s[: rides(len(others))]) + one_s


def oldest_s(own: MeterTiming, others: Sequence[MeterTiming], dead: int) -> float:
    """Return how old the reading of a meter gets before the next one takes its place, on a wire that works.

    From the end of its first read: the rest of its poll, everybody's turn, and its next poll to the end. At most one
    other port shows a hazard; when all of them do at once, a port may be cut by its age limit, which is the safe side.
    """
    return own.full_s - own.sample_s + others_s(others, dead, again=False) + own.full_s


@dataclass(frozen=True, slots=True)
class Term:
    """A part of a path; ``name`` is a key of ``config.budget_words.TERMS``."""

    name: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Path:
    """One way from a hazard to an open relay."""

    name: str
    terms: tuple[Term, ...]

    @property
    def total_s(self) -> float:
        """Its time."""
        return sum(term.seconds for term in self.terms)

    @property
    def dominating(self) -> Term:
        """Its longest part."""
        return max(self.terms, key=lambda term: term.seconds)


def _end(release_s: float) -> tuple[Term, Term]:
    return Term("tick", TICK_S + TICK_LATE_S), Term("release", release_s)


def seen(own: MeterTiming, others: Sequence[MeterTiming], dead: int, limits: PortLimits, release_s: float) -> Path:
    """Return the path of a hazard that two readings show on a wire that works, hazards on all other ports included."""
    # A port that waits longer than this is cut by its age limit: see ``silence``.
    cap_s = max(0.0, limits.meter_max_age_s - (2 * own.full_s - own.sample_s))
    return Path(
        "seen",
        (
            Term("refresh", own.refresh_s),
            Term("missed", own.full_s),
            Term("wait", min(others_s(others, dead, again=True), cap_s)),
            Term("first", own.full_s),
            Term("confirm", min(own.fast_s, limits.fast_confirm_s)),
            *_end(release_s),
        ),
    )


def silence(own: MeterTiming, limits: PortLimits, release_s: float) -> Path:
    """Return the path of a hazard whose meter falls silent at the worst moment: the bound whatever the wire does."""
    return Path(
        "silence",
        (
            Term("refresh", own.refresh_s),
            Term("sample", own.sample_s),
            Term("age", limits.meter_max_age_s),
            Term("unconfirmed", limits.fast_confirm_s),
            *_end(release_s),
        ),
    )


def contact(debounce_s: float, release_s: float, name: str = "contact") -> Path:
    """Return the path of a contact: one tick sees its alarm, and the first tick after its debounce time judges."""
    return Path(name, (Term("look", TICK_S + TICK_LATE_S), Term("debounce", debounce_s), *_end(release_s)))


def dwelling(
    own: MeterTiming, others: Sequence[MeterTiming], dead: int, limits: PortLimits, release_s: float
) -> tuple[Path, ...]:
    """Return the paths of meter hazards that are borne for a time: small overloads, voltage, a welded relay."""
    found = seen(own, others, dead, limits, release_s)
    before, end = found.terms[:4], found.terms[-2:]
    paths = [
        Path(
            f"over_current_{multiple}",
            (
                *before,
                Term("dwell", limits.over_current_slow_s * (limits.over_current_slow_ratio - 1.0) / (multiple - 1.0)),
                *end,
            ),
        )
        for multiple in SHOWN_MULTIPLES
        if limits.over_current_slow_ratio <= multiple < limits.over_current_fast_ratio
    ]
    paths.append(Path("voltage", (*before, Term("dwell", limits.voltage_s), *end)))
    return tuple(paths)


def weld(own: MeterTiming, others: Sequence[MeterTiming], dead: int, limits: PortLimits, release_s: float) -> Path:
    """Return the time from the order to open a welded relay until the master contactor has dropped."""
    round_s = own.full_s + others_s(others, dead, again=False)
    return Path(
        "weld",
        (
            Term("settle", limits.opened_after_s),
            Term("refresh", own.refresh_s),
            Term("samples", limits.weld_samples * round_s + own.full_s),
            *_end(release_s),
        ),
    )


def onewire_s(probes: int, interval_s: float) -> float:
    """Return the longest time until a temperature at one of so many 1-wire probes has been read.

    One by one, because nobody can promise that conversions are shared; and one shared conversion may fail before.
    """
    failed_s = BULK_LIMIT_S if probes > 1 else 0.0
    return failed_s + (probes + 1) * CONVERSION_S + interval_s


def adc_s(probes: int, interval_s: float) -> float:
    """Return the longest time until a temperature at one of so many thermistors of one converter has been read."""
    return (probes + 1) * ADC_READ_S + interval_s


def module_s(own: MeterTiming, others: Sequence[MeterTiming], dead: int, interval_s: float) -> float:
    """Return the longest time until a temperature at a module among ``others`` on its bus has been read.

    Its registers' age, the poll that just missed it, its interval, everybody's turn, and its own poll.
    """
    return own.refresh_s + 2 * own.full_s + interval_s + others_s(others, dead, again=True)


def heat(seen_s: float, trip_s: float, max_age_s: float, release_s: float) -> Path:
    """Return the time from the trip temperature at a probe until its relay is open; ``seen_s``: until it is read."""
    return Path("heat", (Term("probes", min(seen_s, max_age_s)), Term("dwell", trip_s), *_end(release_s)))
