"""Which prices are in force: those of the configuration, until an authorised act has set others.

A schedule has a number. A higher one replaces a lower one at once, for the sessions that start from then on; a session
that runs keeps the prices that were shown when it began. What does not price every moment exactly once is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from config.locate import spell
from config.tariff import mistakes
from pilenode.ipc.acts import SetTariff
from pilenode.ipc.messages import Refused, TariffReply
from pilenode.station.entries import NewFact
from pilenode.upstream.facts import MAX_WORDS, FactKind
from pilenode.upstream.facts_money import TariffSet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from config.tariff import TariffSchedule
    from pilenode.ipc.acts import Act
    from pilenode.station.desk import Who
    from pilenode.station.wallclock import Stamp
    from pilenode.upstream.facts import Fact

#: Source of the prices that nobody has set.
_CONFIG: Final = "config"


class TariffDesk:
    """Decides about ``set_tariff``. ``configured`` is what counts until one was carried out."""

    def __init__(self, configured: TariffSchedule) -> None:
        self._reply = TariffReply(tariff=configured, source=_CONFIG)

    @property
    def acts(self) -> tuple[type[Act], ...]:
        """Return the acts that this desk decides about."""
        return (SetTariff,)

    @property
    def kinds(self) -> tuple[FactKind, ...]:
        """Return the kinds of fact that its memory is made of."""
        return (FactKind.TARIFF_SET,)

    @property
    def schedule(self) -> TariffSchedule:
        """Return the prices that a session starts under now."""
        return self._reply.tariff

    def reply(self) -> TariffReply:
        """Return the prices in force and where they come from."""
        return self._reply

    def judge(self, act: Act, who: Who, now: Stamp) -> Sequence[NewFact] | Refused:
        """Return the fact of accepted prices, nothing for those already in force, or why they are refused."""
        del now
        if not isinstance(act, SetTariff):
            return Refused(code="malformed")
        present, asked = self._reply.tariff, act.tariff
        if asked == present:
            return []
        if asked.schedule <= present.schedule:
            return Refused(code="tariff_older", detail=f"{asked.schedule} <= {present.schedule}")
        wrong = next(mistakes(asked), None)
        if wrong is not None:
            return Refused(code=wrong.code, detail=f"{spell(wrong.path)}: {wrong.en}"[:MAX_WORDS])
        return [NewFact(FactKind.TARIFF_SET, TariffSet(tariff=asked, source=who.source[:16], by=who.by[:MAX_WORDS]))]

    def keep(self, fact: Fact) -> None:
        """Take prices that were set into force. A lower number is none: the log of another cabinet was put in."""
        body = msgspec.json.decode(fact.body, type=TariffSet)
        if body.tariff.schedule >= self._reply.tariff.schedule:
            self._reply = TariffReply(tariff=body.tariff, source=body.source, by=body.by, set_wall_ms=fact.wall_ms)
