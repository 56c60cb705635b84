"""The serial line: strict replies, silence, late replies, lost adapters."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.bus import REOPEN_S, SerialLine
from drivers.frames import Question
from safety.budget import LATENESS_S, MIN_QUIET_S
from safety.reading import MissingReason

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.drivers.conftest import Sending, Slave

#: What a busy machine may add to a computed time, seconds.
SLACK_S = 0.15
#: Unit 1, function 4, two registers holding 256 and 257.
GOOD = bytes.fromhex("01 04 04 01 00 01 01 3A 28")


def late(*delays_s: float) -> Callable[[bytes], Sending]:
    """Send the good reply so many seconds after the request, once for each delay."""
    return lambda good: [(delay_s, good) for delay_s in delays_s]


def instead(*parts: bytes) -> Callable[[bytes], Sending]:
    """Send these bytes at once instead of the good reply."""
    return lambda _: [(0.0, part) for part in parts]


def timed(call: Callable[[], object]) -> float:
    """Return how long a call took, seconds."""
    begin = time.monotonic()
    call()
    return time.monotonic() - begin


# -- the checks, without a line ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "outcome"),
    [
        ("01 04 04 01 00 01 01 3A 28", bytes.fromhex("01 00 01 01")),
        ("", MissingReason.TIMEOUT),
        ("01", MissingReason.BAD_FRAME),
        ("01 04 04 01", MissingReason.BAD_FRAME),
        ("01 04 04 01 00 01 01 3A", MissingReason.BAD_FRAME),
        ("01 04 04 01 00 01 01 3A 29", MissingReason.BAD_CRC),
        ("01 04 04 01 01 01 01 3A 28", MissingReason.BAD_CRC),
        ("02 04 04 01 00 01 01 09 28", MissingReason.WRONG_UNIT),
        ("02 84 02 32 C1", MissingReason.WRONG_UNIT),
        ("01 03 04 01 00 01 01 3B 9F", MissingReason.BAD_FRAME),
        ("01 04 05 01 00 01 01 07 E8", MissingReason.BAD_FRAME),
        ("01 04 02 01 00 01 01 B2 28", MissingReason.BAD_FRAME),
        ("01 04 02 01 00 B8 A0", MissingReason.BAD_FRAME),
        ("01 04 06 01 00 01 01 01 02 B1 2F", MissingReason.BAD_FRAME),
        ("01 04 04 01 00 58 A1", MissingReason.BAD_FRAME),
        ("01 04 04 01 00 01 01 00 00 12 BE", MissingReason.BAD_FRAME),
        ("01 84 02 C2 C1", MissingReason.EXCEPTION_REPLY),
        ("01 84 02 00 00 00 00 6C 44", MissingReason.BAD_FRAME),
        ("01 84 02 C2 C2", MissingReason.BAD_CRC),
        ("01 83 02 C0 F1", MissingReason.BAD_FRAME),
    ],
)
def test_only_the_reply_to_the_question_passes(frame: str, outcome: bytes | MissingReason) -> None:
    """Unit, function, byte count, length and CRC are all checked; each lie has its reason."""
    assert Question(1, 4, 0, 2).check(bytes.fromhex(frame)) == outcome


@pytest.mark.parametrize(
    ("unit", "function", "start", "count"),
    [(0, 4, 0, 1), (248, 4, 0, 1), (1, 6, 0, 1), (1, 4, 0, 0), (1, 4, 0, 126), (1, 4, -1, 1), (1, 4, 0x1_0000, 1)],
)
def test_a_question_that_cannot_be_asked_is_refused(unit: int, function: int, start: int, count: int) -> None:
    """No broadcast, no write and no impossible range ever goes over the wire."""
    with pytest.raises(ValueError, match=r"."):
        Question(unit, function, start, count)


@given(
    frame=st.binary(max_size=12) | st.sampled_from([GOOD]),
    flips=st.lists(st.tuples(st.integers(0, 11), st.integers(0, 7)), max_size=3),
)
def test_random_bytes_never_pass_for_another_frame(frame: bytes, flips: list[tuple[int, int]]) -> None:
    """Whatever bytes come, a value is only ever the data of a frame with the right unit, function, length and CRC."""
    damaged = bytearray(frame)
    for place, bit in flips:
        if place < len(damaged):
            damaged[place] ^= 1 << bit
    outcome = Question(1, 4, 0, 2).check(bytes(damaged))
    if isinstance(outcome, bytes):
        assert damaged[:3] == GOOD[:3]
        assert len(damaged) == len(GOOD)
        assert outcome == damaged[3:7]
        assert crc16(bytes(damaged[:7])) == damaged[7:]


def crc16(data: bytes) -> bytes:
    """Return the CRC of Modbus in wire order, computed bit by bit."""
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ 0xA001 if value & 1 else value >> 1
    return value.to_bytes(2, "little")


# -- one read ----------------------------------------------------------------------------------------------


def test_a_good_reply_gives_its_data(slave: Slave, line: SerialLine) -> None:
    """A healthy meter's reply comes back as exactly its data bytes."""
    assert line.read(Question(7, 4, 0x20, 3)) == slave.data(7, 0x20, 3)
    assert line.counters["requests"] == 1


def test_four_bytes_per_register(slave: Slave, line: SerialLine) -> None:
    """A family with four bytes per register is read with its own reply length."""
    slave.width = 4
    assert line.read(Question(1, 3, 0x48, 6, 4)) == slave.data(1, 0x48, 6)


def test_the_largest_reply_is_read_whole(slave: Slave, line: SerialLine) -> None:
    """125 registers, the most that Modbus allows, arrive in one piece."""
    assert line.read(Question(247, 3, 0, 125)) == slave.data(247, 0, 125)


def test_a_reply_in_pieces_is_put_together(slave: Slave, line: SerialLine) -> None:
    """A USB adapter hands a reply over in pieces, up to a latency timer apart: that is no fault."""
    slave.script.append(lambda good: [(0.0, good[:1]), (0.016, good[1:4]), (0.032, good[4:])])
    assert line.read(Question(1, 4, 0, 2)) == slave.data(1, 0, 2)


def test_noise_on_the_idle_line_is_no_part_of_a_reply(slave: Slave, line: SerialLine) -> None:
    """Bytes that came before the request are dropped, and the read succeeds."""
    line.read(Question(1, 4, 0, 2))
    slave.say(b"\x00\xff\x55")
    time.sleep(0.01)
    assert line.read(Question(2, 4, 0, 2)) == slave.data(2, 0, 2)


def test_noise_after_a_reply_costs_nothing(slave: Slave, line: SerialLine) -> None:
    """A line without bias resistors ends a frame with a stray byte: neither this read nor the next suffers."""
    slave.script.append(lambda good: [(0.0, good + b"\x00")])
    assert line.read(Question(1, 4, 0, 2)) == slave.data(1, 0, 2)
    assert line.read(Question(2, 4, 0, 2)) == slave.data(2, 0, 2)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("", MissingReason.TIMEOUT),
        ("01 04 04 01 00 01 01 3A 29", MissingReason.BAD_CRC),
        ("01 04 04 01 00 01", MissingReason.BAD_FRAME),
        ("01 04 04", MissingReason.BAD_FRAME),
        ("01", MissingReason.BAD_FRAME),
        ("FF 01 04 04 01 00 01 01 3A 28", MissingReason.BAD_CRC),
        ("02 04 04 01 00 01 01 09 28", MissingReason.WRONG_UNIT),
        ("02 04 02 01 00 FC A0", MissingReason.WRONG_UNIT),
        ("01 03 04 01 00 01 01 3B 9F", MissingReason.BAD_FRAME),
        ("01 04 05 01 00 01 01 07 E8", MissingReason.BAD_FRAME),
        ("01 04 02 01 00 B8 A0", MissingReason.BAD_FRAME),
        ("01 04 06 01 00 01 01 01 02 B1 2F", MissingReason.BAD_CRC),
        ("01 84 02 C2 C1", MissingReason.EXCEPTION_REPLY),
    ],
)
def test_a_failed_read_has_its_reason_ends_in_time_and_heals(
    slave: Slave, line: SerialLine, reply: str, reason: MissingReason
) -> None:
    """Every kind of bad reply: the reason, within ``failure_s``, counted once, and the next read is good."""
    line.read(Question(9, 4, 0, 2))
    slave.script.append(instead(bytes.fromhex(reply)))
    begin = time.monotonic()
    assert line.read(Question(1, 4, 0, 2)) is reason
    assert MIN_QUIET_S <= time.monotonic() - begin <= line.failure_s(4) + SLACK_S
    assert line.counters[reason.value] == 1
    assert line.read(Question(1, 4, 0, 2)) == slave.data(1, 0, 2)


@pytest.mark.parametrize("reply", ["01 84 02 C2 C1", "01 04 04 01 00 01 01 3A 29", "01 04 04 01 00"])
def test_a_bad_reply_is_known_when_the_line_falls_silent(slave: Slave, reply: str) -> None:
    """An exception, a bad CRC and a cut reply do not wait for the time-out of a slow meter."""
    line = SerialLine(slave.path, 115_200, "N", 1, turnaround_s=0.5)
    line.read(Question(9, 4, 0, 2))
    slave.script.append(instead(bytes.fromhex(reply)))
    took_s = timed(lambda: line.read(Question(1, 4, 0, 2)))
    line.close()
    assert 0.5 <= took_s <= 0.5 + LATENESS_S + SLACK_S  # the quiet time of such a meter is 0.5 s by itself


# -- silence -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("baud", "silence_s"), [(9600, 3.5 * 10 / 9600), (19_200, 3.5 * 10 / 19_200), (38_400, 0.00175)]
)
def test_silence_before_every_request(slave: Slave, baud: int, silence_s: float) -> None:
    """At least t3.5 passes between the last byte of a reply and the next request."""
    line = SerialLine(slave.path, baud, "N", 1, turnaround_s=0.05)
    for unit in range(1, 11):
        assert isinstance(line.read(Question(unit, 4, 0, 2)), bytes)
    line.close()
    gaps = [heard - said for (said, _), (heard, _) in zip(slave.said, slave.heard[1:], strict=False)]
    assert len(gaps) == 9
    assert min(gaps) >= silence_s


def test_no_request_into_a_talking_line(slave: Slave) -> None:
    """While somebody else talks no request is sent, and the read still ends in time."""
    line = SerialLine(slave.path, 1200, "N", 1, turnaround_s=0.05)  # t3.5 = 29 ms
    slave.script.append(lambda good: [(0.0, good), *((n / 1000, b"\x55") for n in range(1, 5000))])
    line.read(Question(8, 4, 0, 2))
    took_s = [timed(lambda unit=unit: line.read(Question(unit, 4, 0, 2))) for unit in (1, 2, 3)]  # type: ignore[misc]
    line.close()
    assert max(took_s) <= line.failure_s(4) + SLACK_S
    assert len(slave.heard) <= 2  # a busy machine may stall the talker into one real silence, not into three


def test_a_babbling_slave_cannot_hold_the_line(slave: Slave, line: SerialLine) -> None:
    """A slave that never stops costs one bounded failure, not the whole bus."""
    line.read(Question(9, 4, 0, 2))
    slave.script.append(lambda _: [(n / 1000, b"\x55") for n in range(2000)])
    assert timed(lambda: line.read(Question(1, 4, 0, 2))) <= line.failure_s(4) + SLACK_S


# -- time --------------------------------------------------------------------------------------------------


def test_the_computed_times_follow_the_wire() -> None:
    """The budget of a read is its bytes, its silences, the turnaround and the lateness; never less."""
    line = SerialLine("/nowhere", 9600, "E", 1, turnaround_s=0.1)
    char_s = 11 / 9600
    good_s = (8 + 25) * char_s + 2 * 3.5 * char_s + 0.1 + LATENESS_S
    assert line.transaction_s(20) == pytest.approx(good_s)
    assert line.failure_s(20) == pytest.approx(2 * (good_s + 2 * MIN_QUIET_S + 25 * char_s))
    assert line.transaction_s(20) == pytest.approx(good_s)
    assert SerialLine("/nowhere", 9600, "N", 2, turnaround_s=0.1).transaction_s(20) == pytest.approx(good_s)


def test_the_quiet_time_is_never_below_the_turnaround() -> None:
    """A slow meter's line is left quiet for longer, since its late reply comes later."""
    slow, fast = (SerialLine("/nowhere", 9600, "N", 1, turnaround_s=turnaround_s) for turnaround_s in (1.0, 0.2))
    assert slow.failure_s(4) - fast.failure_s(4) == pytest.approx(2 * (0.8 + 2 * 0.8))


def test_a_good_read_stays_within_its_budget(slave: Slave, line: SerialLine) -> None:
    """A meter that uses its whole turnaround is read, and within ``transaction_s``."""
    line.read(Question(1, 4, 0, 2))
    for _ in range(3):
        slave.script.append(late(0.05))
        begin = time.monotonic()
        assert isinstance(line.read(Question(1, 4, 0, 10)), bytes)
        assert time.monotonic() - begin <= line.transaction_s(20) + SLACK_S


def test_a_dead_meter_costs_a_third_of_the_worst_failure(slave: Slave, line: SerialLine) -> None:
    """The budget charges a silent meter with what it really costs: every try waits that long, and no longer."""
    line.read(Question(9, 4, 0, 2))
    for _ in range(3):
        slave.script.append(instead())
        took_s = timed(lambda: line.read(Question(1, 4, 0, 10)))
        assert line.timing.dead_s(20) - 2 * line.timing.silence_s - 0.011 <= took_s <= line.timing.dead_s(20) + SLACK_S
    assert line.timing.dead_s(20) < 0.4 * line.failure_s(20)


def test_a_meter_that_comes_back_costs_no_more_than_the_budget_says(slave: Slave, line: SerialLine) -> None:
    """The first reply after a failure is thrown away: one exchange and one quiet time more than a good read."""
    line.read(Question(9, 4, 0, 2))
    slave.script.extend([instead(), late(0.05), late(0.05)])
    line.read(Question(1, 4, 0, 10))
    took_s = timed(lambda: line.read(Question(1, 4, 0, 10)))
    assert took_s <= line.timing.dead_s(20) + line.timing.transaction_s(20) + SLACK_S
    assert line.counters["discarded"] == 1


def test_a_dead_meter_costs_one_time_out_and_one_quiet_time(slave: Slave, line: SerialLine) -> None:
    """Silence is waited for once: the time-out, the quiet time, nothing more."""
    line.read(Question(9, 4, 0, 2))
    slave.script.append(instead())
    took_s = timed(lambda: line.read(Question(1, 4, 0, 2)))
    assert took_s <= line.transaction_s(4) + MIN_QUIET_S + SLACK_S


# -- late replies ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delay_s", [0.1, 0.2, 0.27, 0.3, 0.33, 0.38])
def test_a_late_reply_is_never_the_answer_to_another_question(slave: Slave, line: SerialLine, delay_s: float) -> None:
    """Same unit, other address, same count: after a late reply every value is that of its own question."""
    line.read(Question(9, 4, 0, 2))
    slave.script.append(late(delay_s))
    assert line.read(Question(1, 4, 0, 2)) is MissingReason.TIMEOUT
    values = [(start, line.read(Question(1, 4, start, 2))) for start in range(2, 28, 2)]
    wrong = [start for start, data in values if isinstance(data, bytes) and data != slave.data(1, start, 2)]
    assert wrong == []
    assert sum(isinstance(data, bytes) for _, data in values) >= 12


def test_a_late_reply_in_front_of_the_next_is_thrown_away(slave: Slave, line: SerialLine) -> None:
    """The late reply comes only when the next question is on the wire: it is discarded, the question repeated."""
    line.read(Question(9, 4, 0, 2))
    old = slave.sealed(bytes([1, 4, 4]) + slave.data(1, 0, 2))
    slave.script.extend([instead(), lambda good: [(0.0, old), (0.0, good)]])
    assert line.read(Question(1, 4, 0, 2)) is MissingReason.TIMEOUT
    for start in range(2, 24, 2):
        assert line.read(Question(1, 4, start, 2)) == slave.data(1, start, 2)
    assert line.counters["discarded"] == 1


def test_the_reply_to_the_discarded_question_is_not_the_answer_to_the_next(slave: Slave, line: SerialLine) -> None:
    """After a discarded reply the line is drained: its own question is still to be answered by a slow slave."""
    line.read(Question(9, 4, 0, 2))
    old = slave.sealed(bytes([1, 4, 4]) + slave.data(1, 0, 2))
    slave.script.extend([instead(), lambda good: [(0.0, old), (0.03, good)], late(0.045), late(0.045)])
    assert line.read(Question(1, 4, 0, 2)) is MissingReason.TIMEOUT
    assert line.read(Question(1, 4, 2, 2)) == slave.data(1, 2, 2)
    assert line.read(Question(1, 4, 4, 2)) == slave.data(1, 4, 2)


def test_a_slave_that_queues_never_answers_the_wrong_question(slave: Slave, line: SerialLine) -> None:
    """A slave that lags behind for a while and answers everything in the end is not believed one question late."""
    line.read(Question(9, 4, 0, 2))
    slave.script.extend([late(0.35), late(0.3), late(0.25), late(0.2)])
    for start in range(2, 30, 2):
        data = line.read(Question(1, 4, start, 2))
        assert isinstance(data, MissingReason) or data == slave.data(1, start, 2)
    assert line.read(Question(1, 4, 0, 2)) == slave.data(1, 0, 2)


def test_a_late_reply_of_one_unit_is_not_another_units(slave: Slave, line: SerialLine) -> None:
    """A reply that arrives while another meter is asked is that of the wrong unit, and both heal."""
    line.read(Question(9, 4, 0, 2))
    old = slave.sealed(bytes([1, 4, 4]) + slave.data(1, 0, 2))
    slave.script.extend([instead(), lambda good: [(0.0, old), (0.0, good)]])
    assert line.read(Question(1, 4, 0, 2)) is MissingReason.TIMEOUT
    assert line.read(Question(2, 4, 0, 2)) is MissingReason.WRONG_UNIT
    for unit in (1, 2, 1, 2):
        assert line.read(Question(unit, 4, 6, 2)) == slave.data(unit, 6, 2)


def test_only_the_failed_unit_is_suspect(slave: Slave, line: SerialLine) -> None:
    """The others are not asked twice, and the suspect one only once."""
    line.read(Question(9, 4, 0, 2))
    slave.script.append(instead())
    line.read(Question(1, 4, 0, 2))
    before = line.counters["requests"]
    line.read(Question(2, 4, 0, 2))
    assert line.counters["requests"] - before == 1
    line.read(Question(1, 4, 0, 2))
    assert line.counters["requests"] - before == 3
    line.read(Question(1, 4, 0, 2))
    assert line.counters["requests"] - before == 4


@settings(max_examples=10, deadline=None)
@given(
    sent=st.lists(
        st.binary(min_size=1, max_size=20) | st.sampled_from([GOOD, GOOD[:5], GOOD[1:], bytes.fromhex("018402C2C1")]),
        max_size=4,
    )
)
def test_random_bytes_on_the_line_never_become_a_value(
    tmp_path_factory: pytest.TempPathFactory, new_slave: type[Slave], sent: list[bytes]
) -> None:
    """Whatever a line carries, a read brings its own data or a reason, and after it the line works again."""
    slave = new_slave(tmp_path_factory.mktemp("line") / "tty")
    line = SerialLine(slave.path, 115_200, "N", 1, turnaround_s=0.02)
    slave.script.append(instead(*sent))
    data = line.read(Question(1, 4, 0, 2))
    assert isinstance(data, MissingReason) or data == slave.data(1, 0, 2)
    assert line.read(Question(2, 4, 8, 2)) == slave.data(2, 8, 2)
    line.close()
    slave.close()


# -- the adapter -------------------------------------------------------------------------------------------


def test_a_missing_device_is_a_value_at_once(tmp_path: Path) -> None:
    """Without the device every read says BUS_LOST, raises nothing and waits for nothing."""
    line = SerialLine(f"{tmp_path}/none", 9600, "N", 1, turnaround_s=0.1)
    begin = time.monotonic()
    assert [line.read(Question(unit, 4, 0, 2)) for unit in range(1, 6)] == [MissingReason.BUS_LOST] * 5
    assert time.monotonic() - begin <= SLACK_S
    assert line.counters["bus_lost"] == 5
    line.close()


def test_a_file_that_is_no_tty_is_a_lost_bus(tmp_path: Path) -> None:
    """A path that names something else behaves like a missing device."""
    for device in (f"{tmp_path}", "/dev/null"):
        line = SerialLine(device, 9600, "N", 1, turnaround_s=0.1)
        assert line.read(Question(1, 4, 0, 2)) is MissingReason.BUS_LOST
        line.close()


def test_a_vanished_device_comes_back(slave: Slave, line: SerialLine) -> None:
    """Unplugged and plugged in again: BUS_LOST meanwhile, then values, without a restart and without suspicion."""
    assert line.read(Question(1, 4, 0, 2)) == slave.data(1, 0, 2)
    slave.script.append(instead())
    assert line.read(Question(1, 4, 0, 2)) is MissingReason.TIMEOUT
    slave.vanish()
    assert line.read(Question(1, 4, 0, 2)) is MissingReason.BUS_LOST
    slave.appear()
    assert timed(lambda: line.read(Question(1, 4, 0, 2))) <= SLACK_S  # not tried again before the pause is over
    outcomes = []
    for _ in range(3):
        time.sleep(REOPEN_S)
        outcomes.append(line.read(Question(1, 4, 0, 2)))
        if outcomes[-1] is not MissingReason.BUS_LOST:
            break
    assert outcomes[-1] == slave.data(1, 0, 2)
    assert len(slave.heard) == 3


def test_a_device_that_vanishes_in_the_middle_of_a_read(slave: Slave, line: SerialLine) -> None:
    """The hang-up ends the read at once and without an exception."""
    line.read(Question(1, 4, 0, 2))
    slave.script.append(instead())
    unplugging = threading.Timer(0.02, slave.vanish)
    unplugging.start()
    took_s = timed(lambda: line.read(Question(1, 4, 0, 2)))
    unplugging.join()
    assert took_s <= 0.02 + SLACK_S
    assert line.counters["bus_lost"] == 1


def test_the_device_is_exclusive(slave: Slave, line: SerialLine) -> None:
    """A second line on the same device gets nothing and disturbs nothing."""
    line.read(Question(1, 4, 0, 2))
    second = SerialLine(slave.path, 115_200, "N", 1, turnaround_s=0.05)
    assert second.read(Question(1, 4, 0, 2)) is MissingReason.BUS_LOST
    assert line.read(Question(1, 4, 0, 2)) == slave.data(1, 0, 2)
    second.close()


def test_a_closed_line_stays_closed(slave: Slave, line: SerialLine) -> None:
    """After ``close`` nothing is sent any more, and closing twice is harmless."""
    line.read(Question(1, 4, 0, 2))
    line.close()
    line.close()
    assert line.read(Question(1, 4, 0, 2)) is MissingReason.BUS_LOST
    assert len(slave.heard) == 1


def test_what_an_earlier_owner_asked_is_drained(slave: Slave, line: SerialLine) -> None:
    """A reply to a process that was killed in the middle of a read is not taken by the one that follows it."""
    old = slave.sealed(bytes([1, 4, 4]) + slave.data(1, 0, 2))
    slave.script.append(late(0.045))
    late_reply = threading.Timer(0.02, slave.say, [old])
    late_reply.start()
    assert line.read(Question(1, 4, 2, 2)) == slave.data(1, 2, 2)
    late_reply.join()


@pytest.mark.parametrize(
    ("baud", "parity", "stopbits", "turnaround_s"),
    [(0, "N", 1, 0.1), (9600, "M", 1, 0.1), (9600, "N", 3, 0.1), (9600, "N", 1, 0.0), (9600, "N", 1, float("nan"))],
)
def test_an_impossible_serial_setting_is_refused(baud: int, parity: str, stopbits: int, turnaround_s: float) -> None:
    """A wrong setting is a mistake of the caller and not a missing reading for ever."""
    with pytest.raises(ValueError, match="no serial setting"):
        SerialLine("/nowhere", baud, parity, stopbits, turnaround_s)


# -- adapters that hear themselves ---------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 10])
def test_an_echoing_adapter_gives_the_same_values(slave: Slave, line: SerialLine, count: int) -> None:
    """A copy of the request in front of the reply is taken away, also where the reply is shorter than the copy."""
    for number in range(4):
        question = Question(1, 4, number, count)
        slave.script.append(lambda good, frame=question.frame: [(0.0, frame), (0.002, good)])  # type: ignore[misc]
        assert line.read(question) == slave.data(1, number, count)
    assert line.echoes


def test_an_echo_without_a_reply_is_silence(slave: Slave, line: SerialLine) -> None:
    """A dead meter behind an echoing adapter is not taken for one that answers."""
    question = Question(1, 4, 0, 2)
    for _ in range(3):
        slave.script.append(lambda _: [(0.0, question.frame)])
        assert line.read(question) is MissingReason.TIMEOUT
    assert line.unit_counters[1]["timeout"] == 3


def test_another_adapter_is_another_ear(slave: Slave, line: SerialLine) -> None:
    """What was learned of an adapter is forgotten with it."""
    question = Question(1, 4, 0, 2)
    slave.script.append(lambda good: [(0.0, question.frame + good)])
    line.read(question)
    slave.vanish()
    assert line.read(question) is MissingReason.BUS_LOST
    slave.appear()
    time.sleep(REOPEN_S)
    assert line.read(question) == slave.data(1, 0, 2)
    assert not line.echoes


# -- the pace of every unit ------------------------------------------------------------------------------------


def test_a_known_unit_that_falls_silent_costs_a_shorter_time_out(slave: Slave) -> None:
    """The time-out follows the unit: 20 ms beyond its own turn-round instead of the 500 ms that the line grants."""
    line = SerialLine(slave.path, 115_200, "N", 1, turnaround_s=0.5)
    question = Question(1, 4, 0, 2)
    for _ in range(5):
        line.read(question)
    slave.script.append(lambda _: [])
    begin_s = time.monotonic()
    line.read(question)
    assert time.monotonic() - begin_s <= 0.1 + line.timing.quiet_s + SLACK_S
    # what it was learned is forgotten: the whole turn-round is granted again
    slave.script.append(lambda good: [(0.4, good)])
    slave.script.append(lambda good: [(0.4, good)])
    assert line.read(question) == slave.data(1, 0, 2)
    line.close()


def test_a_sleep_too_long_is_unlearned(slave: Slave, line: SerialLine) -> None:
    """A unit that was slow once is read fast again: looks come sooner after every reply that was there already."""
    question = Question(1, 4, 0, 10)
    slave.script.append(lambda good: [(0.04, good)])
    for _ in range(40):
        line.read(question)
    assert min(timed(lambda: line.read(question)) for _ in range(5)) <= 0.02


def test_an_old_reply_sent_twice_is_not_the_answer_to_the_next_question(slave: Slave, line: SerialLine) -> None:
    """A reply that comes once more while the next one of the same unit and length is due: two replies are none."""
    for _ in range(3):
        line.read(Question(1, 4, 0, 2))
    old = slave.reply(Question(1, 4, 0, 2).frame)
    slave.script.append(lambda good: [(0.0, old), (0.001, good)])
    outcomes = [line.read(Question(1, 4, start, 2)) for start in (20, 30, 40)]
    assert outcomes == [MissingReason.BAD_FRAME, slave.data(1, 30, 2), slave.data(1, 40, 2)]


def test_everything_odd_is_counted_for_its_unit(slave: Slave, line: SerialLine) -> None:
    """One bad meter among many is found by its own counters."""
    line.read(Question(1, 4, 0, 2))
    slave.script.append(instead(b"\1\2\3\4\5\6\7\x08\x09"))
    line.read(Question(2, 4, 0, 2))
    assert line.unit_counters[1]["bad_crc"] == 0
    assert line.unit_counters[1]["requests"] == 1
    assert line.unit_counters[2]["bad_crc"] == 1
    assert line.counters["bad_crc"] == 1


def test_the_trouble_of_a_device_is_kept_in_words(slave: Slave, line: SerialLine) -> None:
    """What the operating system says of a device that is gone can be shown, and goes when it is back."""
    line.read(Question(1, 4, 0, 2))
    assert line.trouble == ""
    slave.vanish()
    line.read(Question(1, 4, 0, 2))
    assert line.trouble
    slave.appear()
    time.sleep(REOPEN_S)
    line.read(Question(1, 4, 0, 2))
    assert line.trouble == ""


def test_counters_cannot_be_changed_from_outside(line: SerialLine) -> None:
    """The status shows the line's own counts."""
    with pytest.raises(TypeError):
        line.counters["requests"] = 0  # type: ignore[index]
