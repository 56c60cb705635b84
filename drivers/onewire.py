"""All DS18B20 of a cabinet in rounds: one conversion shared by a whole 1-wire bus where that is possible.

One probe after the other takes 0.8 s each. The kernel (w1_therm, since 5.10) can let every probe of a bus convert at
once: ``therm_bulk_read`` of the bus master takes the word ``trigger``, and its probes are then read in some 30 ms each.
Facts that this file rests on (kernel documentation and source of w1_therm):

- the word must come with its line end, eight bytes in one write; anything else is ignored *without* an error;
- the write blocks for the conversion; the file then says 1 (ready, not all read yet), -1 (still converting) or 0
  (nothing was converted: refused, or somebody else has read everything);
- a probe whose shared conversion was never read shows that old one at its next reading, however much later. So each
  reading carries the time *before* the trigger, and a probe is never left unread;
- a parasite-powered probe cannot convert while others do: its bus is read one by one.

A bus that cannot, or may not (the file belongs to root where no udev rule says otherwise), is read one by one. What
that costs at worst is part of the promise in numbers (``safety.budget.onewire_s``): after a shared conversion that
failed, none is tried for ten minutes on any bus.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from drivers.thermometer import W1Thermometer, write_attribute
from safety.budget import BULK_LIMIT_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from safety.reading import Missing, ProbeReading

#: No shared conversion after one that failed, seconds.
BULK_PAUSE_S: Final = 600.0
#: Pause between two looks at a conversion that is under way, seconds.
_LOOK_S: Final = 0.01
#: One probe alone gains nothing.
_FEWEST: Final = 2
_TRIGGER: Final = "trigger\n"
_READY, _CONVERTING = "1", "-1"
_PARASITE: Final = "0"


class OneWire:
    """``contracts.ProbeRound`` over the kernel's 1-wire buses.

    ``probes``: 1-wire id by the caller's number. ``root``: as a rule ``/sys/bus/w1/devices``, where the bus masters
    (``w1_bus_master1`` …) stand beside the probes. ``bulk``: whether conversions may be shared.
    """

    def __init__(
        self,
        root: str,
        probes: Mapping[int, str],
        *,
        resolution_bits: int | None = None,
        bulk: bool = True,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        self._root = Path(root)
        self._probes = {number: W1Thermometer(root, name, resolution_bits) for number, name in probes.items()}
        self._bulk = bulk
        self._bulk_from_s = 0.0
        self._wait = wait
        self._powered: dict[Path, tuple[frozenset[str], bool]] = {}
        self._news: list[str] = []

    def round(self, now: Callable[[], float]) -> Iterator[tuple[int, ProbeReading | Missing]]:
        """Yield every probe's number and reading once, as soon as it is known; ``now`` is guard's clock, seconds.

        Take all of it: what is left out is as old at its next reading. Blocks for conversions, never raises.
        """
        left = dict(self._probes)
        stale_s: dict[int, float] = {}
        for master, numbers in self._shared() if self._bulk and now() >= self._bulk_from_s else ():
            for number in numbers:
                self._probes[number].prepare()
            started_s = now()
            complaint = self._convert(master, started_s, now)
            stale_s |= dict.fromkeys(numbers, started_s)
            if complaint:
                # Nobody knows what these probes will show: a conversion of their own or the one that failed.
                self._bulk_from_s = now() + BULK_PAUSE_S
                self._powered.clear()
                self._news.append(f"{master.name}: {complaint}; its probes are read one by one")
                break
            for number in numbers:
                yield number, self._read(left.pop(number), started_s)
        for number, probe in left.items():
            yield number, self._read(probe, stale_s.get(number, now()))

    def news(self) -> list[str]:
        """Return what a technician should know and has not been told yet."""
        told, self._news = self._news, []
        return told

    def _read(self, probe: W1Thermometer, taken_s: float) -> ProbeReading | Missing:
        outcome = probe.read(taken_s)
        if probe.refused:
            self._news.append(probe.refused)
            probe.refused = ""
        return outcome

    def _shared(self) -> Iterator[tuple[Path, list[int]]]:
        """Yield the bus masters that can share a conversion, with the numbers of their probes."""
        for master in sorted(self._root.glob("w1_bus_master*")):
            numbers = [number for number, probe in self._probes.items() if (master / probe.probe_id).is_dir()]
            if len(numbers) >= _FEWEST and (master / "therm_bulk_read").exists() and self._all_powered(master):
                yield master, numbers

    def _all_powered(self, master: Path) -> bool:
        """Return whether no probe of this bus, ours or not, is parasite-powered. Asked anew when the probes change."""
        present = frozenset(path.name for path in master.glob("??-????????????"))
        known, powered = self._powered.get(master, (frozenset(), False))
        if present != known:
            powered = not any(_content(master / name / "ext_power") == _PARASITE for name in present)
            self._powered[master] = (present, powered)
        return powered

    def _convert(self, master: Path, started_s: float, now: Callable[[], float]) -> str:
        """Let all probes of a bus convert and wait for the end; return "" or why they did not."""
        file = master / "therm_bulk_read"
        try:
            write_attribute(file, _TRIGGER)
        except OSError as error:
            return f"no shared conversion ({error.strerror})"
        while (state := _content(file)) != _READY:
            if now() - started_s >= BULK_LIMIT_S:
                return f"shared conversion not ready after {BULK_LIMIT_S:g} s"
            if state == "0":
                return "shared conversion refused by the kernel"
            self._wait(_LOOK_S)
        return ""


def _content(file: Path) -> str:
    """Return the text of a file of sysfs, "" when it cannot be read."""
    try:
        return file.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
