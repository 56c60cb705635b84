"""The doors that are fuzzed. A new way in is one line here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, partial
from typing import TYPE_CHECKING, Final

from hil_rig.fuzz import config_door, control_door, guard_door, mqtt_door
from hil_rig.fuzz.mutate import mutated

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    from hil_rig.fuzz.doors import Door
    from pilenode.upstream.contract import DownLeaf


@dataclass(frozen=True, slots=True)
class Target:
    """One door: how it is built, what good inputs look like, and how many of all inputs it gets (``share``).

    ``shape`` is a name in ``mutate.SHAPES``. ``bound_ms``: no input may take longer. ``traced``: one of so many inputs
    is traced, because it costs five times the rest. ``remake`` turns a changed input into one that passes a first
    check, a signature for instance.
    """

    name: str
    door: Callable[[], Door]
    samples: Callable[[], Sequence[bytes]]
    shape: str
    share: float
    bound_ms: float = 50.0
    traced: int = 4
    remake: Callable[[Random, bytes], bytes] | None = None

    def seeds(self) -> Sequence[bytes]:
        """Return the inputs that everything begins with."""
        return _seeds(self.samples)

    def change(self, random: Random, corpus: Sequence[bytes], others: Sequence[bytes]) -> bytes:
        """Return an input made of the corpus."""
        data = mutated(random, self.shape, corpus, others)
        return data if self.remake is None else self.remake(random, data)


@cache
def _seeds(samples: Callable[[], Sequence[bytes]]) -> Sequence[bytes]:
    return tuple(samples())


def _mqtt(leaf: DownLeaf, share: float) -> Target:
    """Return the target of a topic on which a cabinet is told something."""
    return Target(leaf, partial(mqtt_door.Door, leaf), partial(mqtt_door.samples, leaf), "json", share)


_RETAINED: Final = partial(mqtt_door.Door, "cmd", retained=True)
_SIGNED: Final = partial(mqtt_door.Door, "cmd", signed=True)

TARGETS: Final = {
    one.name: one
    for one in (
        _mqtt("ack", 0.23),
        _mqtt("time", 0.20),
        _mqtt("cmd", 0.28),
        # A text of up to 60 KiB inside it.
        replace(_mqtt("cfg", 0.02), bound_ms=500.0, remake=mqtt_door.dressed),
        Target("cmd-retained", _RETAINED, partial(mqtt_door.samples, "cmd"), "json", 0.07),
        Target("cmd-signed", _SIGNED, mqtt_door.signed_samples, "json", 0.08, remake=mqtt_door.sealed),
        # An input is up to 16 KiB of requests, hundreds of them.
        Target("guard", guard_door.Door, guard_door.samples, "frames", 0.05, bound_ms=200.0),
        Target("control", control_door.Door, control_door.samples, "frames", 0.02, bound_ms=500.0),
        # Files of up to 64 KiB.
        Target("config", config_door.Door, config_door.samples, "toml", 0.015, bound_ms=500.0),
        Target("meter", config_door.MeterDoor, config_door.meter_samples, "toml", 0.015, bound_ms=500.0),
        Target("tariff", config_door.TariffDoor, config_door.tariff_samples, "toml", 0.02, bound_ms=500.0),
    )
}
