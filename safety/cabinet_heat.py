"""Heat in the air of the cabinet, heat that several probes feel at once, and a cabinet that feels nothing any more."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from safety import probe as probes
from safety.probe import Felt
from safety.reading import Missing, ProbeReading

if TYPE_CHECKING:
    from collections.abc import Mapping

    from safety.inputs import PortInputs
    from safety.limits import CabinetLimits

#: Two poor contacts hardly begin within one minute; one fire warms everything around it.
_TOGETHER = 2
#: They must rise together for this long, seconds: as long as the trip temperature must stand (requirements SAF-4).
TOGETHER_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class CabinetHeat:
    """Memory of the rules.

    ``felt``: the cabinet's own probe. ``together_since_s``: several probes rise fast. ``heard_s``: taken_s of the
    newest value of any probe; before the first one, when the wait for it began.
    """

    felt: Felt = field(default_factory=Felt)
    together_since_s: float | None = None
    heard_s: float | None = None


def feel(
    memory: CabinetHeat,
    probe: ProbeReading | Missing | None,
    ports: Mapping[int, PortInputs],
    rising: frozenset[int],
    limits: CabinetLimits,
    now: float,
) -> tuple[CabinetHeat, tuple[str, ...]]:
    """Return the new memory and what stands, most urgent first.

    ``rising``: ports whose rules find their own temperature rising fast now (with or without a load).
    ``probes_lost``: nothing that is fitted has given a value for ``probes_lost_s`` more than its age limit. One probe
    of several that falls silent only inhibits its port (requirements §7, 1).
    """
    felt = probes.feel(memory.felt, probe, limits, limits.temperature_rise_k_per_min)
    together = len(rising) + felt.rise.rising >= _TOGETHER
    since_s = now if memory.together_since_s is None else memory.together_since_s
    memory = CabinetHeat(felt, since_s if together else None, _heard_s(memory.heard_s, probe, ports, now))
    return memory, _standing(memory, probe, limits, now)


def _heard_s(
    heard_s: float | None, probe: ProbeReading | Missing | None, ports: Mapping[int, PortInputs], now: float
) -> float | None:
    fitted = [one for one in (probe, *(port.probe for port in ports.values())) if one is not None]
    if not fitted:
        return None
    begin_s = now if heard_s is None else heard_s
    return max([begin_s, *(one.taken_s for one in fitted if isinstance(one, ProbeReading))])


def _standing(
    memory: CabinetHeat, probe: ProbeReading | Missing | None, limits: CabinetLimits, now: float
) -> tuple[str, ...]:
    warmth = probes.warmth(memory.felt, limits, now)
    silence_s = 0.0 if memory.heard_s is None else now - memory.heard_s
    codes = {
        "cabinet_heat": memory.together_since_s is not None and now - memory.together_since_s >= TOGETHER_S,
        "cabinet_over_temperature": warmth.over,
        "probes_lost": silence_s > limits.probe_max_age_s + limits.probes_lost_s,
        "cabinet_probe_fault": probes.faulty(probe, limits, now),
        "cabinet_temperature_high": warmth.high,
        "cabinet_temperature_warning": warmth.warning,
    }
    return tuple(code for code, stands in codes.items() if stands)
