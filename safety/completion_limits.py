"""Thresholds and durations that end a session normally. A set that contradicts itself cannot be constructed.

Where a number has no source of its own it comes from a survey of shipping port firmwares and protocols and from
simulated charges of lithium and lead-acid packs; ``python -m hil_rig.score`` shows what changing one does.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from itertools import pairwise

#: A meter is read every 0.1 to 2 s however fast the rig replays, so a gap is never shorter than this, seconds.
_SHORTEST_GAP_S = 0.5


@dataclass(frozen=True, slots=True)
class CompletionLimits:
    """Limits of the completion rules. Every field that ends in ``_s`` is a duration in seconds.

    Readings:
    - ``block_s``: readings are averaged over this long before any shape is judged; single wild or zero readings of
      cheap meters drop out. One minute.
    - ``gap_s``: two readings further apart than this leave an interval of which nothing is known.
    - ``supply_min_v``: below this voltage the supply is out and the reading says nothing about the battery.
    - ``wild_w``: a reading above this is passed over, a 16 A socket cannot deliver it (cheap metering chips
      were seen to answer 8 to 11 kW).

    Nothing plugged in:
    - ``no_load_w``, ``no_load_a``: at or below either of them nothing is plugged in. A reading of 0.9 W is a charger
      in standby; meters in use read exactly 0 below 0.4 W or 4 mA. Some show a little current without power, and a
      neighbour's load can leak in as power without current.
    - ``no_charger_s``: from the start, nothing for this long. ``unplugged_s``: after charging. Firmwares began with
      10 s and ended with 10 min, because a battery's electronics pauses a charge for minutes.

    Full:
    - ``plateau_s``, ``plateau_agree_share``: the plateau power is the best mean over ``plateau_s`` whose blocks agree
      within this share; nothing relative to it is judged before it exists.
    - ``low_share``, ``low_small_w``, ``low_small_share``: low is below
      max(low_share of plateau, min(low_small_w, low_small_share of plateau)). Standby and float draw 1 to 38 W, packs
      of 60 W to 2 kW turn over at 6 to 380 W: no fixed number of watts separates them.
    - ``tapered_share``, ``abrupt_share``, ``confirm_tapered_s``, ``confirm_middle_s``, ``confirm_abrupt_s``: how long
      low must last depends on the level it came from, as a share of plateau. Out of a smooth taper below the first
      share it is a charger that turned over; above the second, or without a taper, it may be a thermal or balancing
      pause, which last up to about 35 min.
    - ``still_w``, ``still_share``, ``still_s``, ``low_max_s``: at the end less than max(still_w, still_share of
      plateau) was lost within ``still_s``, or low has lasted ``low_max_s``.
    - ``burst_s``: power above low for less than this (a top-off) does not start the count again.
      ``top_off_s``: after a longer one that is shorter than this, the shorter waiting time is kept.
    - ``float_s``: a step down out of a taper to below ``tapered_share`` of plateau, and no rise since, for this long
      is a strong float.

    Never got going:
    - ``idle_plateau_w``, ``idle_w``, ``idle_s``, ``idle_flat_s``, ``idle_flat_share``: plateau below the first, power
      below the second for ``idle_s`` and level within the share (or 1 W) over the last ``idle_flat_s``. Precharge of a
      deeply discharged pack takes 10 to 25 W for up to 40 min.

    Tail (constant voltage, power falling):
    - ``step_share``, ``step_w``: a change from block to block above both (meters step by up to 1 W), and above five
      times what is usual, is a step;
      ``large_step_share`` and more begins a new stage (derating, two-step charger, turn-over).
      ``settle_s``: after a step the tail is not judged for this long.
    - ``fall_share``: a smooth fall by this since the stage began makes a tail.
    - ``mean_s``: shapes are judged on means this long. ``flat_over_s``, ``flat_share``, ``flat_hold_s``: losing less
      than the share in ``flat_over_s``, for ``flat_hold_s``, below ``flat_below_share`` of plateau, is a pack that
      will never turn over. Lead-acid packs that do turn over lose 5 % and more in that time; worn iron-phosphate
      packs hold higher levels for a while.
    - ``rising_share``, ``rising_hold_s``: this much above the tail's minimum for this long is the current of a pack
      that heats itself.

    Never tapering:
    - ``rise_share``, ``rise_window_s``, ``rise_skip_s``, ``no_rise_s``, ``no_rise_share``: power rose by the share
      within the window (what happens in ``rise_skip_s`` after the start does not count: iron-phosphate packs rise
      then), and has since neither risen by ``no_rise_share`` nor fallen for ``no_rise_s``. Iron-phosphate packs are
      flat within 1 % for hours while charging properly.

    Another load:
    - ``added_w``, ``added_share``, ``added_hold_s``, ``added_steady_s``, ``added_floor_w``, ``added_above_share``,
      ``added_ratio``: steady for ``added_steady_s`` above ``added_floor_w``, then up by max(added_w, added_share) for
      ``added_hold_s``, to ``added_above_share`` above the plateau or after a taper, but to less than ``added_ratio``
      times the old level, for that is a charger that starts.
    - ``swap_min_s``, ``swap_max_s``: nothing plugged in for so long with the supply present, then a charger that
      between ``swap_from_s`` and ``swap_to_s`` after its return draws ``swap_more_share`` more or
      ``swap_less_share`` less, or at the same power has a power factor ``swap_factor`` away, is another one.

    Raises ValueError for values that are not positive or contradict each other.
    """

    block_s: float = 60.0
    gap_s: float = 15.0
    supply_min_v: float = 80.0
    wild_w: float = 4000.0

    no_load_w: float = 0.6
    no_load_a: float = 0.004
    no_charger_s: float = 600.0
    unplugged_s: float = 840.0

    plateau_s: float = 300.0
    plateau_agree_share: float = 0.20
    low_share: float = 0.12
    low_small_w: float = 12.0
    low_small_share: float = 0.22
    tapered_share: float = 0.30
    abrupt_share: float = 0.62
    confirm_tapered_s: float = 600.0
    confirm_middle_s: float = 1200.0
    confirm_abrupt_s: float = 2280.0
    still_w: float = 1.0
    still_share: float = 0.02
    still_s: float = 600.0
    low_max_s: float = 2700.0
    burst_s: float = 240.0
    top_off_s: float = 1200.0
    float_s: float = 2700.0

    idle_plateau_w: float = 32.0
    idle_w: float = 18.0
    idle_s: float = 2700.0
    idle_flat_s: float = 1800.0
    idle_flat_share: float = 0.10

    step_share: float = 0.02
    step_w: float = 1.2
    large_step_share: float = 0.25
    settle_s: float = 360.0
    fall_share: float = 0.15
    mean_s: float = 600.0
    flat_over_s: float = 1200.0
    flat_share: float = 0.03
    flat_below_share: float = 0.70
    flat_hold_s: float = 480.0
    rising_share: float = 0.08
    rising_hold_s: float = 720.0

    rise_share: float = 0.05
    rise_window_s: float = 10_800.0
    rise_skip_s: float = 2700.0
    no_rise_s: float = 5400.0
    no_rise_share: float = 0.003

    added_w: float = 20.0
    added_share: float = 0.18
    added_hold_s: float = 180.0
    added_steady_s: float = 540.0
    added_floor_w: float = 35.0
    added_above_share: float = 0.12
    added_ratio: float = 4.0
    swap_min_s: float = 5.0
    swap_max_s: float = 240.0
    swap_from_s: float = 40.0
    swap_to_s: float = 120.0
    swap_more_share: float = 0.12
    swap_less_share: float = 0.15
    swap_factor: float = 0.06

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0 < value < float("inf"):
                raise ValueError(f"{field.name} = {value} must be above 0 and finite")
            if field.name.endswith("_share") and value >= 1:
                raise ValueError(f"{field.name} = {value} must be below 1")
        self._ordered("low_share", "tapered_share", "abrupt_share")
        self._ordered("low_share", "low_small_share", "tapered_share")
        self._ordered("confirm_tapered_s", "confirm_middle_s", "confirm_abrupt_s", "low_max_s")
        self._ordered("block_s", "burst_s", "confirm_tapered_s")
        self._ordered("burst_s", "top_off_s")
        self._ordered("swap_min_s", "swap_max_s", "unplugged_s")
        self._ordered("swap_from_s", "swap_to_s")
        self._ordered("idle_w", "idle_plateau_w")
        self._ordered("idle_flat_s", "idle_s")
        self._ordered("step_share", "fall_share")
        self._ordered("step_share", "large_step_share")
        self._ordered("block_s", "plateau_s")
        self._ordered("block_s", "mean_s", "flat_over_s")
        if self.added_ratio <= 1 + self.added_share:
            raise ValueError(f"added_ratio = {self.added_ratio} leaves no room above added_share")

    def _ordered(self, *names: str) -> None:
        values = [getattr(self, name) for name in names]
        if any(low >= high for low, high in pairwise(values)):
            stated = ", ".join(f"{name} = {value}" for name, value in zip(names, values, strict=True))
            raise ValueError(f"must rise from left to right: {stated}")

    def blocks(self, duration_s: float) -> int:
        """Return how many blocks make ``duration_s``, at least one."""
        return max(1, round(duration_s / self.block_s))

    def scaled(self, time_scale: float) -> CompletionLimits:
        """Return limits for a charge that runs ``time_scale`` times as fast as life: every duration is divided.

        Watts and shares stay; slopes are shares over durations and so follow. Only ``gap_s`` keeps a floor of 0.5 s,
        because a meter is not read faster. Raises ValueError unless ``time_scale`` is above 0.
        """
        if not 0 < time_scale < float("inf"):
            raise ValueError(f"time_scale = {time_scale} must be above 0 and finite")
        scaled = {f.name: getattr(self, f.name) / time_scale for f in fields(self) if f.name.endswith("_s")}
        scaled["gap_s"] = max(scaled["gap_s"], min(self.gap_s, _SHORTEST_GAP_S))
        return replace(self, **scaled)
