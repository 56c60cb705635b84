"""One RS-485 line as Modbus RTU master: requests out, checked replies in, and no reply that answers another question.

RTU replies carry no number: a reply that comes late looks like the answer to the next request, and a stock client
takes it. Hence the discipline of this file:

- t3.5 of silence before every request, measured from the last byte seen or sent, with the input drained first;
- the length of the reply is computed from the request; unit, function, byte count and CRC must all agree;
- after any failed read the line is drained until it has been quiet for a quiet time, and the unit is *suspect*: its
  next good-looking reply is thrown away, the line drained again and the question repeated.

What remains: a reply of the right unit, function and length that comes more than two quiet times after its time-out
cannot be told from a good one by anybody. ``turnaround_s`` must be honest.

Times are seconds on CLOCK_MONOTONIC. Nothing here raises for trouble on the wire or a missing adapter.

pyserial opens and configures the tty; pymodbus encodes the request PDU and computes the CRC, and nothing else: its
client waits out its time-out after a bad CRC, takes replies of another function or length, and keeps time on the wall
clock. Importing even these parts brings asyncio and ssl into the process (pymodbus 3.16), unused.

Not handled: adapters that echo the request; they show as wrong frames on every read.
"""

from __future__ import annotations

import contextlib
import os
import select
import termios
import time
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import serial
from pymodbus.framer.rtu import FramerRTU
from pymodbus.pdu.decoders import DecodePDU
from pymodbus.pdu.register_message import ReadHoldingRegistersRequest, ReadInputRegistersRequest

from safety.budget import LATENESS_S, OVERHEAD_BYTES, line_timing
from safety.reading import MissingReason

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Pause between two attempts to open the device, seconds.
REOPEN_S: Final = 1.0

#: Unit, function, byte count and CRC around the data; also the length of an exception reply.
_OVERHEAD_BYTES: Final = OVERHEAD_BYTES
_EXCEPTION_BIT: Final = 0x80
_MAX_UNIT: Final = 247
_REQUESTS: Final = {3: ReadHoldingRegistersRequest, 4: ReadInputRegistersRequest}
#: Pause between two looks at a talking line while it is drained, seconds.
_DRAIN_STEP_S: Final = 0.01
#: The kernel's input buffer of a tty.
_DRAIN_BYTES: Final = 4096
_FRAMER: Final = FramerRTU(DecodePDU(is_server=False))


def encode_request(unit: int, function: int, start: int, count: int) -> bytes:
    """Return the request frame for ``count`` registers from ``start``, CRC included.

    Raises ValueError for a unit outside 1 to 247, a function other than 3 or 4, or registers that do not exist.
    """
    if not 1 <= unit <= _MAX_UNIT:
        raise ValueError(f"unit {unit} is outside 1 to {_MAX_UNIT}")
    if function not in _REQUESTS:
        raise ValueError(f"function {function} is neither 3 nor 4")
    pdu = _REQUESTS[function](dev_id=unit, address=start, count=count)
    return _FRAMER.buildFrame(pdu)


def reply_length(frame: bytes, function: int, size: int) -> int:
    """Return how long the reply beginning with ``frame`` will be: ``size`` data bytes, or an exception reply."""
    refused = frame[1:2] == bytes([function | _EXCEPTION_BIT])
    return _OVERHEAD_BYTES if refused else _OVERHEAD_BYTES + size


def check_reply(frame: bytes, unit: int, function: int, size: int) -> bytes | MissingReason:
    """Return the ``size`` data bytes of ``frame``, or what is wrong with it.

    The CRC comes first: a frame that fails it says nothing about who sent it.
    """
    outcome: bytes | MissingReason = MissingReason.BAD_FRAME
    if not frame:
        outcome = MissingReason.TIMEOUT
    elif len(frame) < reply_length(frame, function, size) and not _crc_holds(frame):
        outcome = MissingReason.BAD_FRAME  # cut short
    elif not _crc_holds(frame):
        outcome = MissingReason.BAD_CRC
    elif frame[0] != unit:
        outcome = MissingReason.WRONG_UNIT
    elif frame[1] == function | _EXCEPTION_BIT and len(frame) == _OVERHEAD_BYTES:
        outcome = MissingReason.EXCEPTION_REPLY
    elif frame[1] == function and frame[2] == size and len(frame) == _OVERHEAD_BYTES + size:
        outcome = frame[3:-2]
    return outcome


def _crc_holds(frame: bytes) -> bool:
    whole = len(frame) >= _OVERHEAD_BYTES
    return whole and FramerRTU.compute_CRC(frame[:-2]) == int.from_bytes(frame[-2:], "big")


class SerialLine:
    """``contracts.Line`` on a tty.

    ``device`` is any tty path, ``parity`` N, E or O, ``stopbits`` 1 or 2, ``turnaround_s`` the longest time a meter
    on this line takes to begin its reply (above 0). The device is locked (flock) while open and opened at the first
    read; without it every read returns BUS_LOST at once and tries to open it again once a second. ``counters`` is
    a live view: requests sent, suspect replies discarded, and failed reads by ``MissingReason``.
    Raises ValueError for a setting outside these ranges.
    """

    def __init__(self, device: str, baud: int, parity: str, stopbits: int, turnaround_s: float) -> None:
        if baud <= 0 or parity not in ("N", "E", "O") or stopbits not in (1, 2) or not turnaround_s > 0:
            raise ValueError(f"{device}: {baud} 8{parity}{stopbits}, turnaround {turnaround_s} s is no serial setting")
        self._device = device
        self._settings = {"baudrate": baud, "parity": parity, "stopbits": stopbits}
        #: The arithmetic of this line; what ``pilenode budget`` shows is computed with the same.
        self.timing: Final = line_timing(baud, parity, stopbits, turnaround_s)
        self._port: serial.Serial | None = None
        self._poll = select.poll()
        self._last_byte_s = 0.0
        self._open_at_s = 0.0
        self._suspects: set[int] = set()
        self._counters = dict.fromkeys(("requests", "discarded", *(reason.value for reason in MissingReason)), 0)
        self.counters: Mapping[str, int] = MappingProxyType(self._counters)

    def read(
        self, unit: int, function: int, start: int, count: int, bytes_per_register: int = 2
    ) -> bytes | MissingReason:
        """Return the data bytes of one reply (``count * bytes_per_register``), or why there is none.

        Raises ValueError only for a question that cannot be asked (see ``encode_request``).
        """
        request = encode_request(unit, function, start, count)
        try:
            outcome = self._ask(request, count * bytes_per_register)
        except (OSError, termios.error):
            self._drop(time.monotonic() + REOPEN_S)
            outcome = MissingReason.BUS_LOST
        if isinstance(outcome, MissingReason):
            self._counters[outcome.value] += 1
        return outcome

    def transaction_s(self, count: int, bytes_per_register: int = 2) -> float:
        """Return the longest time one good ``read`` of that size may take, in seconds.

        It holds for a unit in good standing on an open line. A read that clears a suspicion or opens the device
        takes longer, at most ``failure_s``; the failure before it has already been charged with that.
        """
        return self.timing.transaction_s(count * bytes_per_register)

    def failure_s(self, count: int, bytes_per_register: int = 2) -> float:
        """Return the longest time one failing ``read`` of that size costs, in seconds, on a line that may babble.

        Twice one exchange and one draining: either a suspect reply thrown away and then the failure in the same
        read, or the failure now and the reply thrown away in the next read of that unit. So the time of any run of
        reads is at most ``transaction_s`` for each plus ``failure_s`` for each failed one. A unit that is silent
        costs a third of it, ``timing.dead_s``.
        """
        return self.timing.failure_s(count * bytes_per_register)

    def close(self) -> None:
        """Release the device for good: later reads return BUS_LOST."""
        self._drop(open_at_s=float("inf"))

    def _ask(self, request: bytes, size: int) -> bytes | MissingReason:
        port = self._port or self._open(size)
        if port is None:
            return MissingReason.BUS_LOST
        unit = request[0]
        reply = self._exchange(port, request, size)
        if isinstance(reply, bytes) and unit in self._suspects:
            self._counters["discarded"] += 1
            self._drain(port, size)
            reply = self._exchange(port, request, size)
        if isinstance(reply, bytes):
            self._suspects.discard(unit)
        else:
            self._suspects.add(unit)
            self._drain(port, size)
        return reply

    def _exchange(self, port: serial.Serial, request: bytes, size: int) -> bytes | MissingReason:
        if not self._await_silence(port):
            return MissingReason.BAD_FRAME
        self._counters["requests"] += 1
        # pyserial's write() spins while the output buffer is full; a tty that does not take 8 bytes now is broken.
        if os.write(port.fileno(), request) != len(request):
            raise OSError(f"{self._device} took a part of a request")
        sent_s = time.monotonic() + len(request) * self.timing.character_s
        self._last_byte_s = sent_s
        deadline_s = sent_s + self.timing.turnaround_s + self.timing.reply_s(size) + LATENESS_S
        frame = self._receive(port, request[1], size, deadline_s)
        return check_reply(frame, request[0], request[1], size)

    def _await_silence(self, port: serial.Serial) -> bool:
        """Drain the input and wait until t3.5 has passed without a byte; False when the line goes on talking."""
        for _ in range(2):
            if port.in_waiting:
                port.reset_input_buffer()
                self._last_byte_s = time.monotonic()
            time.sleep(max(0.0, self._last_byte_s + self.timing.silence_s - time.monotonic()))
            if not port.in_waiting:
                return True
        return False

    def _receive(self, port: serial.Serial, function: int, size: int, deadline_s: float) -> bytes:
        """Return what came until the reply was complete, the line fell silent or the deadline passed.

        Three wake-ups for a reply instead of one per byte: at its first byte, when it could be an exception reply,
        and at its computed end.
        """
        frame = b""
        listen_until_s = deadline_s
        while (missing := reply_length(frame, function, size) - len(frame)) > 0:
            if frame:
                now_s = time.monotonic()
                awaited = missing if len(frame) >= _OVERHEAD_BYTES else _OVERHEAD_BYTES - len(frame)
                nap_s = max(0.0, min(awaited * self.timing.character_s, deadline_s - now_s))
                time.sleep(nap_s)
                listen_until_s = min(deadline_s, now_s + nap_s + LATENESS_S)
            chunk = port.read(missing) if self._readable(listen_until_s) else b""
            if not chunk:
                break
            frame += chunk
            self._last_byte_s = time.monotonic()
        return frame

    def _drain(self, port: serial.Serial, size: int) -> None:
        """Stay silent and throw away what comes until the line has been quiet, within ``timing.quiet_limit_s``."""
        limit_s = time.monotonic() + self.timing.quiet_limit_s(size)
        quiet_at_s = time.monotonic() + self.timing.quiet_s
        while time.monotonic() < min(quiet_at_s, limit_s):
            if self._readable(min(quiet_at_s, limit_s)):
                port.read(_DRAIN_BYTES)
                self._last_byte_s = time.monotonic()
                quiet_at_s = self._last_byte_s + self.timing.quiet_s
                time.sleep(max(0.0, min(_DRAIN_STEP_S, limit_s - self._last_byte_s)))

    def _readable(self, until_s: float) -> bool:
        """Wait for input until then; True also when the device hung up, which the next read reports."""
        return bool(self._poll.poll(max(0.0, until_s - time.monotonic()) * 1000))

    def _open(self, size: int) -> serial.Serial | None:
        """Open the device unless the last attempt is too recent; what an earlier owner asked is drained."""
        if time.monotonic() < self._open_at_s:
            return None
        self._port = port = serial.Serial(self._device, timeout=0, exclusive=True, **self._settings)
        self._poll = select.poll()
        self._poll.register(port.fileno(), select.POLLIN)
        # a pause of REOPEN_S and a quiet line: no reply to a question of before is still on its way
        self._suspects.clear()
        self._drain(port, size)
        return port

    def _drop(self, open_at_s: float) -> None:
        self._open_at_s = open_at_s
        port, self._port = self._port, None
        if port is not None:
            with contextlib.suppress(OSError):
                port.close()
