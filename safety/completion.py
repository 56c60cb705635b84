"""What ends a session normally: full, and everything else that can be told from the power curve of one port.

One call of ``advance`` per meter reading. A reading costs little; shapes are judged once per block of a minute. The
state is immutable and plain, so that guard can keep it on disk and go on after a restart in the middle of a tail.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

from safety.blocks import Block, OpenBlock, add, interval_s, lost
from safety.completion_limits import CompletionLimits
from safety.load_change import Added, Plug, watch_added, watch_plug
from safety.low import Low, NeverGoing, is_low, watch_low, watch_start
from safety.past import Past, remember
from safety.plain import restore
from safety.tail import Tail, watch_tail
from safety.verdict import Sample, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CompletionLimits", "CompletionState", "Sample", "Verdict", "advance", "begin"]


@dataclass(frozen=True, slots=True)
class CompletionState:
    """Everything the rules of one session remember. ``factor``: power factor at the end of the last block."""

    open: OpenBlock = field(default_factory=OpenBlock)
    plug: Plug = field(default_factory=Plug)
    past: Past = field(default_factory=Past)
    low: Low = field(default_factory=Low)
    start: NeverGoing = field(default_factory=NeverGoing)
    tail: Tail = field(default_factory=Tail)
    added: Added = field(default_factory=Added)
    factor: float = 0.0

    def to_plain(self) -> dict[str, object]:
        """Return the state as nested dicts, tuples, numbers and None, fit for JSON."""
        return asdict(self)

    @staticmethod
    def from_plain(plain: Mapping[str, object]) -> CompletionState:
        """Return the state that ``to_plain`` wrote, also after a trip through JSON; ValueError when it is not one."""
        return restore(CompletionState, plain)


def begin(t_s: float) -> CompletionState:
    """Return the state at the start of a session, seconds on the clock of the samples."""
    return CompletionState(open=OpenBlock(last_s=t_s))


def advance(state: CompletionState, sample: Sample, limits: CompletionLimits) -> tuple[CompletionState, Verdict | None]:
    """Judge one reading. After a verdict the session is over and the state of no more use.

    A reading without supply says nothing: timers stop until two readings in a row show the supply again.
    """
    if sample.voltage_v < limits.supply_min_v:
        return replace(state, open=lost(state.open)), None
    if sample.power_w > limits.wild_w:
        return state, None
    known_s = interval_s(state.open, sample.t_s, limits)
    tapered = state.tail.tapered
    plug, verdict = watch_plug(state.plug, sample, known_s, state.past, state.factor, limits, tapered=tapered)
    opened, complete = add(state.open, sample.t_s, sample.power_w, known_s, limits)
    state = CompletionState(opened, plug, state.past, state.low, state.start, state.tail, state.added, state.factor)
    for block in complete:
        if verdict is None:
            state, verdict = _judge(state, block, sample, limits)
    return state, verdict


def _judge(
    state: CompletionState, block: Block, sample: Sample, limits: CompletionLimits
) -> tuple[CompletionState, Verdict | None]:
    """Judge one complete block with every rule, most urgent first."""
    tapered = state.tail.tapered
    past = remember(state.past, block, limits, hold_plateau=state.added.blocks > 0)
    added, more = watch_added(state.added, past, limits, tapered=tapered)
    tail, shape = watch_tail(state.tail, past, limits, low=is_low(past, limits))
    low, full = watch_low(state.low, past, limits, tapered=tapered)
    start, idle = watch_start(state.start, past, limits)
    factor = sample.factor if sample.power_w > limits.no_load_w else state.factor
    state = replace(state, past=past, added=added, tail=tail, low=low, start=start, factor=factor)
    return state, more or shape or full or idle
