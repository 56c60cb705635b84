"""What a session has used, how it is paid, and the bill: the parts of facts that money is made of.

Integers only: fen, mWh, ms. ``Settlement`` holds everything that a bill is made of, so that whoever has the record can
price it again (``pilenode reprice``) without the cabinet, its configuration or its clock.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from config.tariff import TariffSchedule, VersionName

Count = Annotated[int, Meta(ge=0, le=2**53)]
#: Most pieces of one session. A piece ends with a leg or where the price changes: 12 h make some 30 of them.
MAX_PIECES = 1000
#: Classes of power: none, then 100 W each; the last one holds everything above 3,500 W.
POWER_CLASSES = 37


#: Time in each class of power, ms.
PowerTimes = Annotated[list[Count], Meta(max_length=POWER_CLASSES)]


class PieceFlag(StrEnum):
    """What is not plain about a piece of usage."""

    NO_CLOCK = "no_clock"  # the time of day was not known: the fallback tariff counts
    CLOCK_STEPPED = "clock_stepped"  # the wall clock was set meanwhile: the same
    NO_READING = "no_reading"  # no register at its end: no energy
    REGISTER_BACKWARD = "register_backward"  # the register fell: no energy


class BillReason(StrEnum):
    """Why a bill is not simply prices times usage."""

    NO_CHARGE = "no_charge"  # at most 10 Wh in at most 2 minutes: nothing is charged
    REFUND = "refund"  # more was paid in advance than is charged
    CAPPED = "capped"  # more was used than was paid or allowed; the rest is waived
    FALLBACK = "fallback"  # some of it at the fallback tariff, because the time was not known
    EXPIRED = "expired"  # some of it at the fallback tariff, because the last version had ended
    INTERPOLATED = "interpolated"  # some of it was divided by time between two prices


class _Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of all parts. Unknown fields are ignored, so an older reader survives a newer cabinet."""


class UsagePiece(_Part, frozen=True, kw_only=True):
    """A stretch of time with power. Both moments are None when the time of day was not known throughout."""

    from_wall_ms: Count | None = None
    to_wall_ms: Count | None = None
    on_ms: Count
    energy_mwh: Count
    flags: Annotated[list[Annotated[str, Meta(max_length=32)]], Meta(max_length=8)] = []


class UsageMark(_Part, frozen=True, kw_only=True):
    """One reading of register and clocks within a leg."""

    wall_ms: Count
    boottime_ms: Count
    trusted: bool  # the wall clock can be believed
    register_mwh: Count | None


class Usage(_Part, frozen=True, kw_only=True):
    """What a session has used so far. ``last`` is where the next piece begins; None between two legs."""

    pieces: Annotated[list[UsagePiece], Meta(max_length=MAX_PIECES)] = []
    last: UsageMark | None = None


class Payment(_Part, frozen=True, kw_only=True):
    """How a session is paid. ``limit_fen``: more is never charged afterwards, whatever was used."""

    mode: Literal["prepaid", "postpaid"]
    paid_fen: Count = 0
    limit_fen: Count | None = None


class BillItem(_Part, frozen=True, kw_only=True):
    """One line of a bill: what was used at one price. ``milli_yuan`` is per kWh, or per hour where ``on_ms`` is given.

    ``up_to_w``: end of the power tier. ``fallback``: priced without knowing the time.
    """

    kind: Literal["electricity", "service_energy", "service_time", "service_tier"]
    version: VersionName
    milli_yuan: Count
    energy_mwh: Count | None = None
    on_ms: Count | None = None
    up_to_w: Count | None = None
    fallback: bool = False
    fen: Count


class Bill(_Part, frozen=True, kw_only=True):
    """What a session costs, in fen. Electricity and service are never mixed; ``charged_fen`` is what is to be paid.

    ``total_fen`` = electricity + service = charged + waived; ``refund_fen`` = paid in advance - charged.
    """

    items: Annotated[list[BillItem], Meta(max_length=256)]
    electricity_fen: Count
    service_fen: Count
    total_fen: Count
    charged_fen: Count
    refund_fen: Count
    waived_fen: Count
    reasons: Annotated[list[Annotated[str, Meta(max_length=32)]], Meta(max_length=16)] = []


class Settlement(_Part, frozen=True, kw_only=True):
    """A bill and everything that it is made of. ``tariff`` has the versions that were used, and the fallback."""

    pieces: Annotated[list[UsagePiece], Meta(max_length=MAX_PIECES)]
    power_ms: PowerTimes = []
    payment: Payment
    tariff: TariffSchedule
    bill: Bill


class TariffSet(_Part, frozen=True, kw_only=True):
    """A schedule was put in force for the sessions that start from now on."""

    tariff: TariffSchedule
    source: Annotated[str, Meta(max_length=16)]
    by: Annotated[str, Meta(max_length=200)] = ""
