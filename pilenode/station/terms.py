"""What every session of a cabinet is run under."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pilenode.station.energy import Counter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from config.tariff import TariffSchedule

#: Of a port of which nothing is known: the highest power a port may be set to, and no range of its register.
_ANY: Final = Counter(3500)


@dataclass(frozen=True, slots=True)
class Terms:
    """Its lease, how often its reading is made durable (seconds), its prices, and what is known of its register.

    ``tariff`` returns the prices that are in force for a session that starts now.
    """

    lease_s: float
    checkpoint_s: float
    tariff: Callable[[], TariffSchedule]
    counters: Mapping[int, Counter] = field(default_factory=dict)

    def counter(self, port: int) -> Counter:
        """Return what is known of the register of a port."""
        return self.counters.get(port, _ANY)
