"""Who is on this line? Every address at every format that meters leave the factory with, by reading only.

The order is that of likelihood: first the factory addresses at every format (seconds: a new meter is found at once),
then all addresses format by format. Everything that answers counts, an exception too; what answers wrongly is a finding
of its own. The search is a generator: whoever stops asking stops it, and ``close`` releases the device.

A late answer does not get lost: it falls into the listening of a later probe, carries its own address and is asked
again. Two meters with one address that answer in exactly the same moment with the same bytes cannot be told from one.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from drivers import dlt645
from drivers.frames import EXCEPTION_BIT, MAX_UNIT, Question
from drivers.heard import Heard, Sound
from drivers.wire import PROBE_TURNAROUND_S, Format, Wire
from safety.budget import LATENESS_S, MIN_QUIET_S, REQUEST_BYTES, line_timing

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence

    from drivers.wire import Lines

#: How a DDSU666 leaves the factory (Chint ZTY0.464.922).
DLT645_FORMAT: Final = Format(2400, "E", 1)
#: How often a unit that answered wrongly is asked again.
_AGAIN: Final = 4


@dataclass(frozen=True, slots=True)
class Probe:
    """A harmless read: function 3 or 4, and where. The count is even: some families refuse half a value."""

    function: int
    start: int
    count: int = 2

    def question(self, unit: int) -> Question:
        """Return the question to ``unit``."""
        return Question(unit, self.function, self.start, self.count)


#: Asked of every address: nearly every meter knows one of the two functions and refuses the other in so many words.
PROBES: Final = (Probe(3, 0), Probe(4, 0))


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be searched.

    ``formats`` in their order, ``units`` from first to last, ``first`` the addresses that are tried at every format
    beforehand with ``first_probes`` as well, ``dlt645`` whether a DL/T 645 meter is called, ``expect`` the number of
    meters after which the search ends (None: never early).
    """

    formats: tuple[Format, ...]
    units: tuple[int, ...] = tuple(range(1, MAX_UNIT + 1))
    first: tuple[int, ...] = (1,)
    first_probes: tuple[Probe, ...] = ()
    dlt645: bool = False
    expect: int | None = None
    turnaround_s: float = PROBE_TURNAROUND_S

    def __post_init__(self) -> None:
        if not (self.formats or self.dlt645) or not all(1 <= unit <= MAX_UNIT for unit in (*self.units, *self.first)):
            raise ValueError(f"a search needs a format, and units from 1 to {MAX_UNIT}")

    def rounds(self) -> Iterator[Round]:
        """Yield the parts of the search in their order."""
        early = tuple(unit for unit in self.first if unit in self.units)
        if self.dlt645:
            yield Round(DLT645_FORMAT, (), ())
        if len(self.formats) > 1 and len(self.units) > len(early):
            both = (*PROBES, *(probe for probe in self.first_probes if probe not in PROBES))
            yield from (Round(one, early, both) for one in self.formats if early)
        yield from (Round(one, self.units, PROBES) for one in self.formats)

    def estimate_s(self) -> float:
        """Return how long the search takes when nobody answers, seconds; every meter is asked a few times more."""
        return sum(one.estimate_s(self.turnaround_s) for one in self.rounds())


@dataclass(frozen=True, slots=True)
class Round:
    """All ``units`` at one format, each with all ``probes``; without units it is the call to a DL/T 645 meter."""

    format: Format
    units: tuple[int, ...]
    probes: tuple[Probe, ...]

    def estimate_s(self, turnaround_s: float) -> float:
        """Return its time on a silent line."""
        wait_s = turnaround_s + LATENESS_S
        if not self.units:
            return MIN_QUIET_S + len(dlt645.who_is_there()) * self.format.character_s + wait_s
        silence_s = line_timing(self.format.baud, self.format.parity, self.format.stopbits, turnaround_s).silence_s
        probe_s = silence_s + REQUEST_BYTES * self.format.character_s + wait_s
        return MIN_QUIET_S + len(self.units) * len(self.probes) * probe_s


class Kind(StrEnum):
    """What a finding is."""

    #: One meter answers as it should, with data or with an exception.
    METER = "meter"
    #: It once answered well and once badly: two devices with this address, or a bad line.
    UNSTEADY = "unsteady"
    #: Two or more good answers to one question: this address is used twice.
    SEVERAL = "several"
    #: Somebody answers, never readably: two with this address, another parity or baud rate, noise.
    GARBAGE = "garbage"
    #: A meter that speaks DL/T 645-2007; ``address`` is its number.
    DLT645 = "dlt645"
    #: Somebody answers DL/T 645 unreadably: several such meters.
    DLT645_GARBAGE = "dlt645_garbage"
    #: The adapter hears what it sends itself.
    ECHO = "echo"
    #: Bytes come without being asked for: another master on the line, or a fault.
    BABBLE = "babble"


@dataclass(frozen=True, slots=True)
class Finding:
    """``unit`` is 0 where no address is meant. ``functions``: which of 3 and 4 brought data, an exception is none."""

    kind: Kind
    format: Format
    unit: int = 0
    functions: tuple[int, ...] = ()
    raw: bytes = b""
    address: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """``done`` of ``total`` addresses of round ``number`` of ``rounds``; ``left_s`` about until the end, seconds."""

    format: Format
    number: int
    rounds: int
    done: int
    total: int
    left_s: float


@dataclass(slots=True)
class _Search:
    plan: Plan
    found: dict[tuple[int, str, int], Finding] = field(default_factory=dict)
    told: set[tuple[Format, Kind]] = field(default_factory=set)

    @property
    def enough(self) -> bool:
        meters = sum(one.kind in {Kind.METER, Kind.DLT645} for one in self.found.values())
        return self.plan.expect is not None and meters >= self.plan.expect

    def new(self, finding: Finding) -> Iterator[Finding]:
        """Yield ``finding`` unless this meter is known; stop bits make no difference to who is heard."""
        key = (finding.format.baud, finding.format.parity, finding.unit)
        if finding.unit and key not in self.found:
            self.found[key] = finding
            yield finding

    def once(self, finding: Finding) -> Iterator[Finding]:
        if (finding.format, finding.kind) not in self.told:
            self.told.add((finding.format, finding.kind))
            yield finding

    def known(self, format_: Format, unit: int) -> bool:
        return (format_.baud, format_.parity, unit) in self.found


def scan(plan: Plan, lines: Lines) -> Generator[Finding | Progress, None, None]:
    """Yield progress and findings. Raises LineLostError when the device cannot be used (or no longer).

    Nothing is ever written. The line of each format is closed before the next one is opened, and at the end.
    """
    search = _Search(plan)
    rounds = [*plan.rounds()]
    left_s = plan.estimate_s()
    for number, one in enumerate(rounds, 1):
        format_ = one.format
        with contextlib.closing(Wire(lines(format_.baud, format_.parity, format_.stopbits), plan.turnaround_s)) as wire:
            total = max(1, len(one.units))
            step_s = one.estimate_s(plan.turnaround_s) / total
            for done, unit in enumerate(one.units or (0,)):
                yield Progress(format_, number, len(rounds), done, total, left_s)
                yield from _meet(search, wire, one, unit) if unit else _call(search, wire)
                left_s -= step_s
                if search.enough:
                    return
            yield Progress(format_, number, len(rounds), total, total, max(0.0, left_s))


def _meet(search: _Search, wire: Wire, one: Round, unit: int) -> Iterator[Finding]:
    """Ask one unit with all probes until one brings an answer, then look closer."""
    if search.known(one.format, unit):
        return
    for probe in one.probes:
        heard = wire.hear(probe.question(unit).frame)
        if heard is None:
            yield from search.once(Finding(Kind.BABBLE, one.format))
            return
        if heard.echo:
            yield from search.once(Finding(Kind.ECHO, one.format))
        if heard.sound is Sound.STRANGER:
            yield from _late(search, wire, one, heard)
        elif heard.sound is not Sound.SILENCE:
            finding = _closer(wire, one, unit, heard, probe)
            if finding.kind in {Kind.UNSTEADY, Kind.SEVERAL}:
                # a late answer to the probe before may have fallen into this one
                again = wire.hear(probe.question(unit).frame)
                finding = finding if again is None else _closer(wire, one, unit, again, probe)
            yield from search.new(finding)
            return


def _late(search: _Search, wire: Wire, one: Round, heard: Heard) -> Iterator[Finding]:
    """Somebody else answered: ask that one, unless it is known."""
    unit = heard.frame[0]
    if not 1 <= unit <= MAX_UNIT or search.known(one.format, unit):
        return
    probe = Probe(4 if heard.frame[1] & ~EXCEPTION_BIT == 4 else 3, 0)  # noqa: PLR2004 - a function
    again = wire.hear(probe.question(unit).frame)
    if again is not None and again.sound not in {Sound.SILENCE, Sound.STRANGER}:
        yield from search.new(_closer(wire, one, unit, again, probe))


def _closer(wire: Wire, one: Round, unit: int, first: Heard, probe: Probe) -> Finding:
    """Ask a unit that was heard again and return what it is."""
    sounds: Counter[Sound] = Counter([first.sound])
    raw = first.raw
    functions = {probe.function} if first.sound is Sound.ANSWER else set()
    others = [other for other in one.probes if other != probe]
    for nth in range(_AGAIN):
        asked = others[nth // 2] if nth % 2 and nth // 2 < len(others) else probe
        heard = wire.hear(asked.question(unit).frame)
        if heard is None or heard.sound is Sound.STRANGER:
            continue
        if heard.sound is Sound.SILENCE and asked is not probe:
            continue  # a function that it does not know may be met with silence
        sounds[heard.sound] += 1
        if heard.sound is Sound.ANSWER:
            functions.add(asked.function)
        if heard.sound in {Sound.GARBAGE, Sound.SEVERAL}:
            raw = heard.raw
    good = sounds[Sound.ANSWER] + sounds[Sound.EXCEPTION]
    if sounds[Sound.SEVERAL]:
        kind = Kind.SEVERAL
    elif good == sounds.total():
        kind = Kind.METER
    else:
        kind = Kind.UNSTEADY if good else Kind.GARBAGE
    return Finding(kind, one.format, unit, tuple(sorted(functions)), raw)


def _call(search: _Search, wire: Wire) -> Iterator[Finding]:
    """Call the DL/T 645 meter."""
    question = dlt645.who_is_there()
    raw = wire.raw(question)
    if raw is None:
        yield from search.once(Finding(Kind.BABBLE, DLT645_FORMAT))
        return
    raw = raw.removeprefix(question)
    address = dlt645.address_in(raw)
    if address is not None:
        finding = Finding(Kind.DLT645, DLT645_FORMAT, raw=raw, address=address)
        search.found[0, address, 0] = finding
        yield finding
    elif raw:
        yield Finding(Kind.DLT645_GARBAGE, DLT645_FORMAT, raw=raw)


def formats_of(factory: Iterable[Format]) -> tuple[Format, ...]:
    """Return the formats in which models leave the factory, the most frequent first, one for each baud and parity.

    Stop bits are left to the first of them: a receiver needs one only, so that a meter with two is heard all the same.
    """
    formats = [*factory]
    count = Counter((one.baud, one.parity) for one in formats)
    chosen: dict[tuple[int, str], Format] = {}
    for one in formats:
        chosen.setdefault((one.baud, one.parity), one)
        if one.stopbits < chosen[one.baud, one.parity].stopbits:
            chosen[one.baud, one.parity] = one
    return tuple(sorted(chosen.values(), key=lambda one: (-count[one.baud, one.parity], -one.baud)))


def meters(findings: Sequence[Finding]) -> int:
    """Return how many of ``findings`` are meters that answer as they should."""
    return sum(one.kind in {Kind.METER, Kind.DLT645} for one in findings)
