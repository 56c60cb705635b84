"""What the commands that talk to the station share: their options, and the question itself."""

from __future__ import annotations

import os
from functools import partial, update_wrapper
from typing import TYPE_CHECKING, Protocol, TypeVar

import click
import msgspec

from pilenode.cli.bilingual import Command, Option, Text, json_option, language_option
from pilenode.cli.terminal import Misuse
from pilenode.ipc import client

if TYPE_CHECKING:
    from collections.abc import Callable

    from pilenode.cli.terminal import Terminal
    from pilenode.ipc.messages import ControlRequest

DEFAULT_SOCKET = "/run/pilenode/control.sock"
SOCKET_VARIABLE = "PILENODE_CONTROL"

Reply = TypeVar("Reply")


class Ask(Protocol):
    """Ask the station; raises RequestError when it does not answer or refuses."""

    def __call__(self, request: ControlRequest, expected: type[Reply]) -> Reply:
        """Return the reply, which is of the type ``expected``."""


def _ask(socket: str, request: ControlRequest, expected: type[Reply]) -> Reply:
    try:
        # What the station would drop as malformed is better told here, with its reason.
        msgspec.convert(msgspec.to_builtins(request), type(request))
    except msgspec.ValidationError as error:
        raise Misuse(f"请求内容不允许：{error}", f"The request is not allowed: {error}") from error
    return client.ask(socket, request, expected)


def _address(socket: str | None, config: str | None) -> str:
    if socket is not None:
        return socket
    if config is not None:
        from config.load import load  # noqa: PLC0415 - only needed with --config

        return load(config).station.control_socket
    return os.environ.get(SOCKET_VARIABLE) or DEFAULT_SOCKET


def address_options() -> list[click.Parameter]:
    """Return the options that say where the station is: ``--socket`` and ``--config``."""
    return [
        Option(
            ["--socket"],
            metavar="PATH",
            text=Text(
                f"站点控制套接字；默认取 {SOCKET_VARIABLE} 或 {DEFAULT_SOCKET}。",
                f"Control socket of the station; default: {SOCKET_VARIABLE} or {DEFAULT_SOCKET}.",
            ),
        ),
        Option(
            ["--config"],
            metavar="FILE",
            text=Text("从配置文件取控制套接字。", "Take the control socket from this configuration."),
        ),
    ]


def asker(socket: str | None, config: str | None) -> Ask:
    """Return how to ask the station that the options name."""
    return partial(_ask, _address(socket, config))


def talks(name: str, text: Text) -> Callable[[Callable[..., int]], Command]:
    """Make a command of a function ``(terminal, ask, **options) -> exit status``; ``ask`` goes to the station."""

    def decorate(function: Callable[..., int]) -> Command:
        def run(terminal: Terminal, socket: str | None, config: str | None, **more: object) -> int:
            return function(terminal, asker(socket, config), **more)

        command = click.command(name, cls=Command, text=text)(click.pass_obj(update_wrapper(run, function)))
        command.params += [*address_options(), json_option(), language_option()]
        return command

    return decorate
