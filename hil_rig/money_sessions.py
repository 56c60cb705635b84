"""Random sessions for the property test of money: schedules, clocks, legs, readings and plans, as an engine marks them.

What is drawn is made of integers only, so that a session is the same on every machine for one seed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import msgspec

from config.tariff import SLOTS, Period, TariffSchedule, TariffVersion, Tier, mistakes
from pilenode.station import usage as marks
from pilenode.station.bill import amount_limit
from pilenode.station.prices import Prices
from pilenode.station.usage import PowerHistogram
from pilenode.upstream.facts_money import Payment, Usage, UsageMark

if TYPE_CHECKING:
    from random import Random

_HOUR_MS: Final = 3_600_000
_HALF_MS: Final = 1_800_000
_ZONES: Final = ("Asia/Shanghai",) * 6 + (
    "Europe/Berlin",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
    "America/St_Johns",
)
#: Moments at which clocks are set in one of the zones, and an ordinary one (1 July 2026), ms.
_EDGES: Final = (1_774_746_000_000, 1_792_890_000_000, 1_775_313_900_000, 1_790_433_900_000, 1_782_864_000_000)


@dataclass(slots=True)
class Story:
    """One session and what it was made to cover."""

    schedule: TariffSchedule
    payment: Payment
    amount_fen: int | None = None
    steady: bool = True  # the clock was one and the same all the time: an amount can be kept to the fen
    overshoot_mwh: int = 0  # what flowed after guard was to cut
    usage: Usage = field(default_factory=Usage)
    plain: list[Usage] = field(default_factory=list)  # every stretch for itself, nothing merged
    power: PowerHistogram = field(default_factory=PowerHistogram)
    legs: int = 0


def draw_schedule(random: Random, near_ms: int) -> TariffSchedule:
    """Return a schedule without a mistake, with up to four versions, some of which begin near ``near_ms``."""
    count = random.choice((1, 1, 2, 3, 4))
    starts = sorted({near_ms + random.randrange(-24, 24) * 900_000 for _ in range(count - 1)})
    versions = [_version(random, 0, None)]
    versions += [_version(random, number, start) for number, start in enumerate(starts, 1)]
    if random.randrange(8) == 0:
        last = versions[-1]
        end = (last.valid_from_ms or near_ms) + random.randrange(1, 20) * 900_000
        versions[-1] = msgspec.structs.replace(last, valid_until_ms=end)
    names = [version.version for version in versions]
    schedule = TariffSchedule(
        schedule=random.randrange(1, 1000),
        timezone=random.choice(_ZONES),
        versions=versions,
        fallback=random.choice(("", random.choice(names))),
    )
    wrong = [*mistakes(schedule)]
    if wrong:
        raise AssertionError(wrong)
    return schedule


def _price(random: Random) -> int:
    return random.choice((0, 1, random.randrange(1, 1000), random.randrange(1, 2000), random.randrange(100_001)))


def _version(random: Random, number: int, start: int | None) -> TariffVersion:
    kind = random.choice(("energy", "energy", "hour", "tier"))
    cuts = sorted({0, SLOTS, *(random.randrange(1, SLOTS) for _ in range(random.choice((0, 0, 2, 5, 47))))})
    by_energy = kind == "energy"
    periods = [Period(one, other, _price(random), _price(random) if by_energy else 0) for one, other in pairwise(cuts)]
    tiers = None
    if kind == "tier":
        ends = sorted({random.randrange(1, 13) * 100 for _ in range(random.randrange(1, 6))})
        tiers = [Tier(end, random.randrange(3000)) for end in ends]
    return TariffVersion(
        version=f"v{number}",
        valid_from_ms=start,
        periods=periods,
        service_milli_yuan_per_hour=random.randrange(3000) if kind == "hour" else None,
        service_tier=tiers,
    )


class _Clock:
    """The clocks of a cabinet: one that never steps, and one of the wall that may."""

    def __init__(self, random: Random, wall_ms: int) -> None:
        self._random = random
        self.kind = random.choice(("good",) * 7 + ("none", "late", "steps"))
        self.boottime_ms = random.randrange(10**9)
        self.wall_ms = wall_ms

    @property
    def steady(self) -> bool:
        """Return whether it was of one quality all the time."""
        return self.kind in ("good", "none")

    def pass_by(self, ms: int) -> None:
        """Let time pass."""
        self.boottime_ms += ms
        self.wall_ms += ms
        if self.kind == "steps" and self._random.randrange(4) == 0:
            self.wall_ms = max(0, self.wall_ms + self._random.choice((-1, 1)) * self._random.randrange(315_360_000_000))
        if self.kind == "late" and self._random.randrange(4) == 0:
            self.kind = "late, known now"

    @property
    def trusted(self) -> bool:
        """Return whether the wall clock can be believed."""
        return self.kind not in ("none", "late")


def draw(random: Random) -> Story:
    """Return one session, marked as an engine would, from its first leg to its last."""
    near_ms = random.choice(_EDGES)
    schedule = draw_schedule(random, near_ms)
    prices = Prices(schedule)
    clock = _Clock(random, near_ms + random.randrange(-6 * _HOUR_MS, 6 * _HOUR_MS))
    amount_fen = random.randrange(1, 1500) if random.randrange(4) == 0 else None
    if random.randrange(2):
        paid = amount_fen if amount_fen is not None else random.choice((0, random.randrange(5000)))
        payment = Payment(mode="prepaid", paid_fen=paid)
    else:
        payment = Payment(mode="postpaid", limit_fen=amount_fen)
    story = Story(schedule, payment, amount_fen, steady=clock.steady)
    register_mwh = random.randrange(10**10)
    going = True
    for _ in range(random.choice((1, 1, 1, 2, 3, 6))):
        if not going:
            break
        register_mwh, going = _leg(random, story, prices, clock, register_mwh)
        clock.pass_by(random.randrange(1, 3 * _HOUR_MS))  # without power
    return story


def _leg(random: Random, story: Story, prices: Prices, clock: _Clock, register_mwh: int) -> tuple[int, bool]:
    """Run one leg; return the register and whether the session may go on."""
    left_ms = random.choice((random.randrange(180_000), random.randrange(4 * _HOUR_MS), random.randrange(9 * _HOUR_MS)))
    watts = random.choice((random.randrange(60), random.randrange(400), random.randrange(1500)))
    sparse = story.amount_fen is None and random.randrange(5) == 0  # the engine was away at the boundaries
    story.legs += 1
    story.usage = marks.begin(story.usage, _mark(clock, register_mwh))
    going = True
    while left_ms > 0 and going:
        watts = max(0, watts + random.randrange(-30, 25)) if random.randrange(3) else watts
        stretch_ms, most_mwh = _stretch(random, story, prices, clock, sparse=sparse)
        stretch_ms = min(stretch_ms, left_ms)
        energy_mwh = watts * stretch_ms // 3600
        if most_mwh is not None and energy_mwh >= most_mwh:
            going = False
            stretch_ms = min(stretch_ms, most_mwh * 3600 // watts) if watts else 0
            story.overshoot_mwh = random.choice((0, random.randrange(3000)))
            energy_mwh = most_mwh + story.overshoot_mwh
        clock.pass_by(stretch_ms)
        register_mwh += energy_mwh
        left_ms -= stretch_ms
        mark = _mark(clock, register_mwh)
        if story.usage.last is not None:
            story.plain.append(marks.extend(Usage(last=story.usage.last), mark, prices))
        story.usage = marks.extend(story.usage, mark, prices)
        story.power = story.power.add(watts, stretch_ms)
    story.usage = marks.end(story.usage)
    return register_mwh, going


def _mark(clock: _Clock, register_mwh: int) -> UsageMark:
    return UsageMark(
        wall_ms=clock.wall_ms, boottime_ms=clock.boottime_ms, trusted=clock.trusted, register_mwh=register_mwh
    )


def _stretch(random: Random, story: Story, prices: Prices, clock: _Clock, *, sparse: bool) -> tuple[int, int | None]:
    """Return how long until the next mark, and the energy that guard allows until then (None: any)."""
    if story.amount_fen is not None:
        wall_ms = clock.wall_ms if clock.trusted else None
        pieces, power_ms = story.usage.pieces, story.power.power_ms
        limit = amount_limit(story.amount_fen, pieces, power_ms, story.schedule, wall_ms)
        return limit.for_ms, limit.energy_mwh
    if sparse:
        return random.randrange(1, 4 * _HOUR_MS), None
    boundary_ms = prices.next_boundary_ms(clock.wall_ms) - clock.wall_ms if clock.trusted else _HALF_MS
    return random.choice((boundary_ms, boundary_ms, random.randrange(1, boundary_ms + 1))), None
