"""Promises of the packing: what goes in comes out, small, with every link still provable, and no bomb is unpacked."""

from __future__ import annotations

import zlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil_rig.contract.samples import LOG_ID, facts
from pilenode.station.chain import Chain
from pilenode.upstream.contract import MAX_BATCH_FACTS, FactBatch
from pilenode.upstream.facts import FactKind
from pilenode.upstream.packing import MAX_INFLATED_BYTES, PackingError, inflated, pack, thinned, unpack

BATCH = FactBatch(log_id=LOG_ID, facts=thinned(facts()))


def test_a_batch_survives_the_wire() -> None:
    """Facts, bodies byte for byte, and the links that are sent."""
    assert unpack(pack(BATCH)) == BATCH
    assert pack(BATCH)[:1] == b"x"
    short = FactBatch(log_id=LOG_ID, facts=[facts()[0]])
    assert unpack(pack(short)) == short


def test_left_out_links_are_borne_out_by_the_last() -> None:
    """A reader who has the link before the batch knows all of them; one changed fact shows at the end of the batch."""
    assert [fact.kind for fact in BATCH.facts if fact.hash] == [FactKind.REMOVED]
    sent = unpack(pack(FactBatch(log_id=LOG_ID, facts=thinned(facts()[:20])))).facts
    assert [fact.seq for fact in sent if fact.hash] == [20]

    def broken_at(changed: int | None) -> int | None:
        chain = Chain(LOG_ID)
        for at, fact in enumerate(sent):
            chain.take(msgspec.structs.replace(fact, wall_ms=fact.wall_ms + 1) if at == changed else fact)
        return chain.broken_at

    assert broken_at(None) is None
    assert broken_at(len(sent) - 2) == sent[-1].seq


@given(st.integers(1, MAX_BATCH_FACTS), st.integers(0, 300))
def test_deflating_is_worth_it(count: int, size: int) -> None:
    """A batch never grows, and many facts of one kind shrink to a quarter."""
    fact = msgspec.structs.replace(facts()[0], body=msgspec.Raw(b'{"version":"' + b"x" * size + b'"}'))
    batch = FactBatch(log_id=LOG_ID, facts=thinned([fact] * count))
    plain, packed = len(msgspec.json.encode(batch)), len(pack(batch))
    assert packed <= plain
    assert count < 20 or packed * 4 < plain


def bomb(size: int) -> bytes:
    """Return a deflated text of so many bytes."""
    return zlib.compress(b" " * size, 9)


def test_the_limit_of_what_is_unpacked() -> None:
    """Up to the limit a payload is unpacked, one byte more is refused, and a bomb takes no room."""
    assert len(inflated(bomb(MAX_INFLATED_BYTES))) == MAX_INFLATED_BYTES
    for size in (MAX_INFLATED_BYTES + 1, 64 * 1024 * 1024):
        with pytest.raises(PackingError):
            inflated(bomb(size))


@pytest.mark.parametrize(
    "payload", [pack(BATCH)[:-1], pack(BATCH) + b"x", b"x", b"x\x9c", b"x\x9cgarbage", pack(BATCH)[:10] + b"\0" * 90]
)
def test_what_is_no_deflated_text_is_refused(payload: bytes) -> None:
    """Cut off, followed by something, or damaged: an error of this module, never half a batch."""
    with pytest.raises(PackingError):
        unpack(payload)


@given(st.binary(max_size=300))
def test_any_bytes_are_answered(payload: bytes) -> None:
    """Whatever arrives is a batch or one of the documented errors."""
    for text in (payload, b"x\x9c" + payload):
        with pytest.raises((PackingError, msgspec.DecodeError, UnicodeDecodeError)):
            unpack(text)
