"""One sample of every message and of every kind of fact, made of the real types, chained as a cabinet chains them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

import msgspec

from config.tariff import flat_schedule
from hil_rig.contract.sample_bodies import BODIES, LOCK, SESSION
from pilenode.ipc import acts
from pilenode.ipc.wish import Change, Wish
from pilenode.upstream.contract import (
    Ack,
    Command,
    FactBatch,
    Hello,
    Live,
    LockReport,
    PortReport,
    Resend,
    StateReport,
    Time,
)
from pilenode.upstream.desired import Desired, digest
from pilenode.upstream.facts import GENESIS, CommandResult, Fact, FactKind, canonical, link
from pilenode.upstream.facts_config import ConfigReport
from pilenode.upstream.packing import thinned

if TYPE_CHECKING:
    from collections.abc import Mapping

LOG_ID: Final = "3f9a0c7e51d2b846"
#: 2026-06-01 08:00 in Shanghai, ms since the epoch.
WALL_MS: Final = 1_780_272_000_000
_MINUTE_MS: Final = 60_000
_BOOT: Final = "7d5b2c1e-9a54-4f0e-8a36-0c5b7a1f2e90"
_GONE: Final = bytes.fromhex("c4" * 32)
_CARD: Final = "9f86d081884c7d659a2feaa0c55ad015"


@cache
def facts() -> tuple[Fact, ...]:
    """Return a log in which every kind of fact stands once."""
    made: list[Fact] = []
    previous = GENESIS
    for seq, kind in enumerate(FactKind, start=1):
        bare = Fact(
            seq=seq,
            boot=_BOOT,
            boottime_ms=90_000 + seq * _MINUTE_MS,
            wall_ms=WALL_MS + seq * _MINUTE_MS,
            clock="ntp",
            kind=kind,
            session=SESSION if kind in _OF_A_SESSION else None,
            body=msgspec.Raw(canonical(BODIES[kind])),
            hash="0" * 64,
        )
        # What stands in the place of facts that are gone has the link of the last of them.
        previous = _GONE if kind is FactKind.REMOVED else link(previous, LOG_ID, bare)
        made.append(msgspec.structs.replace(bare, hash=previous.hex()))
    return tuple(made)


_OF_A_SESSION: Final = frozenset(
    {
        FactKind.SESSION_STARTED,
        FactKind.CHECKPOINT,
        FactKind.LEG_ENDED,
        FactKind.LEG_STARTED,
        FactKind.SESSION_MODIFIED,
        FactKind.SESSION_ENDED,
    }
)


def _command(name: str, op: str, **more: object) -> Command:
    fields = {"id": name, "op": op, "iat": WALL_MS, "exp": WALL_MS + _MINUTE_MS, **more}
    return msgspec.convert(fields, Command)


_TEXT: Final = """[cards]
day_cap_fen = 400
"""
_STATE: Final = StateReport(
    wall_ms=WALL_MS,
    clock="ntp",
    guard=True,
    journal_ok=True,
    ports=[
        PortReport(port=1, state="on", session=SESSION, power_w=212, temperature_dc=314),
        PortReport(port=2, state="fault", reason="over_temperature", findings=["over_temperature"], temperature_dc=812),
    ],
    tests_due=["rcd"],
    locks=[LockReport(lock=LOCK, port=4, kind="lockout", until_ms=WALL_MS + 60 * _MINUTE_MS, in_force=True)],
    ledger_open=2,
    ledger_overdue=0,
    ledger_undated=0,
    config=ConfigReport(applied=7, refused=8, code="config_error"),
)
_ACTS: Final[Mapping[str, acts.AnyAct]] = {
    "lock": acts.Lock(lock=LOCK, port=4, kind="lockout", authority="消防大队", reason="排查线路"),
    "lift_lock": acts.LiftLock(lock=LOCK, authority="消防大队", reason="整改完成"),
    "set_tariff": acts.SetTariff(tariff=msgspec.structs.replace(flat_schedule("2026-07", 560, 280), schedule=7)),
    "update_entry": acts.UpdateEntry(entry=f"{LOG_ID}-12", measure="更换温度探头", state="closed"),
    "inspect": acts.Inspect(what="monthly", ok=True, by="张工"),
    "set_budget": acts.SetBudget(limit_ma=20_000, authority="供电所", reason="迎峰度夏"),
    "set_cards": acts.SetCards(version=12, cards=[acts.ListedCard(card=_CARD)], key_id="0a1b2c3d"),
    "deny_card": acts.DenyCard(card=_CARD, reason="挂失"),
    "allow_card": acts.AllowCard(card=_CARD, reason="找回"),
    "learn_card": acts.LearnCard(reader="front", name="值班卡"),
    "forget_card": acts.ForgetCard(card=_CARD),
}

_HEAD: Final = "5e" * 32

#: Name to message, by the last level of the topic.
SAMPLES: Final[Mapping[str, Mapping[str, msgspec.Struct]]] = {
    "hello": {"hello": Hello(version="0.1.0", log_id=LOG_ID, first_unacked=118, last=131, head=_HEAD, asked_ms=95_000)},
    "live": {
        "here": Live(session=2_251_799_813_685_249, online=True),
        "gone": Live(session=2_251_799_813_685_249, online=False),
    },
    "st": {"state": _STATE},
    "ev": {"batch": FactBatch(log_id=LOG_ID, facts=thinned(facts()[:2]))},
    "res": {
        "done": CommandResult(id="c-1", op="start", ok=True, port=1, session=SESSION),
        "refused": CommandResult(id="c-2", op="start", ok=False, code="port_faulty", detail="over_temperature", port=2),
    },
    "ack": {
        "ack": Ack(log_id=LOG_ID, upto=131, hash=_HEAD),
        "resend": Ack(log_id=LOG_ID, upto=112, hash=_HEAD, resend=Resend(since=113, upto=117)),
    },
    "cmd": {
        "start": _command("c-1", "start", port=1, order="o-1", plan=Wish(energy_wh=1500, duration_s=28_800)),
        "stop": _command("c-3", "stop", port=1, session=SESSION),
        "modify": _command("c-4", "modify", port=1, session=SESSION, change=Change(amount_fen=300)),
        **{name: _command(f"c-{name}", "act", act=act) for name, act in _ACTS.items()},
    },
    "cfg": {"desired": Desired(version=8, sha256=digest(_TEXT), body=_TEXT)},
    "time": {"time": Time(wall_ms=WALL_MS, asked_ms=95_000)},
}
