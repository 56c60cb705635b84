"""Which model is this? Reads what each known model would be read with, and ranks the models by the answers.

Reading only. What speaks for and against a model is told with it, and where several models remain that share a map the
answer is "cannot tell": a wrong profile shows wrong watts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from drivers.frames import Question
from drivers.heard import Sound
from drivers.power_check import ALLOWED_RATIO, ALLOWED_W
from drivers.registers import decode
from safety.budget import OVERHEAD_BYTES
from safety.reading import MAX_CURRENT_A, MAX_POWER_FACTOR, MAX_POWER_W, MAX_VOLTAGE_V

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drivers.heard import Heard
    from drivers.registers import Block, RegisterMap
    from drivers.wire import Wire

#: A mains voltage that a meter can be fed with, V: PZEM meters work from 80 V.
_MAINS_V: Final = (80.0, MAX_VOLTAGE_V)
_MAINS_HZ: Final = (45.0, 65.0)
#: So many silences in a row, and the unit is taken for absent: nothing else is asked.
_GIVE_UP: Final = 4


class Identity(NamedTuple):
    """A register that says which model this is: ``equals`` in ``registers`` (1 or 2) from ``address``."""

    function: int
    address: int
    registers: int
    equals: int


@dataclass(frozen=True, slots=True)
class Model:
    """What identifying needs to know of a meter profile. ``byte_count_lies``: see ``frames.Question``."""

    name: str
    registers: RegisterMap
    identity: Identity | None = None
    byte_count_lies: bool = False

    def question(self, unit: int, block: Block) -> Question:
        """Return how this model is asked for ``block``."""
        own = self.registers
        return Question(unit, own.function, block.start, block.count, own.bytes_per_register, self.byte_count_lies)

    def identity_question(self, unit: int) -> Question | None:
        """Return how this model is asked who it is."""
        own = self.identity
        return None if own is None else Question(unit, own.function, own.address, own.registers)


class Why(StrEnum):
    """A reason for (+) or against (-) a model; the numbers beside it are ``Reason.numbers``."""

    #: + the identity register shows what it must: expected.
    IDENTITY = "identity"
    #: - it shows something else: seen, expected.
    OTHER_IDENTITY = "other_identity"
    #: - it cannot be read.
    NO_IDENTITY = "no_identity"
    #: + every block is answered with the right length: bytes.
    LENGTH = "length"
    #: - a block is answered with another length: seen, expected (bytes of the whole reply).
    OTHER_LENGTH = "other_length"
    #: - a block is refused: exception code.
    REFUSED = "refused"
    #: - a block is not answered, or unreadably.
    NO_ANSWER = "no_answer"
    #: + the voltage is that of a mains: V.
    VOLTAGE = "voltage"
    #: - no voltage at all: is the relay in front of it open?
    NO_VOLTAGE = "no_voltage"
    #: + the frequency is that of a mains: Hz.
    FREQUENCY = "frequency"
    #: + watts are volts times amperes times power factor: W, W.
    POWER = "power"
    #: - there is no load: power proves nothing.
    NO_LOAD = "no_load"
    #: - a value that cannot be: the value.
    IMPLAUSIBLE_VOLTAGE = "implausible_voltage"
    IMPLAUSIBLE_CURRENT = "implausible_current"
    IMPLAUSIBLE_POWER = "implausible_power"
    IMPLAUSIBLE_FREQUENCY = "implausible_frequency"
    IMPLAUSIBLE_FACTOR = "implausible_factor"
    #: - watts do not fit volts times amperes: W, W.
    OTHER_POWER = "other_power"


_FOR: Final = {Why.IDENTITY: 8, Why.LENGTH: 2, Why.VOLTAGE: 2, Why.FREQUENCY: 2, Why.POWER: 3}
_AGAINST: Final = {Why.NO_IDENTITY: 1, Why.NO_VOLTAGE: 1, Why.NO_LOAD: 0}


class Reason(NamedTuple):
    """A reason with its numbers."""

    why: Why
    numbers: tuple[float, ...] = ()

    @property
    def speaks_for(self) -> bool:
        """Whether it speaks for the model."""
        return self.why in _FOR

    @property
    def rules_out(self) -> bool:
        """Whether the model cannot be this one."""
        return self.why not in _FOR and self.why not in _AGAINST


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model and what speaks for and against it; ``values`` are what it would be showing, by quantity."""

    model: str
    reasons: tuple[Reason, ...]
    values: dict[str, float] = field(default_factory=dict)

    @property
    def ruled_out(self) -> bool:
        """Whether this model cannot be what answers."""
        return any(reason.rules_out for reason in self.reasons)

    @property
    def score(self) -> int:
        """Return the weight of what speaks for it, less what speaks against it; negative when ruled out."""
        if self.ruled_out:
            return -1
        return max(0, sum(_FOR.get(one.why, 0) - _AGAINST.get(one.why, 0) for one in self.reasons))


class Verdict(StrEnum):
    """What the ranking comes to."""

    CERTAIN = "certain"
    CANNOT_TELL = "cannot_tell"
    #: Somebody answers, but no known model does so.
    UNKNOWN_MODEL = "unknown_model"
    SILENT = "silent"
    #: Unreadable or doubled answers: two meters with this address?
    DISTURBED = "disturbed"


@dataclass(frozen=True, slots=True)
class Identification:
    """``candidates`` best first; ``models`` are those that the verdict leaves (one when certain)."""

    verdict: Verdict
    candidates: tuple[Candidate, ...] = ()
    models: tuple[str, ...] = ()


def identify(wire: Wire, unit: int, models: Sequence[Model]) -> Identification:
    """Ask ``unit`` what every model would be asked, each question once, and rank. Raises LineLostError."""
    heard: dict[bytes, Heard] = {}
    silent = 0
    for question in _questions(unit, models):
        came = wire.hear(question.frame)
        if came is None or came.sound in {Sound.GARBAGE, Sound.SEVERAL, Sound.STRANGER}:
            came = wire.hear(question.frame)
        if came is None or came.sound in {Sound.GARBAGE, Sound.SEVERAL}:
            return Identification(Verdict.DISTURBED)
        heard[question.frame] = came
        silent += came.sound is Sound.SILENCE
        if silent == len(heard) == _GIVE_UP:
            break
    return rank(unit, models, heard)


def _questions(unit: int, models: Sequence[Model]) -> list[Question]:
    """Return each question once; two models may ask the same bytes."""
    asked: dict[bytes, Question] = {}
    for model in models:
        for block in model.registers.blocks:
            question = model.question(unit, block)
            asked.setdefault(question.frame, question)
        identity = model.identity_question(unit)
        if identity is not None:
            asked.setdefault(identity.frame, identity)
    return [*asked.values()]


def rank(unit: int, models: Sequence[Model], heard: dict[bytes, Heard]) -> Identification:
    """Return the verdict on what was heard, by request frame. A question without an entry counts as not answered."""
    if not any(one.present for one in heard.values()):
        return Identification(Verdict.SILENT)
    judged = [_candidate(unit, model, heard) for model in models]
    candidates = tuple(sorted(judged, key=lambda one: (-one.score, one.model)))
    possible = [one for one in candidates if not one.ruled_out]
    if not possible:
        return Identification(Verdict.UNKNOWN_MODEL, candidates)
    # A proof beats everything; without one, a model that is merely not disproved stays possible.
    proved = [one for one in possible if any(reason.why is Why.IDENTITY for reason in one.reasons)]
    left = proved or possible
    certain = len(left) == 1 and (bool(proved) or any(reason.why is Why.VOLTAGE for reason in left[0].reasons))
    verdict = Verdict.CERTAIN if certain else Verdict.CANNOT_TELL
    return Identification(verdict, candidates, tuple(one.model for one in left))


def _candidate(unit: int, model: Model, heard: dict[bytes, Heard]) -> Candidate:
    reasons: list[Reason] = [*_identity(unit, model, heard)]
    values: dict[str, float] = {}
    size = 0
    for block in model.registers.blocks:
        question = model.question(unit, block)
        came = heard.get(question.frame)
        wrong = _length(question, came)
        if wrong is not None:
            reasons.append(wrong)
        elif came is not None:
            size += len(came.frame)
            values |= decode(block, came.frame[3:-2], model.registers.bytes_per_register)
    if not any(reason.rules_out for reason in reasons):
        _scale_power(model, values)
        reasons += [Reason(Why.LENGTH, (size,)), *_plausible(values)]
    return Candidate(model.name, tuple(reasons), values)


def _scale_power(model: Model, values: dict[str, float]) -> None:
    """Turn a raw power whose scale sources disagree about into the watts that come nearest to V·I·PF."""
    scales = next(
        field.scales
        for block in model.registers.blocks
        for field in block.fields
        if field.name == "power_w" and field.channel == 1
    )
    if scales:
        expected_w = values["voltage_v"] * values["current_a"] * abs(values["power_factor"])
        values["power_w"] = min((values["power_w"] * scale for scale in scales), key=lambda w: abs(abs(w) - expected_w))


def _identity(unit: int, model: Model, heard: dict[bytes, Heard]) -> list[Reason]:
    question = model.identity_question(unit)
    if question is None or model.identity is None:
        return []
    came = heard.get(question.frame)
    if came is None or came.sound is not Sound.ANSWER or len(came.frame) != question.reply_bytes:
        return [Reason(Why.NO_IDENTITY)]
    seen, expected = int.from_bytes(came.frame[3:-2], "big"), model.identity.equals
    if seen == expected:
        return [Reason(Why.IDENTITY, (expected,))]
    return [Reason(Why.OTHER_IDENTITY, (seen, expected))]


def _length(question: Question, came: Heard | None) -> Reason | None:
    """Return what is wrong with the answer to a question, None when it has the right form."""
    if came is None or not came.present:
        return Reason(Why.NO_ANSWER)
    if came.sound is Sound.EXCEPTION:
        return Reason(Why.REFUSED, (came.frame[2],))
    if isinstance(question.check(came.frame), bytes):
        return None
    return Reason(Why.OTHER_LENGTH, (len(came.frame), OVERHEAD_BYTES + question.size))


def _plausible(values: dict[str, float]) -> list[Reason]:
    """Return what the values say about the model that would be showing them."""
    impossible = [
        Reason(why, (values[name],))
        for name, why, limit in (
            ("voltage_v", Why.IMPLAUSIBLE_VOLTAGE, MAX_VOLTAGE_V),
            ("current_a", Why.IMPLAUSIBLE_CURRENT, MAX_CURRENT_A),
            ("power_w", Why.IMPLAUSIBLE_POWER, MAX_POWER_W),
            ("power_factor", Why.IMPLAUSIBLE_FACTOR, MAX_POWER_FACTOR),
        )
        if name in values and not abs(values[name]) <= limit
    ]
    voltage_v, frequency_hz = values["voltage_v"], values.get("frequency_hz")
    if voltage_v != 0 and not _MAINS_V[0] <= voltage_v <= _MAINS_V[1]:
        impossible.append(Reason(Why.IMPLAUSIBLE_VOLTAGE, (voltage_v,)))
    if frequency_hz is not None and frequency_hz != 0 and not _MAINS_HZ[0] <= frequency_hz <= _MAINS_HZ[1]:
        impossible.append(Reason(Why.IMPLAUSIBLE_FREQUENCY, (frequency_hz,)))
    if impossible:
        return list(dict.fromkeys(impossible))
    found = [Reason(Why.VOLTAGE, (voltage_v,)) if voltage_v else Reason(Why.NO_VOLTAGE)]
    if frequency_hz:
        found.append(Reason(Why.FREQUENCY, (frequency_hz,)))
    return [*found, _power(values)]


def _power(values: dict[str, float]) -> Reason:
    """Return whether the watts fit the volts and amperes of this one moment."""
    power_w = abs(values["power_w"])
    apparent_va = abs(values["voltage_v"] * values["current_a"])
    factor = values.get("power_factor")
    most_w = apparent_va if factor is None else apparent_va * abs(factor)
    least_w = 0.0 if factor is None else most_w
    # One moment, and meters renew volts, amperes and watts one after the other: twice what the mean may be off.
    allowed_w = 2 * max(ALLOWED_W, ALLOWED_RATIO * apparent_va)
    if not math.isfinite(power_w) or not least_w - allowed_w <= power_w <= most_w + allowed_w:
        return Reason(Why.OTHER_POWER, (power_w, most_w))
    return Reason(Why.POWER if most_w > 2 * allowed_w else Why.NO_LOAD, (power_w, most_w))
