"""What a session costs. Integers only: Wh in, 0.001 yuan per kWh, fen out, each item rounded half up once.

Electricity and service are computed and kept separately, as the price rules for public charging ask
(requirements 3.6); a bill is never split afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pilenode.station.prices import Prices
from pilenode.upstream.facts import TariffTerms

if TYPE_CHECKING:
    from config.tariff import TariffSchedule

#: Wh x 0.001 yuan/kWh per fen: 1000 (Wh per kWh) x 1000 (0.001 yuan per yuan) / 100 (fen per yuan).
_PER_FEN: Final = 10_000


@dataclass(frozen=True, slots=True)
class Fees:
    """The two items of a bill, in fen."""

    electricity_fen: int
    service_fen: int


def fee_fen(energy_wh: int, milli_yuan_per_kwh: int) -> int:
    """Return one item in fen, rounded half up. Both arguments are at or above 0, else ValueError."""
    if energy_wh < 0 or milli_yuan_per_kwh < 0:
        raise ValueError(f"negative: {energy_wh} Wh at {milli_yuan_per_kwh} milli-yuan per kWh")
    return (energy_wh * milli_yuan_per_kwh + _PER_FEN // 2) // _PER_FEN


def price(energy_wh: int, terms: TariffTerms) -> Fees:
    """Return both items of a session of ``energy_wh`` under ``terms``."""
    return Fees(
        electricity_fen=fee_fen(energy_wh, terms.electricity_milli_yuan_per_kwh),
        service_fen=fee_fen(energy_wh, terms.service_milli_yuan_per_kwh),
    )


def flat_terms(schedule: TariffSchedule) -> TariffTerms:
    """Return the flat terms that a session is started under: those of a cabinet that does not know the time.

    A service fee by time is not in them.
    """
    rate = Prices(schedule).fallback
    return TariffTerms(
        version=rate.version,
        electricity_milli_yuan_per_kwh=rate.electricity,
        service_milli_yuan_per_kwh=rate.service if rate.service_kind == "service_energy" else 0,
    )
