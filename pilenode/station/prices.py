"""Which price counts when: a tariff schedule made ready for use. Integers only, no clock is read.

Slots are half hours of the local day. A moment that is not known (None), and one after the end of the last version, has
the fallback rate: the lowest prices of the fallback version, each component for itself, in the customer's favour.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import msgspec

from config.tariff import SLOTS, zone

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from config.tariff import TariffSchedule, TariffVersion, Tier
    from pilenode.upstream.facts_money import UsagePiece

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_HALF_HOUR_S: Final = 1800
_QUARTER_S: Final = 900
#: No piece is longer: a session lasts 12 h at most. What claims to be is priced as if the time were not known.
LONGEST_PIECE_MS: Final = 48 * 3600 * 1000

Service = Literal["service_energy", "service_time", "service_tier"]


class Rate(NamedTuple):
    """The prices of one moment. ``service`` is per kWh for "service_energy", per hour for "service_time"."""

    version: str
    electricity: int
    service_kind: Service
    service: int
    tiers: tuple[Tier, ...] = ()
    fallback: bool = False
    expired: bool = False


class Part(NamedTuple):
    """What of a piece has one rate."""

    rate: Rate
    energy_mwh: int
    on_ms: int


def _service(version: TariffVersion, by_energy: int) -> tuple[Service, int, tuple[Tier, ...]]:
    if version.service_tier is not None:
        return "service_tier", 0, tuple(version.service_tier)
    if version.service_milli_yuan_per_hour is not None:
        return "service_time", version.service_milli_yuan_per_hour, ()
    return "service_energy", by_energy, ()


def _rates(version: TariffVersion) -> tuple[Rate, ...]:
    """Return the rate of each half hour of the day."""
    found: list[Rate] = [Rate(version.version, 0, "service_energy", 0)] * SLOTS
    for period in version.periods:
        rate = Rate(version.version, period.electricity, *_service(version, period.service))
        found[period.from_slot : period.to_slot] = [rate] * (period.to_slot - period.from_slot)
    return tuple(found)


def _lowest(version: TariffVersion) -> Rate:
    electricity = min(period.electricity for period in version.periods)
    by_energy = min(period.service for period in version.periods)
    return Rate(version.version, electricity, *_service(version, by_energy), fallback=True)


class Prices:
    """A schedule without a mistake (``config.tariff.mistakes``), ready to be asked."""

    def __init__(self, schedule: TariffSchedule) -> None:
        self.schedule = schedule
        self._zone = zone(schedule.timezone) or UTC
        self._versions = [(version, _rates(version)) for version in schedule.versions]
        names = {version.version: version for version in schedule.versions}
        self.fallback: Rate = _lowest(names.get(schedule.fallback, schedule.versions[0]))
        edges = {version.valid_from_ms for version in schedule.versions}
        edges |= {version.valid_until_ms for version in schedule.versions}
        self._edges = sorted(edge for edge in edges if edge is not None)

    def ahead(self, wall_ms: int | None) -> TariffSchedule:
        """Return the part of the schedule that a session may need that starts now (None: the whole of it)."""
        if wall_ms is None:
            return self.schedule
        names = {self.rate_at(wall_ms).version}
        for version in self.schedule.versions:
            begins = version.valid_from_ms
            if begins is not None and wall_ms < begins <= wall_ms + LONGEST_PIECE_MS:
                names.add(version.version)
        return narrow(self.schedule, names)

    def rate_at(self, wall_ms: int | None) -> Rate:
        """Return the rate at a moment; None is a time that is not known."""
        if wall_ms is None:
            return self.fallback
        version, rates = self._versions[0]
        for candidate, its_rates in self._versions:
            if candidate.valid_from_ms is not None and candidate.valid_from_ms <= wall_ms:
                version, rates = candidate, its_rates
        if version.valid_until_ms is not None and wall_ms >= version.valid_until_ms:
            return self.fallback._replace(expired=True)
        local = self._local(wall_ms // 1000)
        return rates[local.hour * 2 + local.minute // 30]

    def _local(self, wall_s: int) -> datetime:
        return (_EPOCH + timedelta(seconds=wall_s)).astimezone(self._zone)

    def next_boundary_ms(self, wall_ms: int) -> int:
        """Return the first moment after ``wall_ms`` at which the price may change: a half hour at most."""
        now_s = wall_ms // 1000
        local = self._local(now_s)
        end_s = now_s - (local.minute * 60 + local.second) % _HALF_HOUR_S + _HALF_HOUR_S
        # Where clocks are set in the middle of a half hour of the local day, another one begins there.
        quarter_s = (now_s // _QUARTER_S + 1) * _QUARTER_S
        if quarter_s < end_s and self._local(quarter_s).utcoffset() != local.utcoffset():
            end_s = quarter_s
        end_ms = end_s * 1000
        return next((edge for edge in self._edges if wall_ms < edge < end_ms), end_ms)

    def parts(self, piece: UsagePiece) -> Iterator[Part]:
        """Divide a piece at every change of price, by time, in whole mWh and ms; what is left goes to the last part.

        Part by part of what remains, so that one mWh more is one mWh more in exactly one part: more energy never costs
        less.
        """
        start, end = piece.from_wall_ms, piece.to_wall_ms
        if start is None or end is None or not start <= end <= start + LONGEST_PIECE_MS:
            yield Part(self.fallback, piece.energy_mwh, piece.on_ms)
            return
        energy_mwh, on_ms = piece.energy_mwh, piece.on_ms
        for rate, length_ms, left_ms in self._stretches(start, end):
            part_mwh = energy_mwh * length_ms // left_ms if left_ms else energy_mwh
            part_ms = on_ms * length_ms // left_ms if left_ms else on_ms
            yield Part(rate, part_mwh, part_ms)
            energy_mwh -= part_mwh
            on_ms -= part_ms

    def _stretches(self, start: int, end: int) -> Iterator[tuple[Rate, int, int]]:
        """Yield rate, length, and what was left before it, of every stretch with one price, in ms."""
        at, rate = start, self.rate_at(start)
        while at < end:
            until, following = self._run(at, end, rate)
            yield rate, until - at, end - at
            at, rate = until, following
        if start == end:  # what flowed in no time flowed before it
            yield self.rate_at(max(0, start - 1)), 0, 0

    def _run(self, at: int, end: int, rate: Rate) -> tuple[int, Rate]:
        """Return how far ``rate`` reaches from ``at`` on, at most to ``end``, and the rate there."""
        until = at
        while True:
            until = self.next_boundary_ms(until)
            if until >= end:
                return end, rate
            following = self.rate_at(until)
            if following != rate:
                return until, following

    def only_rate(self, piece: UsagePiece) -> Rate | None:
        """Return the rate of a piece that has one price throughout, else None."""
        rates = {part.rate for part in self.parts(piece)}
        return rates.pop() if len(rates) == 1 else None


def narrow(schedule: TariffSchedule, used: Iterable[str]) -> TariffSchedule:
    """Return ``schedule`` with the versions named by ``used`` and the fallback only; it prices those times the same.

    A version that stays keeps the end that the next one gave it.
    """
    names = {*used}
    fallback = schedule.fallback or schedule.versions[0].version
    kept: list[TariffVersion] = []
    for index, version in enumerate(schedule.versions):
        if version.version not in names and version.version != fallback:
            continue
        following = schedule.versions[index + 1].valid_from_ms if index + 1 < len(schedule.versions) else None
        until = version.valid_until_ms if following is None else following
        kept.append(msgspec.structs.replace(version, valid_until_ms=until))
    return msgspec.structs.replace(schedule, versions=kept, fallback=fallback)
