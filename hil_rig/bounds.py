"""The computed longest time from an injected hazard to the cut: ``safety.budget`` and what each rule bears on purpose.

Nothing here is measured. A bound is how long a hazard can stay unseen (budget: refresh, missed, wait, first), what its
rule waits for (dwell, further readings), one tick and the release of relay or contactor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pilenode.guard.schedule import ENERGY_LIVE_S
from safety import budget
from safety.budget import ENERGY_APART
from safety.cabinet_heat import TOGETHER_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    from config.schema import Bus, Config
    from config.schema_meter import MeterProfile
    from safety.budget import MeterTiming
    from safety.limits import CabinetLimits, PortLimits

#: safety.rise keeps this many readings of a window, and may need one more to cover it.
_RISE_PARTS = 6


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bounds of one port, seconds.

    ``own`` and ``others``: the meters of its line; ``dead``: how many of the others may be dead. ``lossy``: replies
    get lost, so that only the age limit bounds the time between two readings. ``probes_s``: one round over all probes.
    """

    own: MeterTiming
    others: Sequence[MeterTiming]
    dead: int
    limits: PortLimits
    cabinet: CabinetLimits
    relay_s: float
    contactor_s: float
    probes_s: float
    lossy: bool = False

    @property
    def sight_s(self) -> float:
        """Until the first reading that shows the hazard is on the board."""
        seen = sum(term.seconds for term in self._seen().terms[:4])
        return max(seen, self.own.refresh_s + self.own.sample_s + self.limits.meter_max_age_s) if self.lossy else seen

    @property
    def round_s(self) -> float:
        """Until the next reading of the same meter."""
        wait = sum(term.seconds for term in self._seen().terms[2:4])
        return max(wait, self.limits.meter_max_age_s) if self.lossy else wait

    def _seen(self) -> budget.Path:
        return budget.seen(self.own, self.others, self.dead, self.limits, self.relay_s)

    def _end_s(self, *, contactor: bool = False) -> float:
        return budget.TICK_S + budget.TICK_LATE_S + (self.contactor_s if contactor else self.relay_s)

    def after(self, dwell_s: float, more_readings: int = 0, *, contactor: bool = False) -> float:
        """Return the bound of a meter hazard that must last ``dwell_s`` and show in so many more readings."""
        return self.sight_s + max(dwell_s, more_readings * self.round_s) + self._end_s(contactor=contactor)

    # -- over-current, over-power ---------------------------------------------------------------------------

    def fast(self) -> float:
        """Return the bound above the fast stage, two readings: the path that the configuration promises."""
        silent = budget.silence(self.own, self.limits, self.relay_s).total_s
        return max(self._seen().total_s, silent) if self.lossy else self._seen().total_s

    def inverse_time(self, multiple: float) -> float:
        """Return the bound of so many times the limit, below the fast stage."""
        slow = self.limits.over_current_slow_s * (self.limits.over_current_slow_ratio - 1.0) / (multiple - 1.0)
        return self.after(slow)

    # -- voltage --------------------------------------------------------------------------------------------

    def voltage(self) -> float:
        """Return the bound of over- and under-voltage: two readings and its time."""
        return self.after(self.limits.voltage_s, 1)

    def loss(self) -> float:
        """Return the bound of a lost supply or an open fuse: a neighbour's voltage may be as old as readings get."""
        hold_s = max(self.limits.supply_lost_s, self.limits.meter_max_age_s)
        return self.after(hold_s + self.round_s, 1)

    # -- meter ----------------------------------------------------------------------------------------------

    def dead_meter(self) -> float:
        """Return the bound of a meter that falls silent just after a reading."""
        return self.own.sample_s + self.limits.meter_max_age_s + self._end_s()

    def implausible(self) -> float:
        """Return the bound of V, A and W that contradict each other."""
        return self.after(self.limits.implausible_s, self.limits.implausible_samples - 1)

    @property
    def register_gap_s(self) -> float:
        """Until the register has been read again: it rides along with few of the polls where it needs its own read."""
        rounds = 2 * (ENERGY_APART + 1) if self.own.slow else 1
        return ENERGY_LIVE_S + rounds * self.round_s

    def register(self, due_wh: float, power_w: float) -> float:
        """Return the bound of a wrong energy register; ``due_wh`` flow at ``power_w`` before anybody can know."""
        gap_s = self.register_gap_s
        repeated_s = max(self.limits.implausible_s, (self.limits.implausible_samples - 1) * gap_s)
        return self.after(due_wh * 3600.0 / power_w + gap_s + repeated_s)

    def frozen(self) -> float:
        """Return the bound of values that stay the same."""
        # The register is one of the values; read on its own, it may show once more what is old already.
        last_s = self.register_gap_s if self.own.slow else 0.0
        return self.after(self.limits.meter_frozen_s + self.round_s + last_s)

    # -- heat -----------------------------------------------------------------------------------------------

    def heat(self, trip_s: float, *, contactor: bool = False) -> float:
        """Return the bound of a probe that jumps over its trip temperature: it takes the next round to believe it."""
        return self.probes_s + max(trip_s, self.probes_s) + self._end_s(contactor=contactor)

    def rise(self, window_s: float, *, contactor: bool = False) -> float:
        """Return the bound of a fast rise: a whole window of readings, each of them a round late."""
        parts_s = (_RISE_PARTS + 1) * (window_s / _RISE_PARTS + self.probes_s)
        return parts_s + self.probes_s + self._end_s(contactor=contactor)

    def rise_together(self, window_s: float) -> float:
        """Return the bound of several probes that rise at once."""
        return self.rise(window_s, contactor=True) + TOGETHER_S

    # -- relay, contacts, cabinet -----------------------------------------------------------------------------

    def weld(self) -> float:
        """Return the bound from the order to open a welded relay until the contactor has dropped."""
        settle_s = self.limits.opened_after_s
        return settle_s + self.after(0.0, self.limits.weld_samples, contactor=True)

    def live_before_closing(self) -> float:
        """Return the bound from the contactor's closing on a welded relay until it has dropped again."""
        return self.after(0.0, self.limits.weld_samples, contactor=True)

    def not_closed(self) -> float:
        """Return the bound from the order to close until the latch, with a meter behind the relay."""
        return self.limits.closed_after_s + self.after(0.0, self.limits.weld_samples)

    def contact(self, debounce_s: float, *, contactor: bool = True) -> float:
        """Return the bound of an external contact."""
        return budget.contact(debounce_s, self.contactor_s if contactor else self.relay_s).total_s

    def overload(self) -> float:
        """Return the bound of all ports together drawing too much."""
        return self.after(self.cabinet.shed_s)

    def lease(self) -> float:
        """Return the bound of a lease that runs out."""
        return self._end_s()

    def self_test(self, *, contactor: bool = True) -> float:
        """Return the bound of what guard finds in one tick: its self tests, the contactor's auxiliary contact."""
        return budget.TICK_S + budget.TICK_LATE_S + self._end_s(contactor=contactor)

    def feedback(self) -> float:
        """Return the bound of an auxiliary contact that no longer agrees with its contactor."""
        return self.cabinet.contactor_feedback_s + self.self_test()

    def chatter(self, period_s: float) -> float:
        """Return the bound of a current that breaks off every ``period_s``, from the first break."""
        # The first break may come before the load has been read, and the last one ends with its return.
        # One break may fall between two samples.
        return self.after((self.limits.chatter_breaks + 3) * period_s)


def meter_timing(bus: Bus, profile: MeterProfile) -> MeterTiming:
    """Return the times of a meter of that profile on that line."""
    sizes = {
        rate: tuple(block.count * profile.bytes_per_register for block in profile.block if block.rate == rate)
        for rate in ("fast", "slow")
    }
    line = budget.line_timing(bus.baud, bus.parity, bus.stopbits, bus.turnaround_ms / 1000)
    return budget.MeterTiming(line, sizes["fast"], sizes["slow"], profile.refresh_ms / 1000)


def of(
    config: Config,
    profile: MeterProfile,
    limits: dict[int, PortLimits],
    cabinet: CabinetLimits,
) -> dict[int, Bounds]:
    """Return the bounds of every port of a cabinet whose meters are all of one profile, the inlet's included."""
    buses = {bus.name: bus for bus in config.bus}
    timings = {name: meter_timing(bus, profile) for name, bus in buses.items()}
    per_bus = {name: sum(port.meter.bus == name for port in config.port) for name in buses}
    if config.cabinet.inlet is not None:
        per_bus[config.cabinet.inlet.bus] += 1
    probes = sum(port.probe is not None for port in config.port) + (config.cabinet.probe is not None)
    probes_s = budget.onewire_s(probes, config.onewire.interval_s)
    return {
        port.number: Bounds(
            timings[port.meter.bus],
            [timings[port.meter.bus]] * (per_bus[port.meter.bus] - 1),
            config.promise.dead_meters,
            limits[port.number],
            cabinet,
            config.promise.relay_release_ms / 1000,
            config.promise.contactor_release_ms / 1000,
            probes_s,
        )
        for port in config.port
    }
