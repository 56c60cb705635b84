"""What tests of records need: a flat tariff, and the bill of nothing."""

from __future__ import annotations

from typing import Final

from config.tariff import flat_schedule
from pilenode.station.bill import settlement
from pilenode.station.energy import Counter
from pilenode.upstream.facts_money import Payment

TARIFF: Final = flat_schedule("t1", 520, 300)
#: The bill of a session that has used nothing.
NO_BILL: Final = settlement([], [], Payment(mode="postpaid"), TARIFF)
#: Registers of tests may rise as fast as they like.
ANY_POWER: Final = {port: Counter(10**9) for port in range(1, 100)}
