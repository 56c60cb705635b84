"""What tests of records need: a flat tariff, and the bill of nothing."""

from __future__ import annotations

from typing import Final

from config.tariff import flat_schedule
from pilenode.station.bill import settlement
from pilenode.upstream.facts_money import Payment

TARIFF: Final = flat_schedule("t1", 520, 300)
#: The bill of a session that has used nothing.
NO_BILL: Final = settlement([], [], Payment(mode="postpaid"), TARIFF)
