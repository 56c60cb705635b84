"""From a configuration to the promise in numbers, and what is wrong with a configuration that breaks it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from config.budget_words import PATHS, TERMS
from config.walk import Finding
from safety import budget as arithmetic
from safety.read_plan import Span, plan

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from config.schema import Bus, Config, Port
    from config.schema_meter import MeterProfile
    from config.schema_probe import Probe, ProbeModule
    from safety.budget import LineTiming, MeterTiming, Path
    from safety.limits import PortLimits

#: Kinds of input that cut whatever their policy says.
_ALWAYS_CUT = frozenset({"smoke", "fire", "estop", "rcd", "flood"})


@dataclass(frozen=True, slots=True)
class PortBudget:
    """What a hazard at one port may take, seconds.

    ``paths`` are held against the promise; ``dwelling`` are hazards borne for a time on purpose, for information.
    ``oldest_s``: how old a reading gets on a wire that works, to be held against the age limit ``max_age_s``.
    """

    port: int
    bus: str
    paths: tuple[Path, ...]
    dwelling: tuple[Path, ...]
    oldest_s: float
    max_age_s: float

    @property
    def worst(self) -> Path:
        """The slowest path."""
        return max(self.paths, key=lambda path: path.total_s)


@dataclass(frozen=True, slots=True)
class ContactBudget:
    """An external contact: until the relays are open, and until the master contactor is (None: there is none)."""

    name: str
    relays: Path
    contactor: Path | None


@dataclass(frozen=True, slots=True)
class Budget:
    """The budget of a cabinet. ``promise_s`` is what every path of every port must keep to."""

    promise_s: float
    dead_meters: int
    ports: tuple[PortBudget, ...]
    contacts: tuple[ContactBudget, ...]

    @property
    def kept(self) -> bool:
        """Whether every port keeps the promise, and no healthy port is cut because its turn comes too late."""
        return all(port.worst.total_s <= self.promise_s and port.oldest_s < port.max_age_s for port in self.ports)


def meter_timing(line: LineTiming, profile: MeterProfile, *, again: bool) -> MeterTiming:
    """Return the times of a meter on ``line``, its blocks joined as the driver joins them.

    ``again``: it serves a port, so a reading over the fast stage is confirmed at once.
    """
    spans = [Span(block.start, block.count, block.rate == "fast") for block in profile.block]
    reads = plan(spans, profile.bytes_per_register, line.transaction_s, gaps_readable=profile.gaps_readable)
    return arithmetic.MeterTiming(
        line,
        fast=tuple(read.count * profile.bytes_per_register for read in reads if read.fast),
        slow=tuple(read.count * profile.bytes_per_register for read in reads if not read.fast),
        refresh_s=profile.refresh_ms / 1000,
        again=again,
    )


@dataclass(frozen=True, slots=True)
class _Device:
    """A slave on a bus and the ports that its channels serve; none for an inlet meter or a temperature module."""

    bus: str
    timing: MeterTiming
    ports: tuple[Port, ...]


def _devices(config: Config, profiles: Mapping[str, MeterProfile]) -> list[_Device]:
    """Return every slave once, however many of its channels are in use; temperature modules come last.

    A module takes its turns on the wire as a meter does.
    """
    served: dict[tuple[str, int], list[Port]] = {}
    models: dict[tuple[str, int], str] = {}
    for port in config.port:
        place = (port.meter.bus, port.meter.unit)
        served.setdefault(place, []).append(port)
        models[place] = port.meter.model
    if (inlet := config.cabinet.inlet) is not None:
        served.setdefault((inlet.bus, inlet.unit), [])
        models.setdefault((inlet.bus, inlet.unit), inlet.model)
    lines = {
        bus.name: arithmetic.line_timing(bus.baud, bus.parity, bus.stopbits, bus.turnaround_ms / 1000)
        for bus in config.bus
    }
    meters = [
        _Device(place[0], meter_timing(lines[place[0]], profiles[models[place]], again=bool(ports)), tuple(ports))
        for place, ports in served.items()
    ]
    modules = [_Device(one.bus, _module_timing(lines[one.bus], one), ()) for one in config.probe_module]
    return meters + modules


def compute(config: Config, profiles: Mapping[str, MeterProfile], limits: Mapping[int, PortLimits]) -> Budget:
    """Return the budget of ``config``.

    ``profiles`` are the meters by model, ``limits`` those of the ports by number.
    """
    contacts = tuple(_contacts(config))
    devices = _devices(config, profiles)
    heat_s = _heat_s(config, [(device.bus, device.timing) for device in devices])
    found = {}
    for device in devices:
        others = [other.timing for other in devices if other.bus == device.bus and other is not device]
        for port in device.ports:
            limited = limits[port.number]
            found[port.number] = _port(config, port, device.timing, others, limited, heat_s.get(port.number))
    ports = tuple(found[port.number] for port in config.port)
    return Budget(config.promise.cut_s, config.promise.dead_meters, ports, contacts)


def _module_timing(line: LineTiming, module: ProbeModule) -> MeterTiming:
    return arithmetic.MeterTiming(line, (arithmetic.MODULE_BYTES,), refresh_s=module.refresh_s, again=False)


def _heat_s(config: Config, timings: Sequence[tuple[str, MeterTiming]]) -> dict[int, float]:
    """Return by port number how long it takes at worst until a temperature at its probe has been read.

    ``timings``: bus and times of every slave, those of the modules last.
    """
    fitted: dict[int, Probe] = {port.number: port.probe for port in config.port if port.probe is not None}
    every = [*fitted.values(), *([config.cabinet.probe] if config.cabinet.probe is not None else [])]
    onewire_s = arithmetic.onewire_s(sum(probe.id is not None for probe in every), config.onewire.interval_s)
    adc_s = {
        adc.name: arithmetic.adc_s(sum(probe.adc == adc.name for probe in every), adc.interval_s) for adc in config.adc
    }
    module_s = {}
    for place, module in enumerate(config.probe_module, len(timings) - len(config.probe_module)):
        others = [timing for other, (bus, timing) in enumerate(timings) if bus == module.bus and other != place]
        module_s[module.name] = arithmetic.module_s(
            timings[place][1], others, config.promise.dead_meters, module.interval_s
        )
    return {
        number: adc_s[probe.adc] if probe.adc else module_s[probe.module] if probe.module else onewire_s
        for number, probe in fitted.items()
    }


def _port(
    config: Config,
    port: Port,
    own: MeterTiming,
    others: list[MeterTiming],
    limits: PortLimits,
    heat_s: float | None,
) -> PortBudget:
    promise = config.promise
    dead, release_s, contactor_s = (
        promise.dead_meters,
        promise.relay_release_ms / 1000,
        promise.contactor_release_ms / 1000,
    )
    paths = [arithmetic.seen(own, others, dead, limits, release_s), arithmetic.silence(own, limits, release_s)]
    paths += [
        arithmetic.contact(entry.debounce_s, release_s)
        for entry in config.input
        if _cuts(entry.kind, entry.policy) and (not entry.ports or port.number in entry.ports)
    ]
    slow = [*arithmetic.dwelling(own, others, dead, limits, release_s)]
    if heat_s is not None:
        slow.append(arithmetic.heat(heat_s, limits.temperature_trip_s, limits.probe_max_age_s, release_s))
    if config.gpio.contactor_pin is not None:
        slow.append(arithmetic.weld(own, others, dead, limits, contactor_s))
    oldest_s = arithmetic.oldest_s(own, others, dead)
    return PortBudget(port.number, port.meter.bus, tuple(paths), tuple(slow), oldest_s, limits.meter_max_age_s)


def _cuts(kind: str, policy: str) -> bool:
    return kind in _ALWAYS_CUT or policy == "cut"


def _contacts(config: Config) -> Iterator[ContactBudget]:
    promise = config.promise
    for entry in config.input:
        if _cuts(entry.kind, entry.policy):
            relays = arithmetic.contact(entry.debounce_s, promise.relay_release_ms / 1000)
            contactor = arithmetic.contact(entry.debounce_s, promise.contactor_release_ms / 1000, "contactor")
            has_one = config.gpio.contactor_pin is not None
            yield ContactBudget(entry.name, relays, contactor if has_one else None)


# -- what breaks the promise -------------------------------------------------------------------------------


def findings(config: Config, budget: Budget) -> Iterator[Finding]:
    """Yield one finding for each bus whose ports break the promise, and one for each whose readings get too old."""
    for index, bus in enumerate(config.bus):
        ports = [port for port in budget.ports if port.bus == bus.name]
        if not ports:
            continue
        late = max(ports, key=lambda port: port.oldest_s - port.max_age_s)
        if late.oldest_s >= late.max_age_s:
            yield _too_old(("bus", index), bus, len(ports), late, budget)
        slow = max(ports, key=lambda port: port.worst.total_s)
        if slow.worst.total_s > budget.promise_s:
            yield _too_slow(("bus", index), slow, budget)


def _too_old(path: tuple[str, int], bus: Bus, ports: int, late: PortBudget, budget: Budget) -> Finding:
    dead, age_s, limit_s = budget.dead_meters, late.oldest_s, late.max_age_s
    return Finding(
        path,
        "sweep_too_long",
        f"总线 {bus.name}：{bus.baud} 波特，{ports} 个端口，允许 {dead} 个失效电表，应答 {bus.turnaround_ms:g} 毫秒："
        f"读数最长 {age_s:.2f} 秒才更新，而 meter_max_age_s = {limit_s:g} 秒。",
        f"Bus {bus.name}, {bus.baud} baud, {ports} port{'s' if ports > 1 else ''}, {dead} dead meters allowed, "
        f"turnaround {bus.turnaround_ms:g} ms: readings get {age_s:.2f} s old; meter_max_age_s = {limit_s:g} s.",
    )


def _too_slow(path: tuple[str, int], slow: PortBudget, budget: Budget) -> Finding:
    worst, longest = slow.worst, slow.worst.dominating
    way, part = PATHS[worst.name], TERMS[longest.name]
    return Finding(
        path,
        "promise_broken",
        f"端口 {slow.port} 最坏情况 {worst.total_s:.2f} 秒（{way.zh}），允许 {budget.promise_s:g} 秒；"
        f"主要部分：{part.zh} {longest.seconds:.2f} 秒（{part.formula_zh}）。",
        f"Port {slow.port} needs {worst.total_s:.2f} s at worst ({way.en}), allowed are {budget.promise_s:g} s; "
        f"its longest part: {part.en}, {longest.seconds:.2f} s ({part.formula_en}).",
    )
