"""Listens on a broker of the rig and keeps every message that goes over it, to be held against the contract.

Judging takes milliseconds, so it is left to whoever asks, after the measured part of a test.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from pilenode.upstream.contract import ROOT

if TYPE_CHECKING:
    from hil_rig.broker import Broker

_PATIENCE_S: Final = 5.0
_MARK: Final = "tap/mark"


class TapError(RuntimeError):
    """The tap does not hear its own broker: what passed there cannot be vouched for."""


class Tap:
    """Hears all of ``pn/`` on a broker from ``open`` to ``close``. ``take`` returns what came, topic and payload."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._heard: list[tuple[str, bytes]] = []
        self._subscribed = threading.Event()
        self._marks = 0
        self._marked = threading.Condition()
        self._client: mqtt.Client | None = None

    def open(self) -> None:
        """Connect and subscribe; returns when every later message is heard. Raises TapError."""
        self._subscribed.clear()
        self._marks = 0
        made = mqtt.Client(CallbackAPIVersion.VERSION2, reconnect_on_failure=False)
        made.on_connect = self._connected
        made.on_subscribe = lambda *_: self._subscribed.set()
        made.on_message = self._hear
        made.connect("127.0.0.1", self._broker.port, keepalive=60)
        made.loop_start()
        self._client = made
        if not self._subscribed.wait(_PATIENCE_S):
            self.abandon()
            raise TapError(f"no answer from the broker on port {self._broker.port}")

    def flush(self) -> None:
        """Wait until everything that was published before has arrived here. Raises TapError."""
        if self._client is None:
            return
        with self._marked:
            wanted = self._marks + 1
            self._client.publish(_MARK, b"", qos=1)
            if not self._marked.wait_for(lambda: self._marks >= wanted, _PATIENCE_S):
                raise TapError(f"the broker on port {self._broker.port} does not deliver")

    def abandon(self) -> None:
        """Hang up, without waiting for what is on its way: the broker is dead, or about to be killed."""
        if self._client is not None:
            self._client.disconnect()
            self._client.loop_stop()
            self._client = None

    def take(self) -> list[tuple[str, bytes]]:
        """Return what was heard since the last time."""
        heard, self._heard = self._heard, []
        return heard

    def _connected(self, client: mqtt.Client, *_: Any) -> None:  # noqa: ANN401 - paho's own signature
        client.subscribe([(f"{ROOT.split('/', maxsplit=1)[0]}/#", 1), (_MARK, 1)])

    def _hear(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        if message.topic == _MARK:
            with self._marked:
                self._marks += 1
                self._marked.notify_all()
        else:
            self._heard.append((message.topic, bytes(message.payload)))
