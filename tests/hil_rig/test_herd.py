"""The herd in short, with a real broker and backend; its packets against the standard; and what it calls broken."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from hil_rig import herd_packets as packets
from hil_rig.herd import Story, main
from hil_rig.herd_node import Node, Rules, Tally
from hil_rig.herd_packets import GarbledError, Kind
from hil_rig.herd_picture import picture
from pilenode.station.chain import Chain
from pilenode.upstream.contract import Ack

if TYPE_CHECKING:
    from pathlib import Path

RULES = Rules(port=1, base_s=2.0, cap_s=900.0, spread_s=10.0, stable_s=300.0)
GOOD = Story(
    nodes=1000,
    spread_s=10.0,
    down_s=20.0,
    first={0: 100, 9: 120},
    second={3: 140},
    due={3: 140},
    failed={"ConnectionRefusedError": 3},
    longest_pause_s=900.0,
    cap_s=900.0,
    first_drained_s=12.0,
    back_s=30.0,
    drained_s=31.0,
    facts=4000,
    stored=4000,
)


@pytest.mark.bench
@pytest.mark.needs("mosquitto")
def test_a_small_herd_comes_back_as_planned_and_loses_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A hundred cabinets, broker killed and back: everything holds, the table and the picture are there."""
    table, drawing = tmp_path / "herd.json", tmp_path / "herd.svg"
    story = ["--nodes", "100", "--processes", "1", "--spread", "1.5", "--base", "0.2", "--stable", "0.3", "--down", "1"]
    status = main([*story, "--json", str(table), "--picture", str(drawing)])
    assert status == 0, capsys.readouterr().out
    told = json.loads(table.read_text())
    assert (told["facts"], told["stored"], told["lost"], told["strange"]) == (400, 400, 0, 0)
    assert sum(told["first"].values()) == sum(told["second"].values()) == 100
    assert told["failed"]["ConnectionRefusedError"] > 0  # while the broker was away
    assert sum(told["due"].values()) >= 200 + told["failed"]["ConnectionRefusedError"]
    assert drawing.read_text().count('class="bar"') == len(told["first"]) + len(told["second"])


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        ({}, []),
        ({"first": {0: 141}}, ["more connections in a second than planned, at first"]),
        ({"second": {0: 141}}, ["more connections in a second than planned, after the loss"]),
        ({"due": {5: 141}}, ["more attempts in a second than planned"]),
        ({"longest_pause_s": 900.1}, ["a pause above the cap"]),
        ({"failed": {"refused": 1}}, ["refused"]),
        ({"first_drained_s": None}, ["not all came and were confirmed"]),
        ({"back_s": None}, ["not all came back"]),
        ({"drained_s": None}, ["not all were confirmed after the loss"]),
        ({"lost": 1}, ["facts lost"]),
        ({"strange": 1}, ["facts that nobody wrote, or with another link"]),
    ],
)
def test_each_promise_can_be_broken(change: dict[str, object], broken: list[str]) -> None:
    """The bound of 100 cabinets a second is 140, four deviations of chance; of 1,000 it is 1,200."""
    assert replace(GOOD, **change).broken() == broken  # type: ignore[arg-type] # a table
    assert replace(GOOD, nodes=10_000).bound == 1200.0


def test_the_picture_shows_every_second_and_both_bounds() -> None:
    """A bar for each second, two lines in each row, and it is an SVG."""
    drawing = picture(GOOD)
    ET.fromstring(drawing)  # noqa: S314 - our own
    assert drawing.count('class="bar"') == 3
    assert (drawing.count('class="plan"'), drawing.count('class="bound"')) == (2, 2)


def test_packets_are_those_of_the_standard() -> None:
    """CONNECT (3.1), SUBSCRIBE (3.8), PUBLISH (3.3) and PUBACK (3.4), byte for byte."""
    connect = packets.connect("c", 240, "w", b"x")
    assert connect == b"\x10\x13" + b"\x00\x04MQTT\x04\x2e\x00\xf0" + b"\x00\x01c" + b"\x00\x01w" + b"\x00\x01x"
    assert packets.subscribe(7, ("a/b",)) == b"\x82\x08\x00\x07\x00\x03a/b\x01"
    assert packets.publish(1, "t", b"hi", retain=True) == b"\x33\x07\x00\x01t\x00\x01hi"
    assert packets.puback(b"\x00\x09") == b"\x40\x02\x00\x09"
    assert packets.publish(1, "t", b"x" * 200)[:4] == b"\x32\xcd\x01\x00"  # 205 = 0x4d + 1 * 128
    assert (packets.PING, packets.DISCONNECT) == (b"\xc0\x00", b"\xe0\x00")


def test_packets_are_read_back() -> None:
    """Whatever their length; a type that is none is told."""

    async def read(data: bytes) -> packets.Packet:
        reader = asyncio.StreamReader()
        reader.feed_data(data)
        reader.feed_eof()
        return await packets.read(reader)

    for size in (0, 120, 130, 20_000):
        packet = asyncio.run(read(packets.publish(5, "a/b", b"z" * size)))
        assert packet.kind is Kind.PUBLISH
        assert packets.published(packet) == ("a/b", b"\x00\x05", b"z" * size)
    assert packets.published(packets.Packet(Kind.PUBLISH, 0, b"\x00\x01tq")) == ("t", b"", b"q")
    with pytest.raises(GarbledError):
        asyncio.run(read(b"\x00\x00"))
    with pytest.raises(asyncio.IncompleteReadError):
        asyncio.run(read(b"\x30\x05abc"))


def test_a_cabinet_believes_only_its_own_history() -> None:
    """An acknowledgement counts with the link of its fact; its log is a chain."""
    node = Node(3, RULES, Tally(), asyncio.Semaphore())
    chain = Chain(node.log_id)
    for fact in node.facts:
        chain.take(fact)
    assert chain.broken_at is None
    for log_id, upto, link in (
        ("f" * 16, 3, node.facts[2].hash),
        (node.log_id, 4, node.facts[2].hash),
        (node.log_id, 3, node.facts[1].hash),
    ):
        node._hear(Ack(log_id=log_id, upto=upto, hash=link))
        assert (node.acked, node.drained) == (0, False)
    assert node._tally.contradicted == 1
    node._hear(Ack(log_id=node.log_id, upto=3, hash=node.facts[2].hash))
    assert node.drained
    node.write()
    assert not node.drained
