"""``pilenode identity``: the cabinet's key and certificate, made, installed, shown and tried."""

from __future__ import annotations

import os
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from config.load import load
from pilenode.cli.bilingual import Command, Group, Late, Text, argument, json_option, language_option, option
from pilenode.cli.exits import Exit
from pilenode.cli.terminal import Misuse
from pilenode.identity.store import CERTIFICATE, KEY, MAX_FILE_BYTES, REQUEST, Pair, Store
from pilenode.identity.words import IdentityError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from config.schema import Config, Upstream
    from pilenode.cli.terminal import Terminal
    from pilenode.identity.certificates import Described

_SHOW = Text("查看证书和密钥。", "Show certificates and keys.")
_NEW = Text("生成新密钥和证书请求。密钥不离开机柜。", "Make a new key and the request for its certificate.")
_INSTALL = Text(
    "安装签发的证书。站点随即试用；不能连接时自动恢复旧证书。",
    "Install a signed certificate. The station tries it at once, and goes back to the old one if it is not let in.",
)
_CHECK = Text("试连服务器，说明哪里不对。", "Connect to the broker once and say what is wrong.")
_TIMEOUT_S: Final = 10.0
_SLOTS: Final = {
    "current": ("使用中", "in use"),
    "next": ("待试用", "to be tried"),
    "previous": ("上一份", "the one before"),
    "rejected": ("被拒绝", "rejected"),
    "configured": ("配置指定", "as configured"),
}


def _command(name: str, text: Text) -> Callable[[Callable[..., int]], click.Command]:
    def decorate(function: Callable[..., int]) -> click.Command:
        file = option("--config", "path", required=True, metavar="FILE", text=Text("配置文件。", "The configuration."))
        passed = click.pass_obj(file(function))
        return click.command(name, cls=Command, text=text, params=[json_option(), language_option()])(passed)

    return decorate


def _upstream(config: Config) -> Upstream:
    if config.upstream is None:
        raise Misuse("配置中没有 [upstream]。", "The configuration has no [upstream].")
    return config.upstream


def _store(upstream: Upstream) -> Store:
    if not upstream.identity_dir:
        raise IdentityError("identity_unconfigured")
    return Store(Path(upstream.identity_dir))


@contextmanager
def _files() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise IdentityError("identity_unreadable", str(error)[:200]) from error


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        text = file.read(MAX_FILE_BYTES + 1)
    if len(text) > MAX_FILE_BYTES:
        raise IdentityError("identity_unreadable", f"{path}: > {MAX_FILE_BYTES} bytes")
    return text


@_command("show", _SHOW)
def show(terminal: Terminal, path: str) -> int:
    """Print every certificate that is there, and what waits for one."""
    upstream = _upstream(load(path))
    with _files():
        found = [(slot, _described(file)) for slot, file in _places(upstream) if file.is_file()]
        store = _store(upstream) if upstream.identity_dir else None
        request = store.directory / "pending" / REQUEST if store is not None else None
        waiting = str(request) if request is not None and request.is_file() else None
    reason = store.rejected() if store is not None else ""
    if terminal.json:
        shown = [{"slot": slot, "rejected": reason if slot == "rejected" else "", **one} for slot, one in found]
        terminal.data({"certificates": shown, "request": waiting})
        return Exit.OK
    for slot, one in found:
        words = terminal.pick(*_SLOTS[slot])
        terminal.line(f"{words}{f' [{reason}]' if slot == 'rejected' else ''}")
        for key, value in one.items():
            terminal.line(f"  {key:12} {value}")
    if waiting is not None:
        terminal.line(terminal.pick(f"等待签发：{waiting}", f"waits to be signed: {waiting}"))
    return Exit.OK if found or waiting else terminal.error(IdentityError("identity_none"))


def _places(upstream: Upstream) -> list[tuple[str, Path]]:
    if not upstream.identity_dir:
        return [("configured", Path(upstream.certificate_file))] if upstream.certificate_file else []
    slots = ("current", "next", "previous", "rejected")
    return [(slot, Path(upstream.identity_dir) / slot / CERTIFICATE) for slot in slots]


def _described(file: Path) -> dict[str, Any]:
    from pilenode.identity import certificates  # noqa: PLC0415 - cryptography is as large as all the rest

    found: Described = certificates.describe(_read(file), str(file))
    return {
        "name": found.name,
        "issuer": found.issuer,
        "serial": found.serial,
        "not_before": found.not_before.isoformat(),
        "not_after": found.not_after.isoformat(),
        "fingerprint": found.fingerprint,
    }


@_command("new", _NEW)
@option("--again", is_flag=True, text=Text("作废等待签发的密钥。", "Throw away a key that waits for its certificate."))
def new(terminal: Terminal, path: str, *, again: bool) -> int:
    """Make a key that stays here, and a request that may be sent anywhere."""
    from pilenode.identity import certificates  # noqa: PLC0415 - cryptography is as large as all the rest

    config = load(path)
    store = _store(_upstream(config))
    key, request = certificates.new_request(config.node.id)
    with _files():
        file = store.request(key, request, again=again)
    if terminal.json:
        terminal.data({"request": str(file), "pem": request.decode()})
        return Exit.OK
    terminal.line(terminal.pick(f"请平台签发：{file}", f"have this signed: {file}"))
    terminal.line(request.decode().rstrip())
    return Exit.OK


@_command("install", _INSTALL)
@argument("certificate", metavar="CERTIFICATE", text=Text("签发的证书（PEM，可含证书链）。", "Its PEM, chain and all."))
@option(
    "--ca",
    "authorities",
    multiple=True,
    metavar="FILE",
    text=Text("签发机构的证书；默认 upstream.ca_file。", "The authority that signed it; default: upstream.ca_file."),
)
def install(terminal: Terminal, path: str, certificate: str, authorities: tuple[str, ...]) -> int:
    """Check everything that can be checked here, then let the station try it."""
    from pilenode.identity import certificates  # noqa: PLC0415 - cryptography is as large as all the rest

    config = load(path)
    upstream = _upstream(config)
    store = _store(upstream)
    known = authorities or ((upstream.ca_file,) if upstream.ca_file else ())
    with _files():
        pending = store.directory / "pending" / KEY
        if not pending.is_file():
            raise IdentityError("identity_no_request")
        text = _read(Path(certificate))
        trusted = [_read(Path(file)) for file in known]
        certificates.examine(text, _read(pending), config.node.id, trusted, datetime.now(UTC))
        store.install(text)
    if terminal.json:
        terminal.data({"installed": str(store.directory / "next" / CERTIFICATE)})
    else:
        terminal.line(
            terminal.pick(
                "已安装，站点将试用；用 pilenode identity show 查看结果。",
                "Installed; the station tries it now. pilenode identity show tells the outcome.",
            )
        )
    return Exit.OK


@_command("check", _CHECK)
def check(terminal: Terminal, path: str) -> int:
    """Try what the station would show, best first; the station's own connection is left alone."""
    from pilenode.identity import diagnosis  # noqa: PLC0415 - ssl is not needed by the other commands

    config = load(path)
    upstream = _upstream(config)
    told = []
    for pair in _pairs(upstream):
        try:
            found = diagnosis.examine(diagnosis.target(upstream, config.node.id, pair), _TIMEOUT_S)
        except (OSError, ValueError) as error:
            raise IdentityError("identity_unreadable", str(error)[:200]) from error
        told.append((pair.slot, found))
    if terminal.json:
        terminal.data({"checks": [{"slot": slot, "code": one.code, "detail": one.detail} for slot, one in told]})
    status = Exit.OK
    for slot, one in told:
        if one.code:
            status = terminal.error(IdentityError(one.code, one.detail))
        elif not terminal.json:
            words = terminal.pick(*_SLOTS.get(slot, ("无证书", "without a certificate")))
            terminal.line(terminal.pick(f"{upstream.url}：可以连接（{words}）。", f"{upstream.url}: let in ({words})."))
    return Exit.FAILED if status != Exit.OK else Exit.OK


def _pairs(upstream: Upstream) -> tuple[Pair, ...]:
    if upstream.identity_dir:
        directory = Path(upstream.identity_dir)
        if directory.is_dir() and not os.access(directory, os.R_OK | os.X_OK):
            raise IdentityError("identity_unreadable", str(directory))
        return Store(directory).pairs() or (Pair("none"),)
    if upstream.certificate_file:
        return (Pair("configured", Path(upstream.certificate_file), Path(upstream.key_file)),)
    return (Pair("none"),)


command = Group(
    "identity",
    text=Text("机柜对服务器的身份：密钥和证书。", "Who the cabinet is to the broker: key and certificate."),
    late={
        "show": Late("pilenode.cli.identity:show", _SHOW),
        "new": Late("pilenode.cli.identity:new", _NEW),
        "install": Late("pilenode.cli.identity:install", _INSTALL),
        "check": Late("pilenode.cli.identity:check", _CHECK),
    },
)
