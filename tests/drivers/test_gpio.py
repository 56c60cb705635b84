"""Relays fail off, contacts fail into alarm, and no GPIO back end is ever chosen by itself."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from gpiozero import Device, GPIODevice
from gpiozero.pins.mock import MockFactory, MockPin

from drivers.gpio import GpioContacts, GpioError, GpioRelays, InputSpec, OutputSpec, pin_factory
from hil_rig.pins import RigFactory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from drivers.contracts import Contacts, Relays

HIGH = OutputSpec(17, active_high=True)
LOW = OutputSpec(27, active_high=False)
CONTACTOR = OutputSpec(22, active_high=False)
HEARTBEAT = 5
SMOKE = InputSpec("smoke", 6, normally_closed=True, pull_up=True)
ESTOP = InputSpec("estop", 13, normally_closed=True, pull_up=True)


@pytest.fixture
def factory() -> Iterator[MockFactory]:
    """Return gpiozero's own simulated pins."""
    with MockFactory() as made:
        yield made


@pytest.fixture
def pins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Name the files of the rig's pins, for this process and its children."""
    path = tmp_path / "pins"
    monkeypatch.setenv("HIL_RIG_PINS", str(path))
    return path


@pytest.fixture
def relays(factory: MockFactory) -> Iterator[GpioRelays]:
    """Return the outputs of a two-port cabinet on gpiozero's simulated pins."""
    made = GpioRelays(factory, {1: HIGH, 2: LOW}, CONTACTOR, HEARTBEAT)
    yield made
    made.close()


def levels(factory: MockFactory, *pins: int) -> list[int]:
    """Return the electrical levels of ``pins``."""
    return [int(factory.pin(pin).state) for pin in pins]


def written(path: Path) -> list[tuple[int, int]]:
    """Return (pin, level) of every line of the rig's pins file."""
    return [(int(words[1]), int(words[2])) for words in map(str.split, path.read_text().splitlines())]


class Breakable(MockPin):  # type: ignore[misc] # gpiozero has no types
    """A pin that can break: it then refuses to be driven or read."""

    broken = False

    def _set_state(self, value: float) -> None:
        if self.broken:
            raise OSError("line is gone")
        super()._set_state(value)

    def _get_state(self) -> bool:
        if self.broken:
            raise OSError("line is gone")
        return bool(super()._get_state())


@pytest.fixture
def breakable() -> Iterator[MockFactory]:
    """Return simulated pins that can break."""
    with MockFactory(pin_class=Breakable) as made:
        yield made


# -- outputs ---------------------------------------------------------------------------------------------------


def test_every_line_is_an_output_at_its_off_level_after_opening(relays: GpioRelays, factory: MockFactory) -> None:
    """Opening the outputs closes no relay, whichever level closes it."""
    assert relays
    assert [factory.pin(pin).function for pin in (17, 27, 22, 5)] == ["output"] * 4
    assert levels(factory, 17, 27, 22, 5) == [0, 1, 1, 0]


def test_opening_never_passes_through_the_on_level(pins: Path) -> None:
    """A relay that closes on a low level gets no low blip when its line becomes an output."""
    with RigFactory() as factory:
        GpioRelays(factory, {1: HIGH, 2: LOW}, CONTACTOR, HEARTBEAT).close()
    assert written(pins) == [(17, 0), (27, 1), (22, 1), (5, 0)]


@pytest.mark.parametrize(("port", "pin", "on_level"), [(1, 17, 1), (2, 27, 0)])
def test_switch_drives_the_level_that_the_polarity_asks_for(
    relays: GpioRelays, factory: MockFactory, port: int, pin: int, on_level: int
) -> None:
    """Closing gives the active level on that port's line only, opening the other one."""
    others = [other for other in (17, 27, 22, 5) if other != pin]
    before = levels(factory, *others)
    relays.switch(port, closed=True)
    assert levels(factory, pin) == [on_level]
    assert levels(factory, *others) == before
    relays.switch(port, closed=False)
    assert levels(factory, pin) == [1 - on_level]


def test_contactor_and_heartbeat(relays: GpioRelays, factory: MockFactory) -> None:
    """The contactor follows its polarity, and each heartbeat is one edge."""
    relays.contactor(closed=True)
    assert levels(factory, 22) == [0]
    relays.contactor(closed=False)
    assert levels(factory, 22) == [1]
    beats = []
    for _ in range(4):
        relays.heartbeat()
        beats += levels(factory, 5)
    assert beats == [1, 0, 1, 0]


def test_a_cabinet_without_contactor_and_heartbeat_has_no_such_lines(factory: MockFactory) -> None:
    """Asking for what is not there is allowed and touches nothing."""
    relays = GpioRelays(factory, {1: HIGH}, None, None)
    relays.contactor(closed=True)
    relays.heartbeat()
    assert {info.name for info in factory.pins} == {"GPIO17"}
    relays.close()


def test_a_port_without_a_relay_is_an_error(relays: GpioRelays) -> None:
    """An unknown port is not silently ignored."""
    with pytest.raises(KeyError):
        relays.switch(3, closed=True)


def everything_on(relays: GpioRelays) -> None:
    """Switch all outputs on."""
    relays.contactor(closed=True)
    relays.switch(1, closed=True)
    relays.switch(2, closed=True)
    relays.heartbeat()


def test_all_off_opens_everything(relays: GpioRelays, factory: MockFactory) -> None:
    """One call opens relays and contactor and lets the heartbeat rest; work can go on afterwards."""
    everything_on(relays)
    relays.all_off()
    assert levels(factory, 17, 27, 22, 5) == [0, 1, 1, 0]
    relays.switch(1, closed=True)
    assert levels(factory, 17) == [1]


@pytest.mark.parametrize("broken", [17, 27, 22, 5])
def test_all_off_tries_every_line_when_one_fails(breakable: MockFactory, broken: int) -> None:
    """One broken line keeps no other relay closed, and nothing is raised."""
    relays = GpioRelays(breakable, {1: HIGH, 2: LOW}, CONTACTOR, HEARTBEAT)
    everything_on(relays)
    breakable.pin(broken).broken = True
    relays.all_off()
    breakable.pin(broken).broken = False
    off = {17: 0, 27: 1, 22: 1, 5: 0}
    assert {pin: levels(breakable, pin)[0] for pin in off} == off | {broken: 1 - off[broken]}
    relays.close()


def test_a_line_that_cannot_be_driven_is_told(breakable: MockFactory) -> None:
    """The caller learns that an order was not carried out."""
    relays = GpioRelays(breakable, {1: HIGH}, CONTACTOR, HEARTBEAT)
    for pin in (17, 22, 5):
        breakable.pin(pin).broken = True
    orders: list[Callable[[], None]] = [
        lambda: relays.switch(1, closed=True),
        lambda: relays.switch(1, closed=False),
        lambda: relays.contactor(closed=False),
        relays.heartbeat,
    ]
    for order in orders:
        with pytest.raises(GpioError, match="line is gone"):
            order()
    relays.close()


def test_all_off_from_a_signal_handler_wins_over_the_closing_it_interrupts() -> None:
    """A relay whose closing is interrupted by all_off ends open, not closed."""

    class Interrupting(MockPin):  # type: ignore[misc] # gpiozero has no types
        """A pin whose driving high is preceded by a signal."""

        def _set_state(self, value: float) -> None:
            if value:
                os.kill(os.getpid(), signal.SIGUSR1)
            super()._set_state(value)

    with MockFactory(pin_class=Interrupting) as factory:
        relays = GpioRelays(factory, {1: HIGH}, None, None)
        calls = []

        def handler(*_: object) -> None:
            calls.append(levels(factory, 17))
            relays.all_off()

        before = signal.signal(signal.SIGUSR1, handler)
        try:
            relays.switch(1, closed=True)
        finally:
            signal.signal(signal.SIGUSR1, before)
        assert calls == [[0]]
        assert levels(factory, 17) == [0]
        relays.close()


def test_closed_lines_stay_outputs_at_their_off_level(factory: MockFactory) -> None:
    """After close, and after everything is collected, no line floats."""
    relays = GpioRelays(factory, {1: HIGH, 2: LOW}, CONTACTOR, HEARTBEAT)
    everything_on(relays)
    relays.close()
    relays.close()
    relays.all_off()
    collected = weakref.ref(relays)
    del relays
    gc.collect()
    assert collected() is None
    assert levels(factory, 17, 27, 22, 5) == [0, 1, 1, 0]
    assert [factory.pin(pin).function for pin in (17, 27, 22, 5)] == ["output"] * 4


def test_closed_lines_can_be_claimed_again(factory: MockFactory) -> None:
    """Close gives the lines up."""
    GpioRelays(factory, {1: HIGH}, None, None).close()
    again = GpioRelays(factory, {1: HIGH}, None, None)
    again.switch(1, closed=True)
    assert levels(factory, 17) == [1]
    again.close()


def test_lines_that_cannot_be_claimed_are_all_named_and_the_others_are_off(factory: MockFactory) -> None:
    """A wrong pin plan is refused as a whole: every bad line named, every good one off and free again."""
    with pytest.raises(GpioError, match=r"GPIO 17 .*GPIO 53 ") as caught:
        GpioRelays(factory, {1: HIGH, 2: HIGH, 3: OutputSpec(53, active_high=True), 4: LOW}, None, None)
    assert "GPIO 27" not in str(caught.value)
    assert levels(factory, 17, 27) == [0, 1]
    GpioRelays(factory, {1: HIGH, 4: LOW}, None, None).close()


def run_child(body: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a Python program that imports what this one imports."""
    return subprocess.run(
        [sys.executable, "-c", body],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_process_that_ends_with_an_error_leaves_everything_off(pins: Path, tmp_path: Path) -> None:
    """An unhandled exception opens the relays on the way out, though threads still hold them."""
    child = run_child(
        "from drivers.gpio import *\n"
        "ports = {1: OutputSpec(17, True), 2: OutputSpec(27, False)}\n"
        "relays = GpioRelays(pin_factory('hil_rig.pins:RigFactory'), ports, OutputSpec(22, True), None)\n"
        "import threading\n"
        "threading.Thread(target=lambda held: threading.Event().wait(), args=[relays], daemon=True).start()\n"
        "relays.contactor(closed=True); relays.switch(1, closed=True); relays.switch(2, closed=True)\n"
        "raise SystemError('bug')\n",
        tmp_path,
    )
    assert "SystemError: bug" in child.stderr
    last = dict(written(pins))
    assert written(pins)[3:6] == [(22, 1), (17, 1), (27, 0)]
    assert last == {22: 0, 17: 0, 27: 1}


# -- back ends -------------------------------------------------------------------------------------------------


def test_a_factory_is_found_by_its_import_path(pins: Path) -> None:
    """The name in the configuration gives exactly that factory."""
    assert pins
    factory = pin_factory("hil_rig.pins:RigFactory")
    assert type(factory) is RigFactory
    factory.close()


@pytest.mark.parametrize(
    "name",
    [
        "no_such_module:Factory",
        "gpiozero.pins.mock:NoSuchClass",
        "gpiozero.pins.mock",
        "pathlib:Path",
        "drivers.gpio:OutputSpec",
        "hil_rig.pins:RigFactory",
        "mock",
        "",
    ],
)
def test_a_back_end_that_cannot_be_made_is_an_error_and_nothing_else_is_tried(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no fall-back, whatever the environment suggests."""
    monkeypatch.delenv("HIL_RIG_PINS", raising=False)
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "mock")
    with pytest.raises(GpioError, match=f"GPIO back end '{name}'"):
        pin_factory(name)
    assert Device.pin_factory is None


FAKE_CHIP = """
import lgpio, gpiozero.pins.local
calls, modes = [], {}
gpiozero.pins.local.get_pi_revision = lambda: 0xa02082
lgpio.gpiochip_open = lambda chip: 0
lgpio.gpiochip_close = lambda handle: calls.append("chip closed")
def claim_input(handle, pin, flags=0):
    calls.append(("input", pin))
    modes[pin] = 0
def claim_output(handle, pin, level=0, flags=0):
    calls.append(("output", pin, level))
    modes[pin] = 2
lgpio.gpio_claim_input, lgpio.gpio_claim_output = claim_input, claim_output
lgpio.gpio_write = lambda handle, pin, level: calls.append(("write", pin, int(level)))
lgpio.gpio_get_mode = lambda handle, pin: modes[pin]
from drivers.gpio import *
"""


def test_on_lgpio_a_line_becomes_an_output_at_its_off_level_at_once(tmp_path: Path) -> None:
    """The claim itself carries the OFF level, and closing neither floats the line nor closes the chip.

    The calls into lgpio are recorded: a chip is only in the vm and rack environments.
    """
    child = run_child(
        FAKE_CHIP + "relays = GpioRelays(pin_factory('lgpio'), {1: OutputSpec(27, active_high=False)}, None, None)\n"
        "relays.switch(1, closed=True); relays.close(); print(calls)",
        tmp_path,
    )
    assert child.stderr == ""
    assert child.stdout.strip() == str(
        [("input", 27), ("output", 27, 1), ("write", 27, 0), ("write", 27, 1), ("write", 27, 1)]
    )


def test_lgpio_without_a_chip_is_an_error(tmp_path: Path) -> None:
    """On a machine whose chip cannot be opened the answer is one sentence, not another back end."""
    child = run_child(
        FAKE_CHIP + "def refuse(chip): raise lgpio.error('can not open gpiochip')\n"
        "lgpio.gpiochip_open = refuse\n"
        "try:\n    pin_factory('lgpio')\nexcept GpioError as error:\n    print(error)\n",
        tmp_path,
    )
    assert child.stderr == ""
    assert child.stdout.strip() == "GPIO back end 'lgpio' cannot be used: 'can not open gpiochip'"


# -- contacts --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("normally_closed", "pull_up", "level", "alarm"),
    [
        (True, True, 0, False),
        (True, True, 1, True),
        (False, True, 1, False),
        (False, True, 0, True),
        (True, False, 1, False),
        (True, False, 0, True),
        (False, False, 0, False),
        (False, False, 1, True),
    ],
)
def test_contact_table(factory: MockFactory, *, normally_closed: bool, pull_up: bool, level: int, alarm: bool) -> None:
    """Alarm is an open normally-closed or a closed normally-open contact, with either bias."""
    contacts = GpioContacts(factory, [InputSpec("smoke", 6, normally_closed=normally_closed, pull_up=pull_up)])
    pin = factory.pin(6)
    (pin.drive_high if level else pin.drive_low)()
    assert contacts.alarms() == {"smoke": alarm}
    contacts.close()


@pytest.mark.parametrize("pull_up", [True, False])
def test_a_cut_wire_alarms_on_a_normally_closed_loop(factory: MockFactory, *, pull_up: bool) -> None:
    """A line that nothing drives reads its bias, which is an alarm."""
    contacts = GpioContacts(factory, [InputSpec("smoke", 6, normally_closed=True, pull_up=pull_up)])
    assert factory.pin(6).pull == ("up" if pull_up else "down")
    assert contacts.alarms() == {"smoke": True}
    contacts.close()


def test_alarms_samples_the_lines_now(factory: MockFactory) -> None:
    """Each call shows the level of that moment: nothing is remembered, averaged or delayed."""
    contacts = GpioContacts(
        factory,
        [SMOKE, ESTOP],
    )
    smoke, estop = factory.pin(6), factory.pin(13)
    estop.drive_low()
    seen = []
    for drive in (smoke.drive_low, smoke.drive_high, smoke.drive_low):
        drive()
        seen.append(contacts.alarms())
    assert seen == [{"smoke": alarm, "estop": False} for alarm in (False, True, False)]
    contacts.close()


def test_a_line_that_cannot_be_read_is_in_alarm(breakable: MockFactory) -> None:
    """Hardware trouble at a safety input is an alarm, not an exception, and hides no other input."""
    contacts = GpioContacts(breakable, [SMOKE, ESTOP])
    breakable.pin(6).drive_low()
    breakable.pin(13).drive_low()
    breakable.pin(6).broken = True
    assert contacts.alarms() == {"smoke": True, "estop": False}
    contacts.close()


def test_inputs_that_cannot_be_claimed_are_all_named(relays: GpioRelays, factory: MockFactory) -> None:
    """An input on a relay's line would turn the relay's output around: refused, and the relay keeps its line."""
    assert relays
    specs = [replace(SMOKE, name="a", pin=17), SMOKE, replace(SMOKE, name="c", pin=27)]
    with pytest.raises(GpioError, match=r"GPIO 17 \(a\).*GPIO 27 \(c\)"):
        GpioContacts(factory, specs)
    assert factory.pin(17).function == "output"
    GPIODevice(6, pin_factory=factory).close()


def test_contacts_of_a_cabinet_without_inputs(factory: MockFactory) -> None:
    """No inputs, no alarms."""
    assert GpioContacts(factory, []).alarms() == {}


def test_both_are_what_the_contract_promises(relays: GpioRelays, factory: MockFactory) -> None:
    """What guard calls exists under the contract's names (the type checker compares the signatures)."""
    outputs: Relays = relays
    inputs: Contacts = GpioContacts(factory, [SMOKE])
    outputs.all_off()
    assert dict(inputs.alarms()) == {"smoke": True}
