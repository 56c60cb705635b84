"""Promises of the contract: bounded payloads, canonical bodies, a chain that ties them, versions that fall back."""

from __future__ import annotations

import msgspec
import pytest

from config.tariff import flat_schedule
from pilenode.ipc import acts, messages
from pilenode.ipc.wish import Wish
from pilenode.upstream.contract import NO_LINK, Ack, Command, FactBatch, Hello, Live, Time, down, other_major, up
from pilenode.upstream.dialect import PATIENCE_S, PROBE_S, RETRY_5_S, Dialect, Version
from pilenode.upstream.facts import (
    BODY_TYPES,
    GENESIS,
    CommandResult,
    Fact,
    FactKind,
    SessionStarted,
    canonical,
    link,
)

FACT = Fact(
    seq=1,
    boot="b",
    boottime_ms=2,
    wall_ms=3,
    clock="ntp",
    kind="boot",
    session=None,
    body=msgspec.Raw(b'{"version":"1"}'),
    hash="0" * 64,
)


def test_topics_are_those_of_the_contract() -> None:
    """A node speaks and listens below its own name only."""
    assert up("n1", "ev") == "pn/v1/n1/up/ev"
    assert down("n1", "ack") == "pn/v1/n1/dn/ack"


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        (Ack, b'{"log_id":"0123456789abcdef","upto":-1}'),
        (Ack, b'{"log_id":"0123456789abcdef","upto":9007199254740993}'),
        (Ack, b'{"log_id":"0123456789ABCDEF","upto":1}'),
        (Ack, b'{"log_id":"01","upto":1}'),
        (Ack, b'{"upto":1}'),
        (Hello, b'{"version":"1","log_id":"x","first_unacked":1,"last":0}'),
        (FactBatch, b'{"log_id":"0123456789abcdef","facts":[]}'),
        (FactBatch, msgspec.json.encode(FactBatch(log_id="0" * 16, facts=[FACT] * 201))),
        (Command, b'{"id":"c","op":"start","port":100,"iat":0,"exp":0}'),
        (Command, b'{"id":"c d","op":"start","port":1,"iat":0,"exp":0}'),
        (Command, b'{"id":"c","op":"start","port":1,"iat":-1,"exp":0}'),
        (Live, b'{"session":1}'),
    ],
)
def test_payloads_out_of_bounds_do_not_decode(kind: type[msgspec.Struct], payload: bytes) -> None:
    """What is outside its bounds is no message."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(payload, type=kind)


@pytest.mark.parametrize(
    ("payload", "major"),
    [
        (b"{}", None),
        (b'{"protocol":1,"upto":1}', None),
        (b'{"protocol":0}', 0),
        (b'{"protocol":2,"upto":{"by":"other rules"}}', 2),
        (b'{"protocol":999}', 999),
        (b'{"protocol":1000}', None),  # no version at all: malformed
        (b'{"protocol":"2"}', None),
        (b"[]", None),
        (b"", None),
        (b"\xff", None),
        (b"[" * 5000, None),
    ],
)
def test_another_major_version_is_known_before_anything_else(payload: bytes, major: int | None) -> None:
    """Only the version is looked at; what is no message at all is left to its decoder."""
    assert other_major(payload) == major


def test_confirmation_and_time_are_no_longer_than_before() -> None:
    """The version is said only where it is another one."""
    ack = Ack(log_id="0" * 16, upto=1, hash=NO_LINK)
    assert msgspec.json.decode(msgspec.json.encode(ack)) == {"log_id": "0" * 16, "upto": 1, "hash": NO_LINK}
    assert msgspec.json.encode(Time(wall_ms=1)) == b'{"wall_ms":1}'


@pytest.mark.parametrize("name", ["abc\n", "\n", "a\nb", "", "a" * 65, "a b", "ä"])
def test_no_name_ends_in_a_newline(name: str) -> None:
    """A name is one word in every log and list; Python's ``$`` alone would let a newline at its end through."""
    for kind in (acts.Identifier, messages.Identifier):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(name, kind)
        assert msgspec.convert("a.b:c/d-e_f", kind) == "a.b:c/d-e_f"


def test_every_kind_of_fact_has_a_body_and_a_stable_word() -> None:
    """No kind is without its type; the words are stored, so they never change."""
    assert set(BODY_TYPES) == set(FactKind)
    assert sorted(FactKind) == [
        "act_refused",
        "anchor",
        "boot",
        "budget_set",
        "card_allowed",
        "card_denied",
        "card_forgotten",
        "card_learned",
        "cards_set",
        "checkpoint",
        "command_result",
        "config_applied",
        "config_refused",
        "facts_removed",
        "fault_cleared",
        "fault_found",
        "fault_latched",
        "fault_reset",
        "inspected",
        "ledger_updated",
        "leg_ended",
        "leg_started",
        "lock_lifted",
        "lock_set",
        "log_salvaged",
        "queue_left",
        "removed",
        "session_ended",
        "session_modified",
        "session_started",
        "start_queued",
        "start_refused",
        "tariff_set",
        "tested",
    ]


def test_canonical_body_is_sorted_and_decodes_to_itself() -> None:
    """The same content has the same bytes, whatever the order of fields in the source."""
    body = SessionStarted(
        order="o",
        port=1,
        source="cli",
        plan=Wish(duration_s=5),
        tariff=flat_schedule("t", 1, 2),
        tariff_version="t",
        guard_boot="g",
    )
    encoded = canonical(body)
    keys = list(msgspec.json.decode(encoded))
    assert keys == sorted(keys)
    assert msgspec.json.decode(encoded, type=SessionStarted) == body


def test_fact_keeps_its_body_byte_for_byte_on_the_wire() -> None:
    """A batch carries the very bytes that were hashed."""
    body = b'{"a": 1,  "b":1.0}'
    sent = FactBatch(log_id="0" * 16, facts=[msgspec.structs.replace(FACT, body=msgspec.Raw(body))])
    received = msgspec.json.decode(msgspec.json.encode(sent), type=FactBatch)
    assert bytes(received.facts[0].body) == body


@pytest.mark.parametrize(
    "change",
    [
        {"seq": 2},
        {"boot": "c"},
        {"boottime_ms": 3},
        {"wall_ms": 4},
        {"clock": "rtc"},
        {"kind": "checkpoint"},
        {"session": "s"},
        {"session": ""},
        {"body": msgspec.Raw(b'{"version":"2"}')},
        {"body": msgspec.Raw(b'{"version": "1"}')},
    ],
)
def test_link_covers_everything_but_itself(change: dict[str, object]) -> None:
    """Any change of a row, of its log or of its predecessor changes its link; its own hash field does not."""
    digest = link(GENESIS, "0" * 16, FACT)
    assert link(GENESIS, "0" * 16, msgspec.structs.replace(FACT, **change)) != digest
    assert link(GENESIS, "1" * 16, FACT) != digest
    assert link(digest, "0" * 16, FACT) != digest
    assert link(GENESIS, "0" * 16, msgspec.structs.replace(FACT, hash="1" * 64)) == digest


def test_result_without_an_id_is_a_message() -> None:
    """A command too malformed to tell its id can still be answered."""
    result = CommandResult(id=None, ok=False, code="malformed")
    assert msgspec.json.decode(msgspec.json.encode(result), type=CommandResult) == result


PROBE = ((Version.V5, PROBE_S), (Version.V311, PATIENCE_S))


def test_unknown_broker_is_probed_briefly_with_5() -> None:
    """Version 5 first, with little time, then 3.1.1 with enough."""
    assert Dialect().plan(0.0) == PROBE


def test_version_5_that_worked_gets_time() -> None:
    """Where 5 worked it is waited for, and 3.1.1 is still tried after it."""
    dialect = Dialect()
    dialect.worked(Version.V5, 0.0)
    assert dialect.plan(1.0) == ((Version.V5, PATIENCE_S), (Version.V311, PATIENCE_S))


@pytest.mark.parametrize(("later_s", "probes"), [(0.0, False), (RETRY_5_S - 0.1, False), (RETRY_5_S, True)])
def test_5_is_tried_again_after_an_hour(later_s: float, probes: bool) -> None:  # noqa: FBT001 - a table
    """Where only 3.1.1 worked it is spoken at once, and 5 is probed again now and then."""
    dialect = Dialect()
    dialect.refused(Version.V5, 100.0)
    dialect.worked(Version.V311, 100.0)
    dialect.worked(Version.V311, 200.0)
    assert dialect.plan(100.0 + later_s) == (PROBE if probes else ((Version.V311, PATIENCE_S),))


def test_failed_probe_postpones_the_next_one() -> None:
    """After a probe that failed the hour begins anew."""
    dialect = Dialect()
    dialect.worked(Version.V311, 0.0)
    dialect.refused(Version.V5, RETRY_5_S)
    assert dialect.plan(RETRY_5_S + 1) == ((Version.V311, PATIENCE_S),)


def test_broker_that_no_longer_takes_3_1_1_is_probed_anew() -> None:
    """When what worked is refused, nothing is known any more."""
    dialect = Dialect()
    dialect.worked(Version.V311, 0.0)
    dialect.refused(Version.V311, 1.0)
    assert dialect.plan(2.0) == PROBE
