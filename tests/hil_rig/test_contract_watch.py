"""Promises of the watch: no message that breaks the contract goes over a broker of the tests unseen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from paho.mqtt import publish

from hil_rig.broker import Broker
from hil_rig.contract.samples import SAMPLES
from hil_rig.contract.tap import Tap, TapError
from hil_rig.contract.watch import Watch
from pilenode.upstream import facts
from pilenode.upstream.contract import NO_LINK, Ack, Hello, down, up

if TYPE_CHECKING:
    from hil_rig.broker import Kind

BROKERS = [pytest.param("mosquitto", marks=pytest.mark.needs("mosquitto")), "amqtt"]
GOOD = msgspec.json.encode(SAMPLES["hello"]["hello"])
BAD = msgspec.json.encode(Hello(version="x" * 41, log_id="0" * 16, first_unacked=1, last=0, head=NO_LINK))


def say(broker: Broker, topic: str, payload: bytes) -> None:
    """Publish one message and wait until the broker has it."""
    publish.single(topic, payload, qos=1, hostname="127.0.0.1", port=broker.port)


@pytest.mark.bench
@pytest.mark.parametrize("kind", BROKERS)
def test_what_breaks_the_contract_is_seen_and_what_keeps_it_is_counted(
    monkeypatch: pytest.MonkeyPatch, kind: Kind
) -> None:
    """While the broker runs, when it has stopped, and before it was killed."""
    watch = Watch()
    monkeypatch.setattr(Broker, "observer", watch)
    with Broker(kind=kind) as broker:
        say(broker, up("n", "hello"), GOOD)
        assert watch.problems() == []
        say(broker, up("n", "hello"), BAD)
        (problem,) = watch.problems()
        assert problem.startswith("pn/v1/n/up/hello: version: ")
        say(broker, "pn/v2/n/up/hello", GOOD)
        assert watch.problems() == ["pn/v2/n/up/hello: no topic of the contract"]
        say(broker, up("n", "hello"), BAD)
        next(iter(watch._taps.values())).flush()
        broker.kill()
        assert len(watch.problems()) == 1
        broker.start()
        say(broker, down("n", "ack"), msgspec.json.encode(Ack(log_id="0" * 16, upto=1, hash=NO_LINK)))
        say(broker, up("n", "live"), b"")
    assert len(watch.problems()) == 1
    assert watch.checker.seen == {
        "hello": 3,
        "live": 1,
        "st": 0,
        "ev": 0,
        "res": 0,
        "ack": 1,
        "cmd": 0,
        "cfg": 0,
        "time": 0,
    }


@pytest.mark.bench
@pytest.mark.off_contract
@pytest.mark.parametrize("kind", BROKERS)
def test_the_watch_of_this_very_run_sees_it(kind: Kind) -> None:
    """Marked ``off_contract``, this test passes only because the message below fails it."""
    with Broker(kind=kind) as broker:
        say(broker, up("n", "hello"), BAD)


@pytest.mark.off_contract
def test_body_out_of_bounds_is_seen_wherever_it_is_encoded() -> None:
    """As above: encoding does not look at bounds, the watch does."""
    facts.canonical(facts.Boot(version="x" * 41))


def test_tap_that_hears_nothing_says_so() -> None:
    """A broker that never answers is an error, not silence that looks like good conduct."""
    with pytest.raises((TapError, OSError)):
        Tap(Broker(kind="amqtt")).open()
