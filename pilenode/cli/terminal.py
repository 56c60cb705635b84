"""The two ways out: words for people in their language, or JSON for programs.

Nothing heavy is imported here: ``pilenode --help`` goes through this file.
"""

from __future__ import annotations

import sys
import traceback
from typing import TYPE_CHECKING

import click

from config.errors import ConfigError, PilenodeError
from pilenode.cli.exits import Exit, status_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def language_of(arguments: Sequence[str], environment: Mapping[str, str]) -> str:
    """Return "zh" or "en": what ``--lang`` says, else what the locale says.

    The arguments are searched before they are parsed, so that help and usage errors speak the same language.
    """
    for index, argument in enumerate(arguments):
        name, _, value = argument.partition("=")
        if name == "--lang":
            chosen = value or "".join(arguments[index + 1 : index + 2])
            return chosen if chosen in {"zh", "en"} else "en"
    locales = [environment.get(name, "") for name in ("LC_ALL", "LC_MESSAGES", "LANG")]
    locale = next((value for value in locales if value), "")
    return "zh" if locale.lower().startswith("zh") else "en"


class Misuse(click.UsageError):
    """A usage error in both languages."""

    def __init__(self, zh: str, en: str, ctx: click.Context | None = None) -> None:
        super().__init__(en, ctx or click.get_current_context(silent=True))
        self.zh = zh


class Terminal:
    """Where a command prints. ``language`` is "zh" or "en"; with ``json`` data and errors are JSON."""

    def __init__(self, *, language: str, json: bool) -> None:
        self.language = language
        self.json = json

    def pick(self, zh: str, en: str) -> str:
        """Return the text in the language of this terminal."""
        return zh if self.language == "zh" else en

    def line(self, text: str = "") -> None:
        """Print one line of words."""
        click.echo(text)

    def write(self, text: str) -> None:
        """Print ``text`` as it is, its line ends included."""
        click.echo(text.encode(), nl=False)

    def data(self, value: object) -> None:
        """Print ``value`` (a message, or what JSON knows) as one line of JSON."""
        click.echo(_json(value))

    def error(self, error: Exception) -> Exit:
        """Print what happened and what to do about it to stderr, and return the exit status that says the same."""
        code, what, remedy = self._words(error)
        if self.json:
            told: dict[str, object] = {"code": code, "message": what, "remedy": remedy}
            if isinstance(error, ConfigError):
                told["problems"] = [problem._asdict() for problem in error.problems]
            click.echo(_json({"error": told}), err=True)
        else:
            click.echo(f"{self.pick('错误：', 'error: ')}{what}", err=True)
            for problem in error.problems if isinstance(error, ConfigError) else ():
                click.echo(self.problem(problem._asdict()), err=True)
            click.echo(f"{self.pick('办法：', 'remedy: ')}{remedy}", err=True)
        return status_of(code)

    def problem(self, problem: Mapping[str, object]) -> str:
        """Return one configuration problem as two lines: what, and what to do."""
        where = ":".join(str(part) for part in (problem["file"], problem["line"], problem["key"]) if part)
        what = self.pick(str(problem["zh"]), str(problem["en"]))
        remedy = self.pick(str(problem["remedy_zh"]), str(problem["remedy_en"]))
        return f"{where}: {what}\n    {remedy}"

    def _words(self, error: Exception) -> tuple[str, str, str]:
        if isinstance(error, PilenodeError):
            return error.code, self.pick(error.zh, error.en), self.pick(error.remedy_zh, error.remedy_en)
        if isinstance(error, click.ClickException):
            path = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "pilenode"
            remedy = self.pick(f"用法见 {path} --help。", f"See {path} --help.")
            return "usage", self._usage(error), remedy
        traceback.print_exception(error, file=sys.stderr)
        what = f"{type(error).__name__}: {error}"
        remedy = self.pick("这是程序缺陷，请连同以上内容报告。", "This is a bug; report it with the lines above.")
        return "internal", what, remedy

    def _usage(self, error: click.ClickException) -> str:
        if self.language != "zh":
            return error.format_message()
        if isinstance(error, Misuse):
            return error.zh
        if isinstance(error, click.NoSuchOption):
            return f"没有选项 {error.option_name}。"
        if isinstance(error, click.BadParameter) and error.param is not None and error.ctx is not None:
            hint = error.param.get_error_hint(error.ctx)
            missing = isinstance(error, click.MissingParameter)
            return f"缺少参数 {hint}。" if missing else f"参数 {hint} 的值不对：{error.message}"
        return f"命令用法不对：{error.format_message()}"


def _json(value: object) -> str:
    import msgspec  # noqa: PLC0415 - only needed with --json; costs as much as all of click

    return msgspec.json.encode(value).decode()
