"""Sends a command to a cabinet and waits for what became of it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

import msgspec

from hil_rig.upstream.connection import client, entered
from pilenode.upstream.contract import Command, StateReport, down, up
from pilenode.upstream.facts import CommandResult

if TYPE_CHECKING:
    import aiomqtt

_REPEAT_S: Final = 1.0


async def send(
    url: str, node: str, command: Command, *, version: str = "3.1.1", timeout_s: float = 10.0
) -> CommandResult:
    """Send a command, again and again until the node says what became of it. Raises TimeoutError.

    A broker keeps no command for a node that is away, and the node answers a repeated one from its journal. A node that
    does not know the time asks for its challenge, which stands in its state.
    """
    async with asyncio.timeout(timeout_s), entered(client(url, version)) as connection:
        result_topic, state_topic = up(node, "res"), up(node, "st")
        asking = _Asking(connection, down(node, "cmd"), command)
        await connection.subscribe([(result_topic, 1), (state_topic, 1)])
        repeating = asyncio.create_task(asking.repeat())
        try:
            async for message in connection.messages:
                payload = message.payload if isinstance(message.payload, bytes) else b""
                if message.topic.value == state_topic:
                    asking.hear(payload)
                if message.topic.value != result_topic:
                    continue  # amqtt 0.12 hands every retained message to a new subscriber
                result = msgspec.json.decode(payload, type=CommandResult)
                if result.id == command.id and result.code != "challenge_needed":
                    return result
        finally:
            repeating.cancel()
    raise TimeoutError


class _Asking:
    """One command that is sent until it is answered, each time with the newest challenge."""

    def __init__(self, client: aiomqtt.Client, topic: str, command: Command) -> None:
        self._client = client
        self._topic = topic
        self._command = command
        self._news = asyncio.Event()

    def hear(self, state: bytes) -> None:
        """Take the challenge out of a state report."""
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
            challenge = msgspec.json.decode(state, type=StateReport).challenge
            if challenge != self._command.nonce:
                self._command = msgspec.structs.replace(self._command, nonce=challenge)
                self._news.set()

    async def repeat(self) -> None:
        """Send it once a second, and at once when the challenge is another one."""
        while True:
            self._news.clear()
            await self._client.publish(self._topic, msgspec.json.encode(self._command), qos=1)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_REPEAT_S):
                    await self._news.wait()
