"""From the bytes of a command message to a command: pure, and bounded before anything is decoded.

In this order: size, depth, keys said twice, the envelope of a signature (``pilenode.station.envelope``), the command
itself. Everything that fails is a refusal with a stable code; nothing here knows who may command what.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from pilenode.ipc.bounded import UnfitError, outer_keys
from pilenode.ipc.messages import Identifier
from pilenode.station.envelope import UNREADABLE, Seal, opened
from pilenode.upstream.contract import (
    MAX_COMMAND_BYTES,
    MAX_ENVELOPE_BYTES,
    MAX_START_LIFE_MS,
    PROTOCOL,
    Command,
    decode_command,
    other_major,
)
from pilenode.upstream.facts import CommandResult


@dataclass(frozen=True, slots=True)
class Heard:
    """A command and its seal, where it has one."""

    command: Command
    seal: Seal | None = None


class _OnlyId(msgspec.Struct):
    """What is looked for in a command that is otherwise malformed."""

    id: Identifier


def hear(payload: bytes) -> Heard | CommandResult:
    """Return the command in ``payload`` and its seal, or the refusal that it deserves. Never raises."""
    content, seal = payload, None
    try:
        # Only what could be an envelope may be longer than a command.
        keys = outer_keys(payload, MAX_ENVELOPE_BYTES if b'"signed"' in payload else MAX_COMMAND_BYTES)
        if "signed" in keys:
            seal = opened(payload)
            content = seal.content
            outer_keys(content, MAX_COMMAND_BYTES)
        elif len(payload) > MAX_COMMAND_BYTES:
            raise UnfitError("oversized")  # noqa: TRY301 - one way out for every refusal
        command = _decode(content)
    except UnfitError as unfit:
        known = unfit.code in {"malformed", "protocol_mismatch"}  # of the others nothing is taken, not even an id
        return CommandResult(id=_id_of(content) if known else None, ok=False, code=unfit.code, detail=unfit.detail)
    return Heard(command, seal)


def _decode(content: bytes) -> Command:
    try:
        if (major := other_major(content)) is not None:
            raise UnfitError("protocol_mismatch", f"{major}, not {PROTOCOL}")
        command = decode_command(content)
    except UNREADABLE as error:
        raise UnfitError("malformed", str(error)) from None
    lacking = _lacking(command)
    if lacking:
        raise UnfitError("malformed", lacking)
    return command


def _lacking(command: Command) -> str:
    """Return what a command lacks that its ``op`` needs, empty when it is whole."""
    if command.exp < command.iat:
        return "exp before iat"
    if command.op == "act":
        return "act without act" if command.act is None else ""
    if command.port is None:
        return f"{command.op} without port"
    if command.op == "stop" and command.session is None and command.order is None:
        return "stop without session or order"
    if command.op == "modify" and (command.session is None or command.change is None):
        return "modify without session or change"
    return _lacks_of_start(command) if command.op == "start" else ""


def _lacks_of_start(command: Command) -> str:
    if command.exp - command.iat > MAX_START_LIFE_MS:
        return f"start is good for more than {MAX_START_LIFE_MS // 1000} s"
    return "start without order" if command.order is None else ""


def _id_of(content: bytes) -> str | None:
    try:
        return msgspec.json.decode(content, type=_OnlyId).id
    except UNREADABLE:
        return None
