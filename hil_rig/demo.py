"""``make demo``: a four-port cabinet on the bench, about 75 s, exit 0 if and only if its story came true.

Real guard, station, broker and backend processes, real serial frames on a pty; only the batteries, the meters and
the wires are simulated. Nothing is left behind but the directory that ``--keep`` asks for.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from hil_rig import story
from hil_rig.broker import Broker
from hil_rig.demo_outcome import Outcome, outcomes, untrue
from hil_rig.demo_view import Plain, Scene, Table, summary
from hil_rig.harness import Harness, HarnessError, Setup, wait
from hil_rig.upstream import BackendProcess
from pilenode.ipc.client import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil_rig.demo_view import View

#: The last session ends long before; beyond this the story has gone wrong.
LONGEST_S = 110.0
_LOOK_S = 0.25


class Demo:
    """The running story."""

    def __init__(self, cabinet: Harness, broker: Broker, backend: BackendProcess, view: View) -> None:
        self._cabinet = cabinet
        self._broker = broker
        self._backend = backend
        self._view = view
        self._parts = story.parts()
        self._start_s = 0.0
        self.pulled_s = 0.0
        self._broker_up = True

    def run(self) -> None:
        """Play every part. Raises HarnessError when a process fails or the story does not end."""
        wait("every meter and probe read", self._ready)
        self._start_s = time.monotonic()
        for due_s, text, act in sorted(self._script(), key=lambda line: line[0]):
            self._watch(lambda due_s=due_s: self._now_s() >= due_s)  # type: ignore[misc]
            waiting = "" if self._broker_up else f" ({self._cabinet.status().outbox} facts wait)"
            self._view.tell(self._now_s(), text + waiting)
            act()
        self._watch(lambda: all(port.state in ("ended", "tripped") for port in self._scene().ports))
        self._view.tell(self._now_s(), "every session has ended")
        self._watch(self._settled)
        self._view.tell(self._now_s(), "everything is upstream and acknowledged")

    def _script(self) -> list[tuple[float, str, Callable[[], object]]]:
        lines: list[tuple[float, str, Callable[[], object]]] = [
            (story.BROKER_GONE_S, "the broker disappears (SIGKILL)", self._broker_gone),
            (story.PULLED_S, "port 4: the charger is pulled out", self._pull),
            (story.BROKER_BACK_S, "the broker comes back", self._broker_back),
        ]
        for part in self._parts:
            text = f"port {part.port}: order {part.order}, {part.title}"
            lines.append((part.start_s, text, lambda part=part: self._begin(part)))  # type: ignore[misc]
        return lines

    def _begin(self, part: story.Part) -> None:
        self._cabinet.rig.plug(part.port, part.load)
        self._cabinet.order(part.port, part.order, part.plan)

    def _pull(self) -> None:
        self.pulled_s = time.monotonic()
        self._cabinet.rig.plug(4, None)

    def _broker_gone(self) -> None:
        self._broker.kill()
        self._broker_up = False

    def _broker_back(self) -> None:
        self._broker.start()
        self._broker_up = True

    def _now_s(self) -> float:
        return time.monotonic() - self._start_s

    def _ready(self) -> bool:
        guard = self._cabinet.status().guard
        ports = guard.ports if guard else []
        return bool(ports) and all(p.register_mwh is not None and p.temperature_c is not None for p in ports)

    def _settled(self) -> bool:
        status = self._cabinet.status()
        return not status.sessions and status.outbox == 0

    def _scene(self) -> Scene:
        status = self._cabinet.status()
        arrived = sum(item.ended is not None for item in self._backend.store.sessions())
        return Scene(self._now_s(), status, self._broker.kind, arrived, broker_up=self._broker_up)

    def _watch(self, until: Callable[[], bool]) -> None:
        while not until():
            if self._now_s() > LONGEST_S:
                raise HarnessError(f"the story did not end within {LONGEST_S:g} s")
            self._view.show(self._scene())
            time.sleep(_LOOK_S)
        self._view.show(self._scene())


def play(directory: Path, view: View) -> tuple[list[Outcome], list[str]]:
    """Play the story below ``directory``; return how every session ended, and what was not as it should be."""
    with ExitStack() as stack:
        broker = stack.enter_context(Broker())
        setup = Setup(node="demo-001", ports=4, profile="demo", upstream_url=broker.url)
        cabinet = stack.enter_context(Harness(directory / "cabinet", setup))
        view.tell(0.0, f"broker: {broker.kind} on {broker.url}; meters on {cabinet.rig.device()}")
        cabinet.start("guard")
        backend = stack.enter_context(BackendProcess(broker.url, directory / "backend.db"))
        cabinet.start("station")
        demo = Demo(cabinet, broker, backend, view)
        with view:
            demo.run()
        ended = outcomes(cabinet, backend.store, demo.pulled_s)
        return ended, untrue(ended, backend.store)


def main() -> int:
    """Run the demo and return the exit status: 0 the story came true, 1 it did not."""
    parser = argparse.ArgumentParser(prog="python -m hil_rig.demo", description=__doc__)
    parser.add_argument("--plain", action="store_true", help="lines instead of a live table, also on a terminal")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep journal, logs and pins file in DIR")
    arguments = parser.parse_args()
    view: View = Plain() if arguments.plain or not sys.stdout.isatty() else Table()
    with ExitStack() as stack:
        directory = arguments.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pilenode-demo-")))
        try:
            ended, wrong = play(directory, view)
        except (HarnessError, RequestError) as error:
            print(f"The story broke off: {error}", file=sys.stderr)
            return 1
    summary(ended)
    for line in wrong:
        print(f"NOT TRUE: {line}")
    print("The story came true." if not wrong else "The story did not come true.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
