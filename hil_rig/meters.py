"""Simulated meters: the inverse of a meter profile, and the faults of meters and lines.

Any model that has a profile (``config/meters/*.toml``) can be simulated, with all its channels. Registers exist where
the profile's blocks are, and between them where the profile says that gaps may be read; addresses there that carry no
value read 0, all others answer with an exception, as does any function but the profile's.
"""

from __future__ import annotations

import math
import struct
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec

from config.schema_meter import MeterValue, MeterValues
from hil_rig.wire import Reply, crc16

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from config.schema_meter import MeterProfile
    from hil_rig.world import Quantities

_FORMATS = {"u16": ">H", "s16": ">h", "u32": ">I", "s32": ">i", "f32": ">f"}
_REQUEST_BYTES = 6
_LARGEST_DATA = 250
_UNLOADED = {"current_a": 0.0, "power_w": 0.0, "power_factor": 0.0, "energy_wh": 0.0}
#: A JSY-MK-194T says 0x48 = 72 where 56 data bytes follow.
_FALSE_BYTES = 16
_ILLEGAL_FUNCTION, _ILLEGAL_ADDRESS, _ILLEGAL_COUNT = 1, 2, 3


@dataclass(slots=True)
class Faults:
    """What is wrong with a meter or its line now. May be changed while it runs; all but ``late_s`` stay.

    - ``dead``: no answer at all;
    - ``late_s``: the next reply comes this much later, seconds, once;
    - ``noise_before``, ``noise_after``: bytes around each reply;
    - ``bad_crc``: the CRC does not fit;
    - ``wrong_unit``: the reply carries another address (the next one) with a good CRC;
    - ``truncate``: only so many bytes of the reply are sent;
    - ``frozen``: the values stay as they were when last asked for;
    - ``scale_power``: power is shown so many times as large as it is;
    - ``power_factor``: this power factor is shown, whatever it is;
    - ``energy_stuck``: the energy register stays as it was when last asked for;
    - ``energy_back_wh``: the energy register shows so much less than was counted, Wh, but not less than nothing.
    """

    dead: bool = False
    late_s: float = 0.0
    noise_before: bytes = b""
    noise_after: bytes = b""
    bad_crc: bool = False
    wrong_unit: bool = False
    truncate: int | None = None
    frozen: bool = False
    scale_power: float = 1.0
    power_factor: float | None = None
    energy_stuck: bool = False
    energy_back_wh: float = 0.0


class SimulatedMeter:
    """One meter (a ``wire.Slave``) that shows what ``source`` measures in its first channel, ``more`` in the others.

    A channel without a source shows the supply of the first one and no load. ``power_scale``: which of the scales that
    the profile names for the power this unit really has; 0 = the first.
    With ``refresh_s`` above 0 it renews its registers only that often, seconds by ``clock``, and holds them in
    between, as real meters do; with 0 it shows the moment of the request. Whoever owns it calls ``renew`` often, or its
    registers are renewed no sooner than they are asked for.
    """

    def __init__(
        self,
        model: MeterProfile,
        source: Callable[[], Quantities],
        *,
        more: Sequence[Callable[[], Quantities]] = (),
        power_scale: int = 0,
        refresh_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.faults = Faults()
        self._model = model
        self._channels = (model.values, *model.channel)
        self._sources = (source, *more)
        self._power_scale = power_scale
        self.refresh_s = refresh_s
        self._clock = clock
        self._due_s = clock() + refresh_s
        self._lock = threading.Lock()
        self._shown = [measure() for measure in self._sources]
        spans = [range(block.start, block.start + block.count) for block in model.block]
        if model.gaps_readable:
            spans.append(range(min(span.start for span in spans), max(span.stop for span in spans)))
        self._existing = frozenset(address for span in spans for address in span)

    def renew(self) -> None:
        """Measure anew when it is time to; times that were missed are not made up for."""
        with self._lock:
            if self.refresh_s > 0:
                now_s = self._clock()
                if now_s < self._due_s:
                    return
                self._due_s += self.refresh_s * (1 + math.floor((now_s - self._due_s) / self.refresh_s))
            if not self.faults.frozen:
                self._shown = [
                    self._with_faults(measure(), shown)
                    for measure, shown in zip(self._sources, self._shown, strict=True)
                ]

    def _with_faults(self, measured: Quantities, shown: Quantities) -> Quantities:
        faults = self.faults
        energy_wh = max(0.0, measured.energy_wh - faults.energy_back_wh)
        return replace(
            measured,
            power_w=measured.power_w * faults.scale_power,
            power_factor=measured.power_factor if faults.power_factor is None else faults.power_factor,
            energy_wh=shown.energy_wh if faults.energy_stuck else energy_wh,
        )

    def answer(self, request: bytes) -> Reply | None:
        """Return the reply to ``request``, faults included; None is silence."""
        if self.faults.dead:
            return None
        unit = request[0] + 1 if self.faults.wrong_unit else request[0]
        frame = bytes([unit]) + self._response(request[1:])
        crc = crc16(frame)
        frame += bytes(byte ^ 0xFF for byte in crc) if self.faults.bad_crc else crc
        data = self.faults.noise_before + frame[: self.faults.truncate] + self.faults.noise_after
        late_s, self.faults.late_s = self.faults.late_s, 0.0
        return Reply(data, late_s)

    def _response(self, request: bytes) -> bytes:
        function = request[0]
        if function != self._model.function:
            return bytes([function | 0x80, _ILLEGAL_FUNCTION])
        if len(request) + 1 != _REQUEST_BYTES:
            return bytes([function | 0x80, _ILLEGAL_COUNT])
        start, count = struct.unpack(">HH", request[1:])
        if not 0 < count * self._model.bytes_per_register <= _LARGEST_DATA:
            return bytes([function | 0x80, _ILLEGAL_COUNT])
        if not self._existing.issuperset(range(start, start + count)):
            return bytes([function | 0x80, _ILLEGAL_ADDRESS])
        data = self.registers(start, count)
        length = len(data) + _FALSE_BYTES if self._model.byte_count_lies else len(data)
        return bytes([function, length & 0xFF]) + data

    def registers(self, start: int, count: int) -> bytes:
        """Return the contents of ``count`` registers from ``start`` now."""
        self.renew()
        width = self._model.bytes_per_register
        # A value may begin before the range or reach past it: build it all, then cut.
        image = bytearray((count + 4) * width)
        for index, values in enumerate(self._channels):
            shown = self._shown[index] if index < len(self._shown) else replace(self._shown[0], **_UNLOADED)
            for quantity in msgspec.structs.fields(MeterValues):
                value: MeterValue | None = getattr(values, quantity.name)
                if value is None:
                    continue
                if value.scales:
                    value = msgspec.structs.replace(value, scale=value.scales[self._power_scale])
                addresses = (value.address, *value.plus)
                raw = encode(value, getattr(shown, quantity.name) / len(addresses))  # the phases share a load evenly
                for address in addresses:
                    if start - 2 < address < start + count:
                        offset = (address - start + 1) * width
                        image[offset : offset + len(raw)] = raw
        return bytes(image[width : (count + 1) * width])


def encode(value: MeterValue, number: float) -> bytes:
    """Return the register bytes of ``number`` (in the unit of its key).

    Whole-number registers round to the nearest step; unsigned ones wrap as counters do at their end, and signed ones
    stop at it.
    """
    raw = number / value.scale
    if value.type == "f32":
        data = struct.pack(">f", raw)
    else:
        bits = 8 * struct.calcsize(_FORMATS[value.type])
        whole = round(raw)
        if value.type.startswith("u"):
            whole %= 1 << bits
        else:
            whole = max(-(1 << bits - 1), min((1 << bits - 1) - 1, whole))
        data = struct.pack(_FORMATS[value.type], whole)
    return data[2:] + data[:2] if value.word_order == "low_first" else data
