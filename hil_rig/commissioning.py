"""Meters as a technician finds them: each with an address, a rate and a protocol of its own, and all of it can change.

A meter hears only what is sent at its own rate; the rate of the tested program is read from the tty. Parity cannot be
read there (a pty has none): ``ServiceRack.parity`` is set by whoever opens the line, and None passes for every parity.
Stop bits make no difference: a receiver needs one.

Two meters that answer at the same time are heard as the AND of their bits, as on a line where the dominant level wins.
"""

from __future__ import annotations

import os
import struct
import termios
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from hil_rig.meters import SimulatedMeter
from hil_rig.wire import Rack, Reply, Timing, crc16

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from config.schema_meter import MeterProfile, MeterWrite
    from hil_rig.world import Quantities

_BAUDS: Final = {
    getattr(termios, f"B{baud}"): baud for baud in (1200, 2400, 4800, 9600, 19_200, 38_400, 57_600, 115_200)
}
_READ, _WRITE_ONE, _WRITE_SOME = 3, 6, 16
_ILLEGAL_FUNCTION, _ILLEGAL_ADDRESS, _ILLEGAL_VALUE = 1, 2, 3
_SHIFT_MASK: Final = {"whole": (0, 0xFFFF), "high_byte": (8, 0xFF), "low_byte": (0, 0xFF), "low_nibble": (0, 0x0F)}
#: A DL/T 645 frame that asks everybody for the address, and data (33h added) of the change-over (ZTY0.464.922).
_WHO: Final = bytes.fromhex("68 AA AA AA AA AA AA 68 13 00 DF 16")
_CHANGE_OVER: Final = bytes.fromhex("33 33 35 3D 35 33 33 33 33 33 33 33 33 33")


@dataclass(slots=True)
class ServiceFaults:
    """What goes wrong when a meter is written to. May be changed while it runs.

    - ``refuses``: answers every write with this exception code, and obeys only if ``obeys_all_the_same``;
    - ``mute``: obeys a write and does not answer it;
    - ``forgets``: answers a write well and stays as it was;
    - ``power_cut``: the power is lost with the next write, "before" or "after" the setting was stored; ``powered``
      brings it back;
    - ``lag_s``: how much later than others this meter answers, seconds.
    """

    refuses: int | None = None
    obeys_all_the_same: bool = False
    mute: bool = False
    forgets: bool = False
    power_cut: Literal["", "before", "after"] = ""
    lag_s: float = 0.0


class ServiceMeter:
    """A simulated meter that can be set as its profile says (``commission``).

    ``dlt645`` is its twelve-digit number while it speaks DL/T 645 (2400 8E1); after a change-over it speaks Modbus as
    the profile's ``serial`` says, at the last two digits of the number. ``rest``: other bits of a packed register.
    """

    def __init__(
        self,
        model: MeterProfile,
        source: Callable[[], Quantities],
        *,
        unit: int | None = None,
        baud: int | None = None,
        parity: str | None = None,
        rest: int = 0,
        dlt645: str = "",
    ) -> None:
        self.model = model
        self.unit = model.serial.unit if unit is None else unit
        self.baud = baud or (2400 if dlt645 else model.serial.baud)
        self.parity = parity or ("E" if dlt645 else model.serial.parity)
        self.rest = rest
        self.dlt645 = dlt645
        self.powered = True
        self.faults = ServiceFaults()
        #: Every write that reached this meter, without CRC.
        self.writes: list[bytes] = []
        self._source = source
        self._cleared_wh = 0.0
        self._waiting: dict[str, int] = {}
        self.reader = SimulatedMeter(model, self._measure)

    def _measure(self) -> Quantities:
        now = self._source()
        return replace(now, energy_wh=now.energy_wh - self._cleared_wh)

    def power_cycle(self) -> None:
        """Switch off and on: settings that waited for it hold from now on."""
        self.powered = True
        self.unit = self._waiting.get("unit", self.unit)
        self.baud = self._waiting.get("baud", self.baud)
        self._waiting.clear()

    def hear(self, frame: bytes, baud: int, parity: str | None) -> Reply | None:
        """Return what this meter sends when ``frame`` goes over the line at this rate; None is silence."""
        if not self.powered or baud != self.baud or parity not in {None, self.parity}:
            return None
        reply = self._dlt645(frame) if self.dlt645 else self._modbus(frame)
        return None if reply is None else Reply(reply.data, reply.delay_s + self.faults.lag_s)

    # -- Modbus ----------------------------------------------------------------------------------------

    def _modbus(self, frame: bytes) -> Reply | None:
        if crc16(frame[:-2]) != frame[-2:] or frame[0] != self.unit:
            return None
        body = frame[1:-2]
        command = self.model.commission.clear_energy
        if command is not None and body == bytes.fromhex(command.request):
            return self._write(frame, bytes.fromhex(command.reply), self._clear)
        if body[0] == _READ and (held := self._settings(body)) is not None:
            return self._reply(bytes([_READ, len(held)]) + held)
        if body[0] in (_WRITE_ONE, _WRITE_SOME):
            return self._change(frame, body)
        return self.reader.answer(frame[:-2])

    def _reply(self, body: bytes, unit: int | None = None) -> Reply:
        data = bytes([self.unit if unit is None else unit]) + body
        return Reply(data + crc16(data))

    def _places(self) -> list[tuple[str, MeterWrite]]:
        own = self.model.commission
        return [(name, one) for name, one in (("unit", own.unit), ("baud", own.baud)) if one is not None]

    def _settings(self, body: bytes) -> bytes | None:
        """Return the registers of settings that a read asks for, None when it asks for others."""
        start, count = struct.unpack(">HH", body[1:])
        here = [(name, one) for name, one in self._places() if one.address == start]
        if not here or count != (2 if here[0][1].type == "f32" else 1):
            return None
        word = self.rest
        for name, one in here:
            value = self._waiting.get(name, getattr(self, name))
            code = next((entry.code for entry in one.codes if entry.baud == value), value)
            if one.type == "f32":
                return struct.pack(">f", code)
            word |= code << _SHIFT_MASK[one.place][0]
        return word.to_bytes(2, "big")

    def _change(self, frame: bytes, body: bytes) -> Reply | None:
        start = int.from_bytes(body[1:3], "big")
        here = [(name, one) for name, one in self._places() if one.address == start and one.function == body[0]]
        if not here:
            known = any(one.function == body[0] for _, one in self._places())
            return self._reply(bytes([body[0] | 0x80, _ILLEGAL_ADDRESS if known else _ILLEGAL_FUNCTION]))
        data = body[3:] if body[0] == _WRITE_ONE else body[6:]
        wanted: dict[str, int] = {}
        for name, one in here:
            shift, mask = _SHIFT_MASK[one.place]
            code = (
                int(struct.unpack(">f", data)[0]) if one.type == "f32" else int.from_bytes(data, "big") >> shift & mask
            )
            values = {entry.code: entry.baud for entry in one.codes} if one.codes else {code: code}
            if code not in values:
                return self._reply(bytes([body[0] | 0x80, _ILLEGAL_VALUE]))
            wanted[name] = values[code]
        later = here[0][1].takes_effect == "after_power_cycle"
        return self._write(frame, body if body[0] == _WRITE_ONE else body[:5], lambda: self._take(wanted, later=later))

    def _take(self, wanted: dict[str, int], *, later: bool) -> None:
        if later:
            self._waiting |= wanted
        else:
            for name, value in wanted.items():
                setattr(self, name, value)

    def _clear(self) -> None:
        self._cleared_wh = self._source().energy_wh

    def _write(self, frame: bytes, good: bytes, obey: Callable[[], None]) -> Reply | None:
        """Carry a write out, with everything that may go wrong."""
        faults, unit = self.faults, self.unit
        self.writes.append(frame[:-2])
        cut, faults.power_cut = faults.power_cut, ""
        if cut != "before" and not faults.forgets and (faults.refuses is None or faults.obeys_all_the_same):
            obey()
        if cut:
            self.powered = False
        if cut or faults.mute:
            return None
        if faults.refuses is not None:
            return self._reply(bytes([frame[1] | 0x80, faults.refuses]), unit)
        return self._reply(good, unit)

    # -- DL/T 645 --------------------------------------------------------------------------------------

    def _dlt645(self, frame: bytes) -> Reply | None:
        body = frame.lstrip(b"\xfe")
        if frame == body:  # no wake-up bytes: it sleeps on
            return None
        own = bytes.fromhex(self.dlt645)[::-1]
        if body == _WHO:
            return self._said(own, 0x93, bytes((byte + 0x33) & 0xFF for byte in own))
        head = b"\x68" + own + b"\x68"
        if not body.startswith(head) or sum(body[:-2]) & 0xFF != body[-2] or body[-1:] != b"\x16":
            return None
        self.writes.append(body)
        if body[8:10] != b"\x14\x0e" or body[10:-2] != _CHANGE_OVER or self.faults.refuses is not None:
            return self._said(own, 0xD4, b"\x34")
        if not self.faults.forgets:
            self.unit = int(self.dlt645[-2:]) or 1
            self.dlt645, self.baud, self.parity = "", self.model.serial.baud, self.model.serial.parity
        return None if self.faults.mute else self._said(own, 0x94, b"")

    @staticmethod
    def _said(own: bytes, control: int, data: bytes) -> Reply:
        body = b"\x68" + own + b"\x68" + bytes([control, len(data)]) + data
        return Reply(b"\xfe\xfe" + body + bytes([sum(body) & 0xFF, 0x16]))


class ServiceRack(Rack):
    """A line with such meters. ``device`` is the tty; ``baud`` and all times follow how the tested program sets it.

    With ``echo`` the line is heard by whoever sends on it. ``heard`` is every frame that went over the line, with the
    rate at which it did.
    """

    def __init__(self, stations: Sequence[ServiceMeter], *, turnaround_s: float = 0.005, echo: bool = False) -> None:
        super().__init__({}, turnaround_s=turnaround_s)
        self.stations = list(stations)
        self.echo = echo
        self.parity: str | None = None
        self._differ()
        self.heard: list[tuple[int, bytes]] = []

    def _arrived(self, data: bytes) -> None:
        baud = _BAUDS.get(termios.tcgetattr(self._far_end)[4], self.timing.baud)
        if baud != self.timing.baud:
            self.timing = Timing(baud)
        self._differ()
        if self.echo:
            os.write(self._master, data)

    def _differ(self) -> None:
        """Leave the tty set in a way that every opening changes.

        A pty takes no parity, and the C library calls that an error when nothing else was changed with it.
        """
        attributes = termios.tcgetattr(self._far_end)
        attributes[0] |= termios.IXANY  # means nothing without IXON
        termios.tcsetattr(self._far_end, termios.TCSANOW, attributes)

    def _replies(self, frame: bytes) -> list[Reply]:
        self.counts.requests += 1
        self.heard.append((self.timing.baud, frame))
        replies = [station.hear(frame, self.timing.baud, self.parity) for station in self.stations]
        return on_one_wire([reply for reply in replies if reply is not None], self.timing.character_s)


def on_one_wire(replies: list[Reply], character_s: float) -> list[Reply]:
    """Return what is heard when these are sent: those that overlap in time spoil each other."""
    heard: list[Reply] = []
    for reply in sorted(replies, key=lambda one: one.delay_s):
        before = heard[-1] if heard else None
        offset = 0 if before is None else int((reply.delay_s - before.delay_s) / character_s)
        if before is None or offset > len(before.data):
            heard.append(reply)
            continue
        mixed = bytearray(max(len(before.data), offset + len(reply.data)) * b"\xff")
        for begin, data in ((0, before.data), (offset, reply.data)):
            for index, byte in enumerate(data):
                mixed[begin + index] &= byte
        heard[-1] = Reply(bytes(mixed), before.delay_s)
    return heard
