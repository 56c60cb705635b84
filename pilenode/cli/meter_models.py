"""From meter profiles to what the commissioning drivers need: beside ``guard.assemble`` the place that knows both."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from config.load import load
from config.meter_files import load_meter, meters
from drivers.identify import Identity, Model
from drivers.scan import Probe
from drivers.settings import Setting
from drivers.wire import Format
from pilenode.guard.meter_map import register_map

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from config.schema_meter import MeterIdentity, MeterProfile, MeterWrite
    from drivers.frames import Question

#: A probe reads two registers: some families refuse half a value.
_PROBE_COUNT = 2


class BusSettings(NamedTuple):
    """A line as a configuration has it, and the addresses that it expects there."""

    device: str
    format: Format
    units: tuple[int, ...]


def bus_of(path: str, name: str) -> BusSettings | None:
    """Return the line ``name`` of the configuration ``path``, None when it has none. Raises ConfigError."""
    config = load(path)
    bus = next((one for one in config.bus if one.name == name), None)
    if bus is None:
        return None
    units = {port.meter.unit for port in config.port if port.meter.bus == name}
    if config.cabinet.inlet is not None and config.cabinet.inlet.bus == name:
        units.add(config.cabinet.inlet.unit)
    return BusSettings(bus.device, Format(bus.baud, bus.parity, bus.stopbits), tuple(sorted(units)))


def profiles(names: Sequence[str] = ()) -> list[MeterProfile]:
    """Return the profiles called ``names``, or all of them. Raises ConfigError for an unknown one."""
    return [load_meter(name) for name in names or meters()]


def model(profile: MeterProfile) -> Model:
    """Return what identifying needs to know of a profile."""
    identity = profile.identity
    return Model(
        profile.model,
        register_map(profile),
        None if identity is None else _identity(identity),
        profile.byte_count_lies,
    )


def _identity(identity: MeterIdentity) -> Identity:
    return Identity(identity.function, identity.address, 2 if identity.type == "u32" else 1, identity.equals)


def setting(write: MeterWrite | None) -> Setting | None:
    """Return how a setting is written, None where the profile knows no way."""
    if write is None:
        return None
    codes = {int(entry.baud): entry.code for entry in write.codes}
    return Setting(write.function, write.address, write.type, write.place, codes, write.takes_effect)


def ask(profile: MeterProfile) -> Callable[[int], Question]:
    """Return the question that shows that a meter of this profile is there, for a unit: its first block."""
    own = model(profile)
    first = next(block for block in own.registers.blocks if block.fast)
    return lambda unit: own.question(unit, first)


def factory_format(profile: MeterProfile) -> Format:
    """Return how the line is set for a meter from the factory."""
    return Format(profile.serial.baud, profile.serial.parity, profile.serial.stopbits)


def first_probes(known: Sequence[MeterProfile]) -> tuple[Probe, ...]:
    """Return where each of the profiles is read, without repetition: what it surely answers."""
    probes = (Probe(one.function, min(block.start for block in one.block), _PROBE_COUNT) for one in known)
    return tuple(dict.fromkeys(probes))


def clear_command(profile: MeterProfile) -> tuple[bytes, bytes] | None:
    """Return request and reply that clear the energy, without unit and CRC; None where no source says how."""
    command = profile.commission.clear_energy
    return None if command is None else (bytes.fromhex(command.request), bytes.fromhex(command.reply))
