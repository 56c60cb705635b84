"""Station is killed at random moments while orders come in and sessions end: nothing lost, nothing twice.

An order whose answer was lost is placed again under the same number, as a backend would. Afterwards every session
that was ever confirmed must be upstream with exactly one start and one end, and no order may have two sessions.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

from hil_rig.broker import Broker
from hil_rig.figures import Figure
from hil_rig.harness import Harness, HarnessError, Setup, wait
from hil_rig.loads import constant
from hil_rig.upstream import BackendProcess
from pilenode.ipc.client import RequestError
from pilenode.ipc.wish import Wish
from pilenode.upstream.facts import FactKind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hil_rig.upstream import Store


class Customers(threading.Thread):
    """Places orders on random ports for ever; an order without answer is placed again."""

    def __init__(self, cabinet: Harness) -> None:
        super().__init__(name="customers", daemon=True)
        self._cabinet = cabinet
        self._halt = threading.Event()
        self._ports = list(cabinet.rig.meters)
        self.confirmed: dict[str, str] = {}  # order -> session
        self.attempted: set[str] = set()

    def run(self) -> None:
        """Order until stopped."""
        number = 0
        while not self._halt.wait(random.uniform(0.02, 0.2)):
            number += 1
            order = f"order-{number}"
            port = random.choice(self._ports)
            plan = Wish(duration_s=random.choice([1, 1, 2, 3]))
            while not self._halt.is_set() and not self._place(port, order, plan):
                self._halt.wait(0.1)

    def _place(self, port: int, order: str, plan: Wish) -> bool:
        """Place an order and return whether an answer came; a refusal is an answer too."""
        self.attempted.add(order)
        try:
            self.confirmed[order] = self._cabinet.order(port, order, plan).session
        except RequestError as error:
            return error.code not in ("station_absent", "guard_absent")
        return True

    def stop(self) -> None:
        """Stop ordering and wait for the last answer."""
        self._halt.set()
        self.join()


def measure(directory: Path, count: int) -> Iterator[Figure]:
    """Yield one figure: sessions lost or doubled, per kill."""
    figure = Figure("station-kills", f"{count} kills (SIGKILL)", "lost", 0.0, count)
    with Broker() as broker, Harness(directory / "cabinet", Setup(upstream_url=broker.url)) as cabinet:
        for port in cabinet.rig.meters:
            cabinet.rig.plug(port, constant(300.0, speed=100.0))
        cabinet.start("guard")
        cabinet.start("station")
        with BackendProcess(broker.url, directory / "backend.db") as backend:
            customers = Customers(cabinet)
            customers.start()
            for _ in range(count):
                time.sleep(random.uniform(0.05, 1.5))
                cabinet.kill("station")
                time.sleep(random.uniform(0.0, 0.3))
                cabinet.start("station")
            time.sleep(1.0)
            customers.stop()
            try:
                wait("every session ended and sent", lambda: _settled(cabinet), 60.0, every_s=0.2)
            except HarnessError as error:
                figure.failures.append(str(error))
            figure.failures += problems(backend.store, customers)
            figure.condition = f"{count} kills, {len(customers.confirmed)} sessions"
    figure.samples = [0.0] * count
    yield figure


def _settled(cabinet: Harness) -> bool:
    status = cabinet.status()
    return not status.sessions and status.outbox == 0


def problems(store: Store, customers: Customers) -> list[str]:
    """Return everything that is wrong with what arrived upstream."""
    starts = Counter(row.fact.session for row in store.rows(kind=FactKind.SESSION_STARTED))
    ends = Counter(row.fact.session for row in store.rows(kind=FactKind.SESSION_ENDED))
    sessions = {item.session: item for item in store.sessions()}
    orders = Counter(item.started.order for item in sessions.values() if item.started is not None)
    found = [f"session {session} started {n} times" for session, n in starts.items() if n != 1]
    found += [f"session {session} ended {n} times" for session, n in ends.items() if n != 1]
    found += [f"session {session} has no end" for session in starts if session not in ends]
    found += [f"session {session} has no start" for session in ends if session not in starts]
    found += [f"order {order} has {n} sessions" for order, n in orders.items() if n != 1]
    found += [f"order {order} was never placed" for order in orders if order not in customers.attempted]
    for order, session in customers.confirmed.items():
        item = sessions.get(session)
        if item is None or item.started is None or item.started.order != order:
            found.append(f"session {session} of order {order} was confirmed and is not upstream")
    if store.contradictions():
        found.append(f"{store.contradictions()} facts arrived twice with other content")
    return found
