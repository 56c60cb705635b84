"""From profiles to drivers: what the loader accepts can be driven, and what is budgeted is what is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.budget import meter_timing
from config.errors import ConfigError
from config.load import load_meter, load_text, meters
from config.meter_files import load_meter_text
from drivers.meter import MeterDevice
from pilenode.guard import assemble
from pilenode.guard.board import CABINET
from pilenode.guard.meter_map import register_map
from safety.budget import line_timing

if TYPE_CHECKING:
    from drivers.frames import Question
    from safety.reading import MissingReason

_KEYS = ("voltage_v", "current_a", "power_w", "energy_wh")
_ADDRESSES = st.sampled_from([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 60, 61, 62, 124, 125, 126, 0xFFFE, 0xFFFF])


@st.composite
def profiles(draw: st.DrawFn) -> str:
    """Return the text of a profile that is right more often than chance would have it, and often wrong."""
    width = draw(st.sampled_from([2, 2, 2, 4]))
    text = f'model = "m1"\ntitle = "t"\nsource = "s"\nfunction = 4\nbytes_per_register = {width}\n'
    text += f"gaps_readable = {draw(st.sampled_from(['true', 'false']))}\n[serial]\nbaud = 9600\n"
    names = draw(st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3, unique=draw(st.booleans())))
    at = draw(st.sampled_from([0, 0, 0, 0xFF80]))
    for name in names:
        count = draw(st.sampled_from([8, 12, 62, 63, 125]))
        rate = draw(st.sampled_from(["fast", "fast", "slow"]))
        text += f'[[block]]\nname = "{name}"\nstart = {at}\ncount = {count}\nrate = "{rate}"\n'
        at = min(0xFFFF, at + draw(st.sampled_from([count, count, count + 4, 1])))
    kinds = ["u16", "s16", "u32", "s32", "f32"] if width == 2 else ["u32", "s32", "f32", "f32", "u16"]
    for table in ("values", *(["channel"] * draw(st.integers(0, 2)))):
        text += "[[channel]]\n" if table == "channel" else ""
        base = draw(st.sampled_from([0, 0, 8]))
        for n, key in enumerate((*_KEYS, *(["power_factor"] * draw(st.booleans())))):
            address = draw(st.one_of(st.just(base + 2 * n), st.just(base + 2 * n), _ADDRESSES))
            text += f'[{table}.{key}]\nblock = "{draw(st.sampled_from(names))}"\naddress = {address}\n'
            text += f'type = "{draw(st.sampled_from(kinds))}"\n'
            more = draw(st.sampled_from(["", "", "", f"plus = [{address + 1}]\n", "scales = [1, 10]\n"]))
            text += more if more.startswith("plus") or key == "power_w" else ""
    return text


def test_whatever_the_loader_accepts_can_be_driven() -> None:
    """No profile gets past the loader that guard would die of: not its map, not its reads, not its budget."""
    accepted = 0

    @settings(max_examples=120, deadline=None)
    @given(text=profiles())
    def judge(text: str) -> None:
        nonlocal accepted
        try:
            profile = load_meter_text(text, "m1")
        except ConfigError:
            return
        accepted += 1
        table = register_map(profile)
        line = line_timing(9600, "N", 1, 0.1)
        timing = meter_timing(line, profile, again=True)
        reads = table.reads(line.transaction_s)
        assert [block.count * table.bytes_per_register for block in reads] == [*timing.fast, *timing.slow]

    judge()
    assert accepted >= 3  # the generator makes good ones too


class Line:
    """A line that notes what is asked and answers nothing but zeros."""

    def __init__(self, baud: int) -> None:
        self.timing = line_timing(baud, "N", 1, 0.1)
        self.asked: list[Question] = []

    def read(self, question: Question) -> bytes | MissingReason:
        """Return zeros."""
        self.asked.append(question)
        return bytes(question.size)

    def transaction_s(self, size: int) -> float:
        """Return the time of one read."""
        return self.timing.transaction_s(size)

    def failure_s(self, size: int) -> float:
        """Return the time of one failing read."""
        return self.timing.failure_s(size)

    def close(self) -> None:
        """Do nothing."""


@pytest.mark.parametrize("baud", [1200, 9600, 19_200, 115_200])
@pytest.mark.parametrize("model", meters())
def test_what_is_budgeted_is_what_is_read(model: str, baud: int) -> None:
    """For every model and rate the driver sends exactly the transactions that the budget was computed with."""
    profile, line = load_meter(model), Line(baud)
    device = MeterDevice(line, 1, register_map(profile))
    timing = meter_timing(line.timing, profile, again=True)
    device.poll(lambda: 1.0, slow=True)
    assert [question.size for question in line.asked] == [*timing.fast, *timing.slow]
    line.asked.clear()
    device.poll(lambda: 2.0, slow=False)
    assert [question.size for question in line.asked] == [*timing.fast]
    assert device.cost_s(slow=True) == pytest.approx(timing.full_s)
    assert device.cost_s(slow=False) == pytest.approx(timing.fast_s)


def test_energy_of_a_dds238_rides_with_its_power() -> None:
    """Blocks that adjoin are one request: eight registers from 0x000A."""
    line = Line(9600)
    MeterDevice(line, 1, register_map(load_meter("dds238-2"))).poll(lambda: 1.0, slow=False)
    assert [(question.start, question.count) for question in line.asked] == [(0x0A, 8)]


CABINET_TEXT = """\
[node]
id = "n1"
[[bus]]
name = "main"
device = "/dev/x"
[[bus]]
name = "other"
device = "/dev/y"
[[port]]
number = 1
meter = { model = "jsy-mk-194t", unit = 1, channel = 2, bus = "main" }
relay = { pin = 5 }
[[port]]
number = 7
meter = { model = "jsy-mk-194t", unit = 1, channel = 1, bus = "main" }
relay = { pin = 6 }
[[port]]
number = 3
meter = { model = "jsy-mk-194t", unit = 2, channel = 1, bus = "main" }
relay = { pin = 13 }
[[port]]
number = 4
meter = { model = "pzem004t-v3", unit = 1, bus = "other" }
relay = { pin = 19 }
[cabinet.inlet]
model = "jsy-mk-194t"
unit = 2
channel = 2
bus = "main"
"""


def test_meters_are_assembled_by_address_with_the_ports_they_serve() -> None:
    """One device for each address of a bus; the inlet may hang on the free channel of a port's meter."""
    config = load_text(CABINET_TEXT)
    lines = {bus.name: assemble.line(bus) for bus in config.bus}
    main = [one.ports for one in assemble.meters(config, "main", lines["main"])]
    other = [one.ports for one in assemble.meters(config, "other", lines["other"])]
    assert main == [{2: 1, 1: 7}, {1: 3, 2: CABINET}]
    assert other == [{1: 4}]
