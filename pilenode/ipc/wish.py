"""What a customer wants of a session (计划断电), and how that may be changed. Integers, because facts keep it.

Any combination; the first limit that is reached ends the session, and nothing at all means until the battery is full.
Guard is given what is left of it for each leg, in its own units (``pilenode.ipc.messages.Plan``).
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

#: Up to 100 kWh, 12 h, the largest integer every JSON reader keeps, and 10 000 yuan.
EnergyWh = Annotated[int, Meta(ge=1, le=100_000)]
DurationS = Annotated[int, Meta(ge=1, le=43_200)]
UntilMs = Annotated[int, Meta(ge=0, le=2**53)]
AmountFen = Annotated[int, Meta(ge=1, le=1_000_000)]

Limit = Literal["energy_wh", "duration_s", "until_ms", "amount_fen"]


class Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """The plan of a customer; None = no such limit.

    ``energy_wh`` and ``duration_s`` count from the start and over all legs, ``duration_s`` only while there was power.
    ``until_ms`` is a clock time, ms since the epoch. ``amount_fen`` is what the whole session may cost, fees included.
    """

    energy_wh: EnergyWh | None = None
    duration_s: DurationS | None = None
    until_ms: UntilMs | None = None
    amount_fen: AmountFen | None = None


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """A change of a plan: limits that are given take the place of the old ones, those in ``without`` are lifted."""

    energy_wh: EnergyWh | None = None
    duration_s: DurationS | None = None
    until_ms: UntilMs | None = None
    amount_fen: AmountFen | None = None
    without: Annotated[tuple[Limit, ...], Meta(max_length=4)] = ()
