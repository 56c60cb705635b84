"""The rack on its pty: right answers, at the time a real line would bring them."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

import pytest
import serial

from hil_rig.harness import wait
from hil_rig.wire import Rack, Reply, Timing, crc16

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.alone

TURNAROUND_S = 0.005
#: Ten registers of unit 1, as a PZEM-004T is asked.
REQUEST = bytes.fromhex("01 04 00 00 00 0A 70 0D")
REPLY_BYTES = 25


class Echo:
    """A slave that answers ten zero registers, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.delay_s = 0.0

    def answer(self, request: bytes) -> Reply | None:
        """Return a good reply of 25 bytes."""
        self.asked.append(request)
        frame = request[:2] + bytes([20, *range(20)])
        delay_s, self.delay_s = self.delay_s, 0.0
        return Reply(frame + crc16(frame), delay_s)


@pytest.fixture
def slave() -> Echo:
    """Return the slave at unit 1."""
    return Echo()


@pytest.fixture
def rack(slave: Echo) -> Iterator[Rack]:
    """Return a fast line, so that tests are short."""
    with Rack({1: slave, 2: Echo()}, baud=115_200, turnaround_s=TURNAROUND_S) as made:
        yield made


@pytest.fixture
def line(rack: Rack) -> Iterator[serial.Serial]:
    """Open the rack's tty as a client does."""
    with serial.Serial(rack.device, 115_200, timeout=0.3) as opened:
        yield opened


def frame(body: str) -> bytes:
    """Return the bytes in ``body`` with their CRC."""
    return bytes.fromhex(body) + crc16(bytes.fromhex(body))


def test_crc_of_a_known_frame() -> None:
    """The CRC agrees with a frame printed in a manual (SDM120: 230.2 V)."""
    assert crc16(bytes.fromhex("01 04 04 43 66 33 34")) == bytes.fromhex("1B 38")
    assert crc16(REQUEST[:-2]) == REQUEST[-2:]


@pytest.mark.parametrize(
    ("timing", "character_us", "silence_us"),
    [
        (Timing(9600), 1041.7, 3645.8),
        (Timing(9600, "E", 1), 1145.8, 4010.4),
        (Timing(9600, "N", 2), 1145.8, 4010.4),
        (Timing(19200), 520.8, 1822.9),
        (Timing(38400), 260.4, 1750.0),
        (Timing(115_200, "E", 2), 104.2, 1750.0),
    ],
)
def test_character_and_silence(timing: Timing, character_us: float, silence_us: float) -> None:
    """Ten to twelve bits a character; t3.5 shrinks with the baud rate up to 19,200 only."""
    assert timing.character_s * 1e6 == pytest.approx(character_us, abs=0.1)
    assert timing.silence_s * 1e6 == pytest.approx(silence_us, abs=0.1)


def test_transaction_time() -> None:
    """8 + 25 characters, one silence and the turn-round: 43 ms at 9600 8N1 and 5 ms."""
    assert Timing(9600).transaction_s(8, 25, 0.005) == pytest.approx(0.04302, abs=1e-5)


@pytest.mark.parametrize("baud", [9600, 19_200, 115_200])
def test_a_reply_takes_the_time_of_the_wire(slave: Echo, baud: int) -> None:
    """The last byte of a ten-register reply comes when theory says: never earlier, and late by a few per cent."""
    took: list[float] = []
    with (
        Rack({1: slave}, baud=baud, turnaround_s=TURNAROUND_S) as rack,
        serial.Serial(rack.device, baud, timeout=1) as line,
    ):
        theory_s = rack.timing.transaction_s(len(REQUEST), REPLY_BYTES, TURNAROUND_S)
        for _ in range(15):
            begin_s = time.monotonic()
            line.write(REQUEST)
            assert len(line.read(REPLY_BYTES)) == REPLY_BYTES
            took.append(time.monotonic() - begin_s)
            time.sleep(rack.timing.silence_s)
    assert min(took) >= theory_s
    assert statistics.median(took) <= theory_s * 1.05 + 0.002


def test_a_reply_comes_at_the_pace_of_the_wire_not_at_once(slave: Echo) -> None:
    """Half of the reply is not there before half of its time: a client sees bytes trickle in."""
    with Rack({1: slave}, baud=2400, turnaround_s=0.0) as rack, serial.Serial(rack.device, 2400, timeout=1) as line:
        line.write(REQUEST)
        line.read(1)
        begin_s = time.monotonic()
        line.read(12)
        half_s = time.monotonic() - begin_s
        line.read(12)
        whole_s = time.monotonic() - begin_s
    characters_s = 10 / 2400
    assert half_s == pytest.approx(12 * characters_s, abs=3 * characters_s)
    assert whole_s == pytest.approx(24 * characters_s, abs=3 * characters_s)


def test_a_good_request_reaches_its_slave_only(line: serial.Serial, rack: Rack, slave: Echo) -> None:
    """The slave sees unit, function and data; its reply comes back byte by byte the same."""
    line.write(REQUEST)
    reply = line.read(REPLY_BYTES)
    assert reply == frame("01 04 14" + bytes(range(20)).hex())
    assert slave.asked == [REQUEST[:-2]]
    assert (rack.counts.requests, rack.counts.unreadable, rack.counts.early) == (1, 0, 0)


def test_an_absent_unit_is_silent(line: serial.Serial, rack: Rack, slave: Echo) -> None:
    """Nobody answers for a unit that is not there."""
    line.write(frame("09 04 00 00 00 0A"))
    assert line.read(1) == b""
    assert slave.asked == []
    assert rack.counts.requests == 1


@pytest.mark.parametrize(
    "request_bytes", [b"\x01", b"\x01\x04\x00", REQUEST[:-1], REQUEST[:-1] + b"\x0e", REQUEST + b"\xff"]
)
def test_unreadable_requests_are_not_answered(
    line: serial.Serial, rack: Rack, slave: Echo, request_bytes: bytes
) -> None:
    """A broken request gets silence, and the next good one its answer."""
    line.write(request_bytes)
    assert line.read(1) == b""
    assert rack.counts.unreadable == 1
    line.write(REQUEST)
    assert len(line.read(REPLY_BYTES)) == REPLY_BYTES
    assert len(slave.asked) == 1


def test_a_request_in_two_writes_is_one_frame(slave: Echo) -> None:
    """Bytes that follow within t3.5 belong together (a slow line: 29 ms)."""
    with Rack({1: slave}, baud=1200, turnaround_s=0.0) as rack, serial.Serial(rack.device, 1200, timeout=1) as line:
        line.write(REQUEST[:3])
        line.write(REQUEST[3:])
        assert len(line.read(REPLY_BYTES)) == REPLY_BYTES
    assert slave.asked == [REQUEST[:-2]]


def test_two_requests_without_silence_are_one_unreadable_frame(line: serial.Serial, rack: Rack) -> None:
    """A master that does not pause is not understood, as by a strict slave."""
    line.write(REQUEST + REQUEST)
    assert line.read(1) == b""
    assert rack.counts.unreadable == 1


def after_reply(line: serial.Serial, pause_s: float) -> None:
    """Ask, take the reply, wait ``pause_s`` and ask again."""
    line.write(REQUEST)
    line.read(REPLY_BYTES)
    time.sleep(pause_s)
    line.write(REQUEST)
    line.read(REPLY_BYTES)


@pytest.mark.parametrize(("pause", "early"), [(0.0, 1), (1.1, 0)])
def test_requests_that_come_too_early_are_counted(slave: Echo, pause: float, early: int) -> None:
    """The silence a master owes after a reply is measured (slow line: t3.5 is 29 ms)."""
    with Rack({1: slave}, baud=1200, turnaround_s=0.0) as rack, serial.Serial(rack.device, 1200, timeout=1) as line:
        after_reply(line, pause * rack.timing.silence_s)
        assert rack.counts.early == early
        assert rack.counts.requests == 2


@pytest.mark.parametrize("characters", [1.5, 6.0])
def test_a_request_during_a_reply_is_early(slave: Echo, characters: float) -> None:
    """Talking into a reply is counted, be it into its first character (a slow line: 33 ms each)."""
    with Rack({1: slave}, baud=300, turnaround_s=0.0) as rack, serial.Serial(rack.device, 300, timeout=1) as line:
        line.write(REQUEST)
        time.sleep(rack.timing.transaction_s(len(REQUEST), 0, 0.0) + characters * rack.timing.character_s)
        line.write(REQUEST)
        line.read(8)
        assert rack.counts.early == 1


def test_a_late_reply_comes_late_and_others_are_served_meanwhile(line: serial.Serial, slave: Echo) -> None:
    """A slow slave does not stop the line: its reply arrives after the next one's, as on a real bus."""
    slave.delay_s = 0.1
    line.write(REQUEST)
    time.sleep(0.03)
    line.write(frame("02 04 00 00 00 0A"))
    assert line.read(REPLY_BYTES)[0] == 2
    assert line.read(REPLY_BYTES)[0] == 1


def test_nobody_reading_blocks_nothing(rack: Rack, line: serial.Serial) -> None:
    """Replies that are never fetched overrun; the rack goes on."""
    for count in range(1, 4):
        line.write(REQUEST)
        wait("the reply lies there", lambda count=count: line.in_waiting == count * REPLY_BYTES)  # type: ignore[misc]
        time.sleep(2 * rack.timing.silence_s)
    line.reset_input_buffer()
    line.write(REQUEST)
    assert len(line.read(REPLY_BYTES)) == REPLY_BYTES
    assert rack.counts.requests == 4


def test_the_line_survives_a_client_that_comes_and_goes(rack: Rack) -> None:
    """Closing the tty and opening it again is no fault of the line."""
    for _ in range(2):
        with serial.Serial(rack.device, 115_200, timeout=0.3) as line:
            line.write(REQUEST)
            assert len(line.read(REPLY_BYTES)) == REPLY_BYTES


def test_a_stopped_rack_takes_its_line_away(slave: Echo) -> None:
    """After stop the client's tty is dead, like an adapter that was pulled out."""
    rack = Rack({1: slave})
    rack.start()
    with serial.Serial(rack.device, 9600, timeout=0.1) as line:
        rack.stop()
        with pytest.raises((serial.SerialException, OSError)):
            line.read(1)
