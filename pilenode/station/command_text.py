"""From the bytes of a command message to a command: pure, and bounded before anything is decoded.

In this order: size, depth, keys said twice, the envelope of a signature, the command itself. Everything that fails is
a refusal with a stable code; nothing here knows who may command what.

A signed command travels as ``{"signed": <base64 of the command's JSON>, "sig": <base64>, "key": <name>}``. The
signature is over those very bytes (``pilenode.station.signatures``), so nobody has to agree on how JSON is written.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from pilenode.ipc.bounded import UnfitError, outer_keys
from pilenode.ipc.messages import Identifier
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

_SIGNATURE_CHARACTERS: Final = 88  # 64 bytes in base64
_MAX_DETAIL: Final = 200
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """A command with a signature; ``key`` is the name of the operations key that made it."""

    signed: Annotated[str, Meta(max_length=MAX_ENVELOPE_BYTES)]
    sig: Annotated[str, Meta(min_length=_SIGNATURE_CHARACTERS, max_length=_SIGNATURE_CHARACTERS)]
    key: Identifier


@dataclass(frozen=True, slots=True)
class Seal:
    """A signature as it came: over which bytes, by which key. Not looked at yet."""

    content: bytes
    signature: bytes
    key: str


@dataclass(frozen=True, slots=True)
class Heard:
    """A command and its seal, where it has one."""

    command: Command
    seal: Seal | None = None


class _OnlyId(msgspec.Struct):
    """What is looked for in a command that is otherwise malformed."""

    id: Identifier


class _Broken(Exception):  # noqa: N818 - never leaves this file
    """Why a text is no command."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail[:_MAX_DETAIL]


def hear(payload: bytes) -> Heard | CommandResult:
    """Return the command in ``payload`` and its seal, or the refusal that it deserves. Never raises."""
    content, seal = payload, None
    try:
        # Only what could be an envelope may be longer than a command.
        keys = _look(payload, MAX_ENVELOPE_BYTES if b'"signed"' in payload else MAX_COMMAND_BYTES)
        if "signed" in keys:
            seal = _open(payload)
            content = seal.content
            _look(content, MAX_COMMAND_BYTES)
        elif len(payload) > MAX_COMMAND_BYTES:
            raise _Broken("oversized")  # noqa: TRY301 - one way out for every refusal
        command = _decode(content)
    except _Broken as broken:
        known = broken.code in {"malformed", "protocol_mismatch"}  # of the others nothing is taken, not even an id
        return CommandResult(id=_id_of(content) if known else None, ok=False, code=broken.code, detail=broken.detail)
    return Heard(command, seal)


def _look(text: bytes, most: int) -> frozenset[str]:
    """Return the keys of the outermost object after size, depth and repeated keys were found good."""
    try:
        return outer_keys(text, most)
    except UnfitError as unfit:
        raise _Broken(unfit.code, unfit.detail) from None


def _open(payload: bytes) -> Seal:
    try:
        envelope = msgspec.json.decode(payload, type=Envelope)
        content = base64.b64decode(envelope.signed, validate=True)
        return Seal(content, base64.b64decode(envelope.sig, validate=True), envelope.key)
    except (*_UNREADABLE, binascii.Error, ValueError) as error:
        raise _Broken("malformed", f"envelope: {error}") from None


def _decode(content: bytes) -> Command:
    try:
        if (major := other_major(content)) is not None:
            raise _Broken("protocol_mismatch", f"{major}, not {PROTOCOL}")
        command = decode_command(content)
    except _UNREADABLE as error:
        raise _Broken("malformed", str(error)) from None
    lacking = _lacking(command)
    if lacking:
        raise _Broken("malformed", lacking)
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
    except _UNREADABLE:
        return None
