"""One RS-485 line as Modbus RTU master: requests out, checked replies in, and no reply that answers another question.

RTU replies carry no number: a reply that comes late looks like the answer to the next request, and a stock client
takes it. Hence the discipline of this file:

- t3.5 of silence before every request, measured from the last byte seen or sent, with the input drained first;
- the length of the reply is computed from the request (``drivers.frames``); unit, function, byte count and CRC must
  all agree;
- after any failed read the line is drained until it has been quiet for a quiet time, and the unit is *suspect*: its
  next good-looking reply is thrown away, the line drained again and the question repeated;
- a reply with the beginning of another one behind it is none.

What remains: a reply of the right unit, function and length that comes more than two quiet times after its time-out
cannot be told from a good one by anybody. ``turnaround_s`` must be honest.

The line runs at the speed of the wire: of every unit it is learned how long it takes to begin its reply, and the
thread sleeps once until the computed end of that reply. The time-out follows what was learned as well, never above
``turnaround_s``; after a failure the whole ``turnaround_s`` is granted again (``drivers.pace``).

Some two-wire adapters hear themselves: a copy of the request in front of the reply is recognised and taken away.

Times are seconds on CLOCK_MONOTONIC. Nothing here raises for trouble on the wire or a missing adapter.
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

from drivers.frames import EXCEPTION_BYTES, reply_length
from drivers.pace import learned
from safety.budget import LATENESS_S, OVERHEAD_BYTES, line_timing
from safety.reading import MissingReason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drivers.frames import Exchange, Question
    from drivers.pace import Pace

#: Pause between two attempts to open the device, seconds.
REOPEN_S: Final = 1.0

#: Pause between two looks at a talking line while it is drained, seconds.
_DRAIN_STEP_S: Final = 0.01
#: So much of what follows a reply is looked at: unit and function, if another one begins there.
_PEEK_BYTES: Final = 2
#: The kernel's input buffer of a tty.
_DRAIN_BYTES: Final = 4096
#: The longest that ``hear`` listens after the first byte, seconds: 256 characters at 1200 baud and a margin.
_BABBLE_S: Final = 3.0


class SerialLine:
    """``contracts.Line`` on a tty.

    ``device`` is any tty path (one that survives renumbering: /dev/serial/by-id), ``parity`` N, E or O, ``stopbits`` 1
    or 2, ``turnaround_s`` the longest time a meter on this line takes to begin its reply (above 0). The device is
    locked (flock) while open and opened at the first read; without it every read returns BUS_LOST at once and tries to
    open it again once a second. ``counters`` is a live view: requests sent, suspect replies discarded, failed reads by
    ``MissingReason``.
    Raises ValueError for a setting outside these ranges.
    """

    def __init__(self, device: str, baud: int, parity: str, stopbits: int, turnaround_s: float) -> None:
        if baud <= 0 or parity not in ("N", "E", "O") or stopbits not in (1, 2) or not turnaround_s > 0:
            raise ValueError(f"{device}: {baud} 8{parity}{stopbits}, turnaround {turnaround_s} s is no serial setting")
        self.device: Final = device
        self._settings = {"baudrate": baud, "parity": parity, "stopbits": stopbits}
        #: The arithmetic of this line; what ``pilenode budget`` shows is computed with the same.
        self.timing: Final = line_timing(baud, parity, stopbits, turnaround_s)
        #: Whether the adapter was heard to echo what it sends.
        self.echoes = False
        #: What the operating system said when the device was last refused or lost; empty while it is open.
        self.trouble = ""
        #: The number of that refusal (``errno``), 0 while the device is open: a device in use is EAGAIN.
        self.trouble_errno = 0
        self._port: serial.Serial | None = None
        self._fd = -1
        self._poll = select.poll()
        self._last_byte_s = 0.0
        self._open_at_s = 0.0
        self._suspects: set[int] = set()
        self._doubled = False  # the last exchange brought two replies
        self._paces: dict[int, Pace] = {}
        self._counters = _counts()
        self._unit_counters: dict[int, dict[str, int]] = {}
        self.counters: Mapping[str, int] = MappingProxyType(self._counters)

    @property
    def unit_counters(self) -> Mapping[int, Mapping[str, int]]:
        """Return the counters of every unit that was ever asked. May be called from another thread than ``read``."""
        return self._unit_counters.copy()  # one step of the interpreter: the reading thread may add a unit meanwhile

    def read(self, question: Question) -> bytes | MissingReason:
        """Return the data bytes of one reply (``question.size``), or why there is none."""
        return self.ask(question)

    def ask(self, exchange: Exchange) -> bytes | MissingReason:
        """Return the content of the answer to one exchange, or why there is none.

        For commissioning: everything else reads.
        """
        unit = exchange.frame[0]
        try:
            outcome = self._ask(exchange)
        except (OSError, termios.error) as error:
            outcome = self._lost(error)
        if isinstance(outcome, MissingReason):
            self._count(unit, outcome.value)
        return outcome

    def hear(self, frame: bytes, patience_s: float) -> bytes | MissingReason:
        """Send ``frame`` once and return all that comes, judged by nobody: no bytes at all for silence.

        For commissioning, where a wrong answer is a finding too, and where nothing may be sent twice. Waits
        ``patience_s`` for the first byte after the request (a copy of the request does not count as one) and then
        until ``LATENESS_S`` and t3.5 have passed without one. BAD_FRAME: the line was never silent, nothing was sent.
        """
        try:
            if self._port is None and not self._open(OVERHEAD_BYTES):
                return MissingReason.BUS_LOST
            return self._hear(frame, patience_s)
        except (OSError, termios.error) as error:
            return self._lost(error)

    def transaction_s(self, size: int) -> float:
        """Return the longest time one good ``read`` of ``size`` data bytes may take, in seconds.

        It holds for a unit in good standing on an open line. A read that clears a suspicion or opens the device
        takes longer, at most ``failure_s``; the failure before it has already been charged with that.
        """
        return self.timing.transaction_s(size)

    def failure_s(self, size: int) -> float:
        """Return the longest time one failing ``read`` of that size costs, in seconds, on a line that may babble.

        Twice one exchange and one draining: either a suspect reply thrown away and then the failure in the same
        read, or the failure now and the reply thrown away in the next read of that unit. So the time of any run of
        reads is at most ``transaction_s`` for each plus ``failure_s`` for each failed one. A unit that is silent
        costs a third of it, ``timing.dead_s``.
        """
        return self.timing.failure_s(size)

    def close(self) -> None:
        """Release the device for good: later reads return BUS_LOST."""
        self._drop(open_at_s=float("inf"))

    def _ask(self, exchange: Exchange) -> bytes | MissingReason:
        if self._port is None and not self._open(exchange.reply_bytes):
            return MissingReason.BUS_LOST
        unit = exchange.frame[0]
        reply = self._exchange(exchange)
        if unit in self._suspects and (isinstance(reply, bytes) or self._doubled):
            self._count(unit, "discarded")
            self._drain(exchange.reply_bytes)
            reply = self._exchange(exchange)
        if isinstance(reply, bytes):
            self._suspects.discard(unit)
        else:
            self._suspects.add(unit)
            self._paces.pop(unit, None)
            self._drain(exchange.reply_bytes)
        return reply

    def _lost(self, error: OSError | termios.error) -> MissingReason:
        self.trouble = str(error)
        self.trouble_errno = int(error.args[0]) if error.args and isinstance(error.args[0], int) else 0
        self._drop(time.monotonic() + REOPEN_S)
        return MissingReason.BUS_LOST

    def _hear(self, request: bytes, patience_s: float) -> bytes | MissingReason:
        if not self._await_silence():
            return MissingReason.BAD_FRAME
        until_s = self._send(request) + patience_s
        heard, limit_s = b"", until_s + _BABBLE_S
        while self._readable(min(until_s, limit_s)) and time.monotonic() < limit_s:
            heard += self._take(_DRAIN_BYTES, hung_up_without=True)
            if not request.startswith(heard):
                until_s = time.monotonic() + LATENESS_S + self.timing.silence_s
        return heard

    def _send(self, request: bytes) -> float:
        """Send and return when the last bit will have been sent."""
        # pyserial's write() spins while the output buffer is full; a tty that does not take a request now is broken.
        if os.write(self._fd, request) != len(request):
            raise OSError(f"{self.device} took a part of a request")
        self._last_byte_s = time.monotonic() + len(request) * self.timing.character_s
        return self._last_byte_s

    def _exchange(self, exchange: Exchange) -> bytes | MissingReason:
        self._doubled = False
        if not self._await_silence():
            return MissingReason.BAD_FRAME
        request = exchange.frame
        self._count(request[0], "requests")
        sent_s = self._send(request)
        frame, begun_s, looks = self._receive(exchange, sent_s)
        length = reply_length(frame, request[1], exchange.reply_bytes)
        frame, more = frame[:length], frame[length:]
        # Two replies where one was due: the first may be an old one, sent twice. Noise behind a reply does no harm.
        self._doubled = bool(more) and frame.startswith(more)
        outcome = MissingReason.BAD_FRAME if self._doubled else exchange.check(frame)
        if isinstance(outcome, bytes):
            pace = self._paces.get(request[0])
            self._paces[request[0]] = learned(pace, begun_s - sent_s, at_first_look=looks == 1)
        return outcome

    def _await_silence(self) -> bool:
        """Drain the input and wait until t3.5 has passed without a byte; False when the line goes on talking."""
        for _ in range(3):
            _sleep_until(self._last_byte_s + self.timing.silence_s)
            if not self._take(_DRAIN_BYTES):
                return True
        return False

    def _receive(self, exchange: Exchange, sent_s: float) -> tuple[bytes, float, int]:
        """Return what came until the reply was complete, the line fell silent or the deadline passed.

        And when it can have begun at the latest, and how many looks it took: one at the computed end of the reply (at
        its first byte while the unit is not known yet), one for each part that is missing then. Never a wake-up per
        byte.
        """
        character_s = self.timing.character_s
        pace = self._paces.get(exchange.frame[0])
        reply_s = exchange.reply_bytes * character_s
        patience_s = self.timing.turnaround_s if pace is None else pace.patience_s(self.timing.turnaround_s)
        listen_until_s = deadline_s = sent_s + patience_s + reply_s + LATENESS_S
        frame, begun_s, looks = b"", deadline_s, 0
        if pace is not None:
            _sleep_until(sent_s + pace.look_s + reply_s)
            frame = self._without_echo(exchange, self._take(self._missing(exchange, b"") + _PEEK_BYTES))
            begun_s, looks = self._last_byte_s - len(frame) * character_s if frame else deadline_s, 1
        while (missing := self._missing(exchange, frame)) > 0:
            if frame:
                now_s = time.monotonic()
                # An exception reply ends earlier than a good one. The last byte is not slept for but waited for: a
                # nap that is a character too long would be lost, and the pace would be learned wrong.
                awaited = missing if len(frame) >= EXCEPTION_BYTES else EXCEPTION_BYTES - len(frame)
                nap_s = max(0.0, min((awaited - 1) * character_s, deadline_s - now_s))
                if nap_s > 0:
                    time.sleep(nap_s)
                listen_until_s = min(deadline_s, now_s + awaited * character_s + LATENESS_S)
            if not self._readable(listen_until_s):
                break
            frame = self._without_echo(exchange, frame + self._take(missing + _PEEK_BYTES, hung_up_without=True))
            begun_s = min(begun_s, self._last_byte_s - len(frame) * character_s)
            looks += 1
        return frame, begun_s, looks

    def _missing(self, exchange: Exchange, frame: bytes) -> int:
        """Return how many bytes are still to come."""
        request = exchange.frame
        missing = reply_length(frame, request[1], exchange.reply_bytes) - len(frame)
        hears_itself = bool(frame) and request.startswith(frame)
        if hears_itself and (self.echoes or (missing <= 0 and isinstance(exchange.check(frame), MissingReason))):
            return len(request) - len(frame) + exchange.reply_bytes
        return missing + (len(request) if self.echoes and not frame else 0)

    def _without_echo(self, exchange: Exchange, frame: bytes) -> bytes:
        """Take the adapter's copy of the request away. The answer to some writes is a copy too: that one stays."""
        request = exchange.frame
        if not frame.startswith(request):
            return frame
        if not self.echoes and not isinstance(exchange.check(frame), MissingReason):
            return frame
        self.echoes = True
        return frame[len(request) :]

    def _drain(self, reply_bytes: int) -> None:
        """Stay silent and throw away what comes until the line has been quiet, within ``timing.quiet_limit_s``."""
        limit_s = time.monotonic() + self.timing.quiet_limit_s(max(0, reply_bytes - OVERHEAD_BYTES))
        quiet_at_s = time.monotonic() + self.timing.quiet_s
        while time.monotonic() < min(quiet_at_s, limit_s):
            if self._readable(min(quiet_at_s, limit_s)):
                self._take(_DRAIN_BYTES, hung_up_without=True)
                quiet_at_s = self._last_byte_s + self.timing.quiet_s
                time.sleep(max(0.0, min(_DRAIN_STEP_S, limit_s - self._last_byte_s)))

    def _readable(self, until_s: float) -> bool:
        """Wait for input until then; True also when the device hung up, which the next read reports."""
        return bool(self._poll.poll(max(0.0, until_s - time.monotonic()) * 1000))

    def _take(self, most: int, *, hung_up_without: bool = False) -> bytes:
        """Return what has come, ``most`` bytes of it. Raises OSError for a device that is gone.

        A tty that was reported readable and has nothing to read has hung up (``hung_up_without``).
        """
        try:
            data = os.read(self._fd, most)
        except BlockingIOError:
            data = b""
        if data:
            self._last_byte_s = time.monotonic()
        elif hung_up_without:
            raise OSError(f"{self.device} hung up")
        return data

    def _open(self, reply_bytes: int) -> bool:
        """Open the device unless the last attempt is too recent; what an earlier owner asked is drained."""
        if time.monotonic() < self._open_at_s:
            return False
        self._port = serial.Serial(self.device, timeout=0, exclusive=True, **self._settings)
        self._fd = self._port.fileno()
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)
        self.trouble = ""
        self.trouble_errno = 0
        # another adapter may be behind the name; a pause of REOPEN_S and a quiet line: nothing is still on its way
        self.echoes = False
        self._suspects.clear()
        self._paces.clear()
        self._drain(reply_bytes)
        return True

    def _drop(self, open_at_s: float) -> None:
        self._open_at_s = open_at_s
        port, self._port, self._fd = self._port, None, -1
        if port is not None:
            with contextlib.suppress(OSError):
                port.close()

    def _count(self, unit: int, what: str) -> None:
        self._counters[what] += 1
        self._unit_counters.setdefault(unit, _counts())[what] += 1


def _counts() -> dict[str, int]:
    return dict.fromkeys(("requests", "discarded", *(reason.value for reason in MissingReason)), 0)


def _sleep_until(moment_s: float) -> None:
    nap_s = moment_s - time.monotonic()
    if nap_s > 0:
        time.sleep(nap_s)
