"""A pytest plugin: whatever a test puts on a broker, or writes into a log, keeps to the contract, or the test fails.

Every ``hil_rig.broker.Broker`` of the test process is tapped, whoever talks over it: real processes, too. Bodies of
facts are decoded by their own bounded types as they are encoded. A test that breaks the contract on purpose is marked
``off_contract``, and must do so. A broker with an access list is not tapped: its tests listen themselves.
"""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pytest

from hil_rig.broker import Broker
from pilenode.upstream import facts
from pilenode.upstream.channels import DOWN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hil_rig.contract.check import Checker
    from hil_rig.contract.tap import Tap

_SHOWN: Final = 20
_DONE: Final = pytest.StashKey[Counter[str]]()


class Watch:
    """Taps every broker that is started while it is ``Broker.observer``."""

    def __init__(self) -> None:
        self.bodies = 0
        self._taps: dict[int, Tap] = {}
        self._heard: list[tuple[str, bytes]] = []
        self._wrong_bodies: list[str] = []

    @cached_property
    def checker(self) -> Checker:
        """What judges; made when there is something to judge, because making it takes a moment."""
        from hil_rig.contract.check import Checker  # noqa: PLC0415 - most tests need no broker

        return Checker()

    def started(self, broker: Broker) -> None:
        """Listen to a broker."""
        from hil_rig.contract.tap import Tap  # noqa: PLC0415 - as above

        if broker.access is None:
            self._taps[id(broker)] = tap = Tap(broker)
            tap.open()

    def stopping(self, broker: Broker) -> None:
        """Hear the rest, and hang up."""
        tap = self._taps.pop(id(broker), None)
        if tap is not None:
            tap.flush()
            tap.abandon()
            self._heard += tap.take()

    def killed(self, broker: Broker) -> None:
        """Keep what was heard until then."""
        tap = self._taps.pop(id(broker), None)
        if tap is not None:
            tap.abandon()
            self._heard += tap.take()

    def body(self, body: msgspec.Struct, encoded: bytes) -> None:
        """Hold a body of a fact against its own type: encoding it does not look at bounds."""
        self.bodies += 1
        try:
            msgspec.json.decode(encoded, type=type(body))
        except msgspec.ValidationError as error:
            self._wrong_bodies.append(f"body {type(body).__name__}: {error}")

    def problems(self) -> list[str]:
        """Return what was wrong since the last time."""
        for tap in self._taps.values():
            tap.flush()
            self._heard += tap.take()
        heard, self._heard = self._heard, []
        found, self._wrong_bodies = self._wrong_bodies, []
        for topic, payload in heard:
            if not payload and f"/{DOWN}/" in topic:
                continue  # how a backend takes a kept message back
            found += self.checker.problems(topic, payload)
        return found

    def counts(self) -> Counter[str]:
        """Return how much was judged: messages by leaf, bodies, and kinds of fact that went over a broker."""
        made = Counter({"bodies": self.bodies})
        if "checker" in self.__dict__:
            made.update({f"up or down: {leaf}": number for leaf, number in self.checker.seen.items()})
            made.update({f"fact: {kind}": number for kind, number in self.checker.kinds.items()})
        return made


WATCH: Final = Watch()


def _checked(canonical: Callable[[facts.Body], bytes]) -> Callable[[facts.Body], bytes]:
    def encode(body: facts.Body) -> bytes:
        encoded = canonical(body)
        WATCH.body(body, encoded)
        return encoded

    return encode


def pytest_configure(config: pytest.Config) -> None:
    """Begin, before anything imports what is watched."""
    config.stash[_DONE] = Counter()
    Broker.observer = WATCH
    facts.canonical = _checked(facts.canonical)  # type: ignore[assignment] # mypy takes it for a type of its own


@pytest.fixture(autouse=True)
def _contract(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    problems = WATCH.problems()
    if request.node.get_closest_marker("off_contract") is not None:
        if not problems:
            pytest.fail("marked off_contract, and nothing that it said broke the contract")
    elif problems:
        more = f"\n… {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        pytest.fail("against docs/asyncapi.yaml:\n" + "\n".join(problems[:_SHOWN]) + more)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand the figures to whoever reports."""
    session.config.stash[_DONE].update(WATCH.counts())
    if (output := getattr(session.config, "workeroutput", None)) is not None:
        output["contract"] = dict(WATCH.counts())


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_testnodedown(node: Any) -> None:  # noqa: ANN401 - the plugin has no types
    """Add the figures of a worker of a parallel run."""
    node.config.stash[_DONE].update(getattr(node, "workeroutput", {}).get("contract", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say how much was held against the contract."""
    done = config.stash[_DONE]
    leaves = {key.removeprefix("up or down: "): done[key] for key in done if key.startswith("up or down: ")}
    kinds = [key for key in done if key.startswith("fact: ") and done[key]]
    if leaves or done["bodies"]:
        each = ", ".join(f"{leaf} {number}" for leaf, number in leaves.items())
        said = f"{sum(leaves.values())} messages on brokers ({each}; {len(kinds)} kinds of fact)"
        terminalreporter.write_line(f"held against the contract: {said}, {done['bodies']} bodies of facts")
