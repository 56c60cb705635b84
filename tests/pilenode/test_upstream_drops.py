"""Promises about what a broker delivers that is no message: counted, told seldom, and never taken for one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import msgspec
import pytest
from structlog.testing import capture_logs

from pilenode.upstream.contract import MAX_ACK_BYTES, NO_LINK, Ack, DownLeaf, Time, down
from pilenode.upstream.dialect import Version
from pilenode.upstream.drops import Drops
from pilenode.upstream.mqtt_link import MqttLink

if TYPE_CHECKING:
    from pilenode.upstream.mqtt_client import Client

NODE = "n-1"
ACK = msgspec.json.encode(Ack(log_id="0123456789abcdef", upto=3, hash=NO_LINK))
TIME = msgspec.json.encode(Time(wall_ms=1, asked_ms=2))


class Clock:
    """A clock that is set."""

    now = 100.0

    def __call__(self) -> float:
        """Return what it is set to."""
        return self.now


def hear(payload: bytes, leaf: DownLeaf, drops: Drops, *, retain: bool = False) -> object:
    """Return what a link makes of a payload."""
    link = MqttLink(cast("Client", None), Version.V5, NODE, drops)
    message = SimpleNamespace(topic=SimpleNamespace(value=down(NODE, leaf)), payload=payload, retain=retain)
    return link._hear(cast("object", message))  # type: ignore[arg-type] # all that it looks at


@pytest.mark.parametrize(
    ("leaf", "payload", "cause"),
    [
        pytest.param("ack", ACK[:-1] + b',"upto":4}', "duplicate_key", id="ack: a key twice"),
        pytest.param("time", TIME[:-1] + b',"wall_ms":4}', "duplicate_key", id="time: a key twice"),
        pytest.param("ack", ACK[:-1] + b',"x":' + b"[" * 8 + b"]" * 8 + b"}", "too_deep", id="ack: deep"),
        pytest.param("time", b"[" * 200, "too_deep", id="time: deep and cut off"),
        pytest.param("ack", ACK + b" " * (MAX_ACK_BYTES + 1 - len(ACK)), "oversized", id="ack: a byte too long"),
        pytest.param("ack", ACK[:-1] + b',"\xff":0}', "malformed_ack", id="ack: no UTF-8 in an unknown key"),
        pytest.param("time", TIME[:-1] + b',"\xff":0}', "malformed_time", id="time: no UTF-8 in an unknown key"),
        pytest.param("ack", ACK[:-1] + b',"protocol":2}', "protocol_mismatch", id="ack: another version"),
        pytest.param("time", b"[]", "malformed_time", id="time: no object"),
    ],
)
def test_what_is_no_message_is_counted_by_its_cause(leaf: DownLeaf, payload: bytes, cause: str) -> None:
    """And nothing of it is believed."""
    drops = Drops(Clock())
    assert hear(payload, leaf, drops) is None
    assert drops == {cause: 1}


def test_a_good_message_is_heard_whatever_came_before() -> None:
    """A link does not hold a grudge; what is not known is ignored."""
    drops = Drops(Clock())
    for _ in range(1000):
        hear(b"\xff", "ack", drops)
    assert isinstance(hear(ACK[:-1] + b',"new":[1]}', "ack", drops), Ack)
    assert isinstance(hear(TIME, "time", drops), Time)


def test_a_flood_is_told_in_one_line_in_ten_seconds() -> None:
    """Whatever the causes; the next line says how many there were."""
    clock = Clock()
    drops = Drops(clock)
    with capture_logs() as lines:
        for number in range(1000):
            drops.note(f"cause {number % 7}")
        clock.now += 9.9
        drops.note("late")
        assert [(line["event"], line["cause"]) for line in lines] == [("message dropped", "cause 0")]
        clock.now += 0.2
        drops.note("later")
    assert [(line["cause"], line["held_back"]) for line in lines[1:]] == [("later", 1000)]
    assert drops.total() == 1002
