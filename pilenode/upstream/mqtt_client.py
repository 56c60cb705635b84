"""What aiomqtt 2.5 does not do and a cabinet needs.

- An attempt that ends without an answer to CONNECT leaves its socket open and waits its whole time-out even when the
  broker has hung up: here it is noticed and cleaned up. No descriptor is watched that is closed by then;
- ``publish`` returns normally when the broker answers with an error: ``say`` returns the reason;
- it waits with ``asyncio.wait_for``, which before Python 3.12 loses a cancellation that comes in the same turn of the
  loop as the answer: a task that was told to end would go on for ever.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any, TypeVar

import aiomqtt
from paho.mqtt import client as mqtt

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from paho.mqtt.properties import Properties

_Answer = TypeVar("_Answer")


class Client(aiomqtt.Client):
    """A client that tells a silent broker from an absent one, and leaves nothing open behind."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - aiomqtt's own signature
        super().__init__(*args, **kwargs)
        self.reached = False  # the transport stood; what failed after that is the protocol
        self._answered = False  # the answer to CONNECT is not waited for any more
        self._answers: dict[int, asyncio.Future[int]] = {}  # to what was published, by message

    def _on_socket_open(self, client: Any, userdata: Any, sock: Any) -> None:  # noqa: ANN401 - aiomqtt's own signature
        self.reached = True
        super()._on_socket_open(client, userdata, sock)

    def _on_socket_register_write(self, client: Any, userdata: Any, sock: Any) -> None:  # noqa: ANN401, ARG002 - as above
        def write() -> None:
            try:
                client.loop_write()
            except Exception as error:  # noqa: BLE001 - whatever breaks a write has broken the connection
                if not self._disconnected.done():
                    self._disconnected.set_exception(error)

        def watch() -> None:
            # aiomqtt takes the descriptor when it asks; by now it may be closed, or belong to somebody else.
            if sock.fileno() >= 0:
                self._loop.add_writer(sock.fileno(), write)

        self._loop.call_soon_threadsafe(watch)  # may come from the thread that connects

    def _on_disconnect(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - aiomqtt's own signature
        if not self._connected.cancelled():  # an attempt that nobody waits for any more; aiomqtt would trip over it
            super()._on_disconnect(*args, **kwargs)
        # aiomqtt ignores a hang-up before CONNACK. May come from the thread that connects.
        self._loop.call_soon_threadsafe(self._hung_up)

    def _hung_up(self) -> None:
        if not self._answered and not self._connected.done():
            self._connected.set_exception(aiomqtt.MqttError("the broker hung up"))

    async def _wait_for(self, fut: Awaitable[_Answer], timeout: float | None) -> _Answer:  # noqa: ASYNC109 - aiomqtt's own signature
        seconds = self.timeout if timeout is None else timeout
        try:
            async with asyncio.timeout(None if seconds == math.inf else seconds):
                return await fut
        except TimeoutError:
            raise aiomqtt.MqttError("Operation timed out") from None

    async def enter(self) -> None:
        """Connect. Raises MqttCodeError when the broker says no, MqttError when it says nothing or is not there."""
        try:
            await self.__aenter__()
        finally:
            self._answered = True

    async def say(self, topic: str, payload: bytes, *, retain: bool, properties: Properties | None = None) -> int:
        """Publish with QoS 1 and return the reason in the broker's answer: 0 where all is well or nothing is told.

        Raises MqttError when the connection is gone or no answer comes.
        """
        info = self._client.publish(topic, payload, 1, retain, properties)
        if info.rc != mqtt.MQTT_ERR_SUCCESS:
            raise aiomqtt.MqttError(mqtt.error_string(info.rc))
        answer: asyncio.Future[int] = self._loop.create_future()
        self._answers[info.mid] = answer
        try:
            return await self._wait_for(answer, None)
        finally:
            self._answers.pop(info.mid, None)

    def _on_publish(self, client: Any, userdata: Any, mid: int, reason_code: Any, properties: Any) -> None:  # noqa: ANN401 - as above
        answer = self._answers.get(mid)
        if answer is not None and not answer.done():
            answer.set_result(int(getattr(reason_code, "value", 0) or 0))
        super()._on_publish(client, userdata, mid, reason_code, properties)

    def give_up(self, why: str) -> None:
        """End a standing connection as if it were lost."""
        if not self._disconnected.done():
            self._disconnected.set_exception(aiomqtt.MqttError(why))

    def abandon(self) -> None:
        """Close the socket of a connection that never came about or broke."""
        self._client.disconnect()
        self._client.loop_write()
        if self._disconnected.done():
            self._disconnected.exception()  # seen; asyncio would complain about it later
