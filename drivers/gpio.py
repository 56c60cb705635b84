"""Relays, contactor, heartbeat and contacts on GPIO lines, through gpiozero.

Three habits of gpiozero are unwelcome under a relay and are undone here:

- with no back end it falls back to another one with a warning: here the factory is named and there is no other;
- closing a device, or letting it be collected, turns its line into a floating input: here a closed output stays an
  output at its OFF level, and the factory is never closed (the kernel takes the lines back when the process ends);
- its lgpio pins become outputs at level 0 first and get their level afterwards, which blips a relay that closes on a
  low level: here the level is part of the claim.

gpiozero's own clean-up at exit covers only its process-wide default factory, which is never set here; ``GpioRelays``
registers its own. Nothing runs on SIGKILL: what then becomes of the lines is the kernel's and the wiring's business.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpiozero import Factory, InputDevice, OutputDevice

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


#: For those who hand a pin factory on without knowing gpiozero.
PinFactory = Factory


class GpioError(Exception):
    """A GPIO back end or line cannot be used. The message is one sentence for a technician."""


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """One output: BCM number of the line, and whether the high level (True) or the low level switches it on."""

    pin: int
    active_high: bool


@dataclass(frozen=True, slots=True)
class InputSpec:
    """One contact: name, BCM number, kind of contact and bias of the line.

    With ``pull_up`` the contact connects the line to ground, without it to 3.3 V (and the bias is down).
    A ``normally_closed`` contact opens in alarm, so that a cut wire alarms too.
    """

    name: str
    pin: int
    normally_closed: bool
    pull_up: bool


def pin_factory(name: str) -> Factory:
    """Return the gpiozero pin factory called ``name``: "lgpio", or "module:Class".

    Raises GpioError when it cannot be made; no other back end is ever tried.
    """
    try:
        factory = _lgpio_factory() if name == "lgpio" else _imported_factory(name)
    except Exception as error:
        raise GpioError(f"GPIO back end {name!r} cannot be used: {error or type(error).__name__}") from error
    if not isinstance(factory, Factory):
        raise GpioError(f"GPIO back end {name!r} is not a gpiozero pin factory")
    return factory


def _imported_factory(name: str) -> object:
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)()


def _lgpio_factory() -> Factory:
    # Imported only when asked for: lgpio creates a FIFO in the working directory (or in $LG_WD) and starts a thread.
    import lgpio  # noqa: PLC0415 - see above
    from gpiozero.pins.lgpio import LGPIOFactory, LGPIOPin  # noqa: PLC0415 - imports lgpio

    class SteadyPin(LGPIOPin):  # type: ignore[misc] # gpiozero has no types
        """A pin that becomes an output at the wanted level at once."""

        def output_with_state(self, state: bool) -> None:  # noqa: FBT001 - gpiozero's signature
            """Claim the line as an output at ``state``."""
            lgpio.gpio_claim_output(self.factory._handle, self._number, int(state))  # noqa: SLF001 - as its base does

    factory = LGPIOFactory()
    factory.pin_class = SteadyPin
    return factory


class _Output(OutputDevice):  # type: ignore[misc] # gpiozero has no types
    """An output that is off when made and stays off, as an output, when closed or collected."""

    def __init__(self, factory: Factory, spec: OutputSpec) -> None:
        super().__init__(spec.pin, active_high=spec.active_high, initial_value=False, pin_factory=factory)

    def close(self) -> None:
        """Drive the OFF level and give up the reservation; the line keeps its level."""
        pin = getattr(self, "_pin", None)
        if pin is not None:
            with contextlib.suppress(Exception):  # also runs when collected, where nobody could catch it
                self.off()
            self.pin_factory.release_pins(self, pin.info.name)
            self._pin = None
        super().close()


class GpioRelays:
    """The outputs of a cabinet (``drivers.contracts.Relays``): port relays, master contactor, heartbeat.

    Everything is off after construction. ``relays`` is keyed by port number. Use it from one thread; ``all_off``
    alone may come from anywhere, a signal handler included: it takes no lock, and a closing that it interrupts ends
    open. ``all_off`` also runs when the interpreter exits for whatever reason it still has a say in.

    Raises GpioError, naming every line that cannot be claimed; the others are then off and released. ``switch``,
    ``contactor`` and ``heartbeat`` raise GpioError when a line cannot be driven: whoever judges must then stop, for
    it no longer knows what its relays do.
    """

    def __init__(
        self,
        factory: Factory,
        relays: Mapping[int, OutputSpec],
        contactor: OutputSpec | None,
        heartbeat_pin: int | None,
    ) -> None:
        self._off_calls = 0
        self._beat = False
        self._outputs: list[_Output] = []
        self._refused: list[str] = []
        ports = {port: self._claim(factory, spec) for port, spec in relays.items()}
        main = self._claim(factory, contactor) if contactor else None
        beat = self._claim(factory, OutputSpec(heartbeat_pin, active_high=True)) if heartbeat_pin is not None else None
        if self._refused:
            self._release()
            raise GpioError("; ".join(self._refused))
        self._relays = {port: output for port, output in ports.items() if output}
        self._contactor = main
        self._heartbeat = beat
        atexit.register(self.all_off)

    def _claim(self, factory: Factory, spec: OutputSpec) -> _Output | None:
        try:
            output = _Output(factory, spec)
        except Exception as error:  # noqa: BLE001 - back ends have no common exception
            self._refused.append(f"GPIO {spec.pin} cannot be an output: {error}")
            return None
        self._outputs.append(output)
        return output

    def switch(self, port: int, *, closed: bool) -> None:
        """Close or open the relay of ``port``. Raises KeyError for a port that has none, GpioError."""
        self._drive(self._relays[port], on=closed)

    def contactor(self, *, closed: bool) -> None:
        """Close or open the master contactor (no effect where none is configured). Raises GpioError."""
        if self._contactor is not None:
            self._drive(self._contactor, on=closed)

    def heartbeat(self) -> None:
        """Toggle the dead-man output once (no effect where none is configured). Raises GpioError."""
        if self._heartbeat is not None:
            self._beat = not self._beat
            self._drive(self._heartbeat, on=self._beat)

    def all_off(self) -> None:
        """Open everything at once: every line is tried, whatever happens to the others; never raises."""
        self._off_calls += 1
        for output in self._outputs:
            with contextlib.suppress(Exception):  # the next line must still be tried
                output.off()

    def close(self) -> None:
        """Open everything and release the lines, which stay outputs at their OFF level."""
        self.all_off()
        atexit.unregister(self.all_off)
        self._release()

    def _release(self) -> None:
        for output in self._outputs:
            output.close()

    def _drive(self, output: _Output, *, on: bool) -> None:
        off_calls = self._off_calls
        try:
            if not on:
                output.off()
                return
            output.on()
            if self._off_calls != off_calls:
                # all_off came between the decision and the write: it wins.
                output.off()
        except Exception as error:
            raise GpioError(f"an output cannot be driven: {error}") from error


class GpioIndicators:
    """Lights and buzzer (``drivers.contracts.Indicators``), all off after construction.

    A line that cannot be claimed is left out, one that cannot be driven is tried again at its next change; both are
    counted in ``failures`` and told once. They are no part of ``GpioRelays.all_off`` and of the off plan: a light
    carries no power, and one that fails must not make the helper that opens relays report a failure.
    """

    def __init__(self, factory: Factory, lights: Mapping[tuple[str, int], OutputSpec]) -> None:
        self.failures = 0
        self._news: list[str] = []
        self._failed: set[tuple[str, int]] = set()
        self._lit: dict[tuple[str, int], bool] = {}
        self._outputs: dict[tuple[str, int], _Output] = {}
        for name, spec in lights.items():
            try:
                self._outputs[name] = _Output(factory, spec)
            except Exception as error:  # noqa: BLE001 - back ends have no common exception
                self._fail(name, f"GPIO {spec.pin} ({_words(name)}) cannot be an output: {error}")

    def names(self) -> frozenset[tuple[str, int]]:
        """Return the lights that could be claimed."""
        return frozenset(self._outputs)

    def show(self, name: tuple[str, int], *, lit: bool) -> None:
        """Switch one on or off; the same again writes nothing. Never raises."""
        output = self._outputs.get(name)
        if output is None or self._lit.get(name, False) == lit:
            return
        self._lit[name] = lit
        try:
            output.value = lit
        except Exception as error:  # noqa: BLE001 - a light that fails must not end what shows the others
            self._fail(name, f"{_words(name)} cannot be driven: {error}")
        else:
            self._failed.discard(name)

    def dark(self) -> None:
        """Switch everything off, whatever it is thought to be. Never raises."""
        self._lit = dict.fromkeys(self._outputs, True)
        for name in self._outputs:
            self.show(name, lit=False)

    def news(self) -> list[str]:
        """Return the failures that have not been told yet."""
        told, self._news = self._news, []
        return told

    def close(self) -> None:
        """Switch everything off and release the lines, which stay outputs at their off level."""
        for output in self._outputs.values():
            output.close()
        self._outputs.clear()

    def _fail(self, name: tuple[str, int], sentence: str) -> None:
        self.failures += 1
        if name not in self._failed:
            self._failed.add(name)
            self._news.append(sentence)


def _words(name: tuple[str, int]) -> str:
    return f"{name[0]} of port {name[1]}" if name[1] else name[0]


class GpioContacts:
    """The contacts of a cabinet (``drivers.contracts.Contacts``).

    Every call of ``alarms`` samples the lines anew; there is no thread and no debounce, which is a decision and
    belongs to the core. Raises GpioError, naming every line that cannot be claimed.
    """

    def __init__(self, factory: Factory, inputs: Sequence[InputSpec]) -> None:
        self._inputs: list[tuple[InputSpec, InputDevice]] = []
        refused = []
        for spec in inputs:
            try:
                self._inputs.append((spec, InputDevice(spec.pin, pull_up=spec.pull_up, pin_factory=factory)))
            except Exception as error:  # noqa: BLE001 - back ends have no common exception
                refused.append(f"GPIO {spec.pin} ({spec.name}) cannot be an input: {error}")
        if refused:
            self.close()
            raise GpioError("; ".join(refused))

    def alarms(self) -> dict[str, bool]:
        """Return for every contact whether it is in alarm now. A line that cannot be read is in alarm."""
        return {spec.name: _alarm(spec, device) for spec, device in self._inputs}

    def close(self) -> None:
        """Release the lines."""
        for _, device in self._inputs:
            device.close()


def _alarm(spec: InputSpec, device: InputDevice) -> bool:
    try:
        high = bool(device.pin.state)
    except Exception:  # noqa: BLE001 - a contact that cannot be read is not known to be well
        return True
    # An open contact leaves the line at its bias.
    contact_open = high == spec.pull_up
    return contact_open == spec.normally_closed
