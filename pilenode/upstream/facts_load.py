"""Bodies of the facts about orderly charging: the queue, and budgets set from outside.

``source`` is the way it came in ("cli", "upstream", "card"), ``by`` who it was, for people. Currents are mA.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from pilenode.ipc.messages import Identifier, PortNumber, Words
from pilenode.ipc.wish import Wish
from pilenode.upstream.facts_money import Payment

_Source = Annotated[str, Meta(max_length=16)]
_Code = Annotated[str, Meta(max_length=64)]


class StartQueued(msgspec.Struct, frozen=True, kw_only=True):
    """A start waits for its turn. ``position`` counts from 1; ``owner`` is the hashed card or account, "" unknown."""

    order: Identifier
    port: PortNumber
    source: _Source
    by: Words = ""
    plan: Wish = Wish()
    owner: Annotated[str, Meta(max_length=64)] = ""
    position: Annotated[int, Meta(ge=1, le=99)]
    expected_ma: Annotated[int, Meta(ge=0)]
    payment: Payment = Payment(mode="postpaid")
    offline: bool = False  # a card's start that the backend does not know of


class QueueLeft(msgspec.Struct, frozen=True, kw_only=True):
    """A start waits no longer.

    ``why``: "started" (written together with ``session_started``), "user" (stopped), "queue_expired", or the code for
    which it was refused when its turn came.
    """

    order: Identifier
    port: PortNumber
    why: _Code
    detail: Words = ""
    waited_ms: Annotated[int, Meta(ge=0)]


class BudgetSet(msgspec.Struct, frozen=True, kw_only=True):
    """The budget of the cabinet was set. ``until_ms`` (ms since the epoch) None: until the next such fact."""

    limit_ma: Annotated[int, Meta(ge=0)]
    until_ms: int | None = None
    authority: Words
    reason: Words
    source: _Source
    by: Words = ""
