"""Publishes one message at a time with QoS 1, twenty of them on their way, as fast as a library can: to compare with.

``python -m hil_rig.raw_publisher --url URL --library paho|aiomqtt --count N --bytes N`` prints the seconds from the
first publish to the last answer of the broker. Nobody listens, nothing is stored: the best case of that way.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import secrets
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import aiomqtt
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from hil_rig.child import environment, python

if TYPE_CHECKING:
    from collections.abc import Sequence

WINDOW: Final = 20
LIBRARIES: Final = ("paho", "aiomqtt")
_TOPIC: Final = "raw/up/ev"
_MOST_S: Final = 120.0

_silent = logging.getLogger("hil_rig.raw_publisher")
_silent.addHandler(logging.NullHandler())
_silent.propagate = False


def with_paho(host: str, port: int, count: int, payload: bytes) -> float:
    """Publish with paho, whose own thread does the sending; return the seconds it took. Raises TimeoutError."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.max_inflight_messages_set(WINDOW)
    connected, done, answered = threading.Event(), threading.Event(), 0

    def on_publish(*_: object) -> None:
        nonlocal answered
        answered += 1
        if answered == count:
            done.set()

    client.on_connect = lambda *_: connected.set()
    client.on_publish = on_publish
    client.connect(host, port)
    client.loop_start()
    try:
        if not connected.wait(_MOST_S):
            raise TimeoutError
        begun_s = time.monotonic()
        for _ in range(count):
            client.publish(_TOPIC, payload, 1)
        if not done.wait(_MOST_S):
            raise TimeoutError
        return time.monotonic() - begun_s
    finally:
        client.disconnect()
        client.loop_stop()


async def with_aiomqtt(host: str, port: int, count: int, payload: bytes) -> float:
    """Publish with aiomqtt, from twenty tasks; return the seconds it took."""
    async with aiomqtt.Client(
        host,
        port,
        protocol=aiomqtt.ProtocolVersion.V5,
        max_inflight_messages=WINDOW,
        max_concurrent_outgoing_calls=WINDOW,
        logger=_silent,
    ) as client:
        left = iter(range(count))

        async def publish() -> None:
            for _ in left:
                await client.publish(_TOPIC, payload, qos=1)

        begun_s = time.monotonic()
        await asyncio.gather(*(publish() for _ in range(WINDOW)))
        return time.monotonic() - begun_s


def per_s(url: str, library: str, count: int, size: int) -> float:
    """Return how many messages a second a child process publishes that way."""
    options = ["--url", url, "--library", library, "--count", str(count), "--bytes", str(size)]
    done = subprocess.run(
        python("-m", "hil_rig.raw_publisher", *options),
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        check=True,
        timeout=2 * _MOST_S,
    )
    return count / float(done.stdout)


def main(arguments: Sequence[str] | None = None) -> None:
    """Publish and print the seconds."""
    parser = argparse.ArgumentParser(prog="python -m hil_rig.raw_publisher", description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--library", choices=LIBRARIES, required=True)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--bytes", type=int, default=500)
    options = parser.parse_args(arguments)
    parts = urlsplit(options.url)
    host, port, payload = parts.hostname or "", parts.port or 1883, secrets.token_bytes(options.bytes)
    if options.library == "paho":
        print(with_paho(host, port, options.count, payload))
    else:
        print(asyncio.run(with_aiomqtt(host, port, options.count, payload)))


if __name__ == "__main__":
    main()
