"""Steps that scenarios share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hil_rig.harness import wait
from pilenode.ipc import messages

if TYPE_CHECKING:
    from hil_rig.harness import GuardClient, Harness


def switch_on(client: GuardClient, port: int, session: str, plan: messages.Plan | None = None) -> None:
    """Give a port power and wait for it."""
    reply = client.ask(messages.Grant(port=port, session=session, ttl_s=60.0, plan=plan or messages.Plan()))
    assert reply == messages.Done(), reply
    wait(f"port {port} closes", lambda: port_of(client, port).closed)


def port_of(client: GuardClient, port: int) -> messages.PortSnapshot:
    """Return guard's view of one port."""
    return next(one for one in client.snapshot().ports if one.port == port)


def opened_at(cabinet: Harness, port: int) -> float:
    """Return when the relay of ``port`` opened (CLOCK_MONOTONIC, s), once the rig has seen it in the pins file."""
    wait(f"the rig sees port {port} open", lambda: cabinet.rig.opened_at(port) is not None, 2.0, every_s=0.005)
    opened = cabinet.rig.opened_at(port)
    assert opened is not None
    return opened
