"""What an entry of the catalogue is, and the three sorts of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Latch(StrEnum):
    """How a fault is released."""

    NONE = "none"  # ends a session or refuses a request; nothing stays behind
    SELF_CLEARING = "self_clearing"  # gone when its cause is gone (with hysteresis); the port needs a new start
    LOCAL_RESET = "local_reset"  # stays until a technician resets it on the spot
    REPAIR = "repair"  # stays until a technician resets it and says what was repaired


class Effect(StrEnum):
    """What a fault does while it stands."""

    NONE = "none"  # endings and refusals
    TELL = "tell"  # is shown and reported
    INHIBIT = "inhibit"  # no new session starts; a running one goes on
    CUT = "cut"  # opens what it concerns


class Kind(StrEnum):
    """What sort of code it is."""

    FAULT = "fault"  # protective: found by the hazard rules or by guard about itself
    ENDING = "ending"  # a session ended normally or was ended on purpose
    REFUSAL = "refusal"  # a request was not carried out


@dataclass(frozen=True, slots=True)
class Entry:
    """One code with its words. ``remedy`` says what a person can do."""

    code: str
    kind: Kind
    latch: Latch
    effect: Effect
    zh: str
    en: str
    remedy_zh: str
    remedy_en: str

    @property
    def holds(self) -> bool:
        """Whether the fault stays until a person releases it."""
        return self.latch in (Latch.LOCAL_RESET, Latch.REPAIR)


def fault(code: str, latch: Latch, effect: Effect, zh: str, en: str, remedy_zh: str, remedy_en: str) -> Entry:
    """Return the entry of a fault."""
    return Entry(code, Kind.FAULT, latch, effect, zh, en, remedy_zh, remedy_en)


def ending(code: str, zh: str, en: str, remedy_zh: str = "无需处理。", remedy_en: str = "Nothing to do.") -> Entry:
    """Return the entry of a reason to end a session that is no fault."""
    return Entry(code, Kind.ENDING, Latch.NONE, Effect.NONE, zh, en, remedy_zh, remedy_en)


def refusal(code: str, zh: str, en: str, remedy_zh: str, remedy_en: str) -> Entry:
    """Return the entry of a refusal."""
    return Entry(code, Kind.REFUSAL, Latch.NONE, Effect.NONE, zh, en, remedy_zh, remedy_en)
