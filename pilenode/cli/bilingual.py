"""Commands, options and arguments whose help is written in Chinese and English, and groups that load late."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import click

from config.errors import similar
from pilenode.cli.exits import MEANINGS
from pilenode.cli.terminal import Misuse, Terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Text(NamedTuple):
    """The same in both languages."""

    zh: str
    en: str


_HEADINGS = {
    "Options": "选项",
    "Commands": "命令",
    "Positional arguments": "参数",
    "Exit status": "退出状态",
}


def terminal_of(context: click.Context) -> Terminal:
    """Return the terminal of the running program."""
    found = context.find_object(Terminal)
    return found if found is not None else Terminal(language="en", json=False)


class _Formatter(click.HelpFormatter):
    """Help with Chinese headings."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        super().write_usage(prog, args, prefix or "用法：")

    def write_heading(self, heading: str) -> None:
        super().write_heading(_HEADINGS.get(heading, heading))


class _Context(click.Context):
    def make_formatter(self) -> click.HelpFormatter:
        kind = _Formatter if terminal_of(self).language == "zh" else click.HelpFormatter
        return kind(width=self.terminal_width, max_width=self.max_content_width)


class Option(click.Option):
    """An option with two help texts."""

    def __init__(self, *args: Any, text: Text, **more: Any) -> None:  # noqa: ANN401 - click's own arguments
        super().__init__(*args, **{**more, "help": text.en})
        self._text = text

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return names and help in the language of the terminal."""
        record = super().get_help_record(ctx)
        if record is None or terminal_of(ctx).language != "zh":
            return record
        return record[0], record[1].replace(self._text.en, self._text.zh, 1)


class Argument(click.Argument):
    """An argument with two help texts."""

    def __init__(self, *args: Any, text: Text, **more: Any) -> None:  # noqa: ANN401 - click's own arguments
        super().__init__(*args, **{**more, "help": text.en})
        self._text = text

    def get_help_record(self, ctx: click.Context) -> tuple[str, str]:
        """Return name and help in the language of the terminal."""
        return super().get_help_record(ctx)[0], terminal_of(ctx).pick(*self._text)


def option(*names: str, text: Text, **more: Any) -> Callable[[Callable[..., int]], Callable[..., int]]:  # noqa: ANN401 - click's own arguments
    """Add an option with a help text in two languages."""
    return click.option(*names, cls=Option, text=text, **more)


def argument(*names: str, text: Text, **more: Any) -> Callable[[Callable[..., int]], Callable[..., int]]:  # noqa: ANN401 - click's own arguments
    """Add an argument with a help text in two languages."""
    return click.argument(*names, cls=Argument, text=text, **more)


def language_option() -> Option:
    """Return ``--lang``. It is read before click parses; here it is only checked and described."""
    text = Text("语言；默认取自环境变量。", "Language of all texts; default: from the environment.")
    return Option(["--lang"], type=click.Choice(["zh", "en"]), expose_value=False, text=text)


def json_option() -> Option:
    """Return ``--json``, which is read before click parses as well."""
    return Option(["--json"], is_flag=True, expose_value=False, text=Text("输出一行 JSON。", "Print one line of JSON."))


class Number(click.ParamType[float]):
    """A number from ``low`` to ``high``, or above ``low`` when ``above``; "nan" is refused like any word."""

    name = "number"

    def __init__(self, kind: type[int | float], low: float, high: float, *, above: bool = False) -> None:
        self._kind = kind
        self._low = low
        self._high = high
        self._above = above

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number, or fail with the allowed range."""
        try:
            number = self._kind(str(value))
        except ValueError:
            number = float("nan")
        if not self._low <= number <= self._high or (self._above and number == self._low):
            low, high = self._low, self._high
            zh = f"应大于 {low}，且不大于 {high}。" if self._above else f"应为 {low} 至 {high} 的数。"
            en = f"expected a number {'above' if self._above else 'from'} {low} up to {high}."
            self.fail(zh if ctx is not None and terminal_of(ctx).language == "zh" else en, param, ctx)
        return number


class Command(click.Command):
    """A command with two help texts."""

    context_class = _Context

    def __init__(self, *args: Any, text: Text, **more: Any) -> None:  # noqa: ANN401 - click's own arguments
        super().__init__(*args, **{**more, "help": text.en})
        self.text = text

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help in the language of the terminal."""
        _write(formatter, terminal_of(ctx).pick(*self.text))

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """Return the option --help, described in the language of the terminal."""
        return _help_option(super().get_help_option(ctx), ctx)


class Late(NamedTuple):
    """A command that is imported when it is used: its place as "module:name", and one line about it."""

    place: str
    text: Text


class Group(click.Group):
    """A group with two help texts. ``late`` are its commands; none is imported before it is used."""

    context_class = _Context

    def __init__(self, *args: Any, text: Text, late: Mapping[str, Late], **more: Any) -> None:  # noqa: ANN401 - click's own arguments
        super().__init__(*args, **{**more, "help": text.en})
        self.params.append(language_option())
        self.text = text
        self.late = dict(late)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        del ctx
        return [*self.late]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command and return it, or None when there is none of that name."""
        del ctx
        if cmd_name not in self.late:
            return None
        module, _, name = self.late[cmd_name].place.partition(":")
        return cast("click.Command", getattr(import_module(module), name))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is meant; an unknown one is answered with the closest."""
        if args[0] not in self.late and not args[0].startswith("-"):
            zh, en = similar(args[0], self.late)
            raise Misuse(f"没有命令 {args[0]}。{zh}", f"No such command: {args[0]}. {en}".rstrip(), ctx)
        return super().resolve_command(ctx, args)

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help in the language of the terminal."""
        _write(formatter, terminal_of(ctx).pick(*self.text))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, terminal_of(ctx).pick(*late.text)) for name, late in self.late.items()])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table of exit statuses."""
        with formatter.section("Exit status"):
            rows = [(str(int(status)), terminal_of(ctx).pick(*words)) for status, words in MEANINGS.items()]
            formatter.write_dl(rows)

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """Return the option --help, described in the language of the terminal."""
        return _help_option(super().get_help_option(ctx), ctx)


def _write(formatter: click.HelpFormatter, text: str) -> None:
    formatter.write_paragraph()
    with formatter.indentation():
        formatter.write_text(text)


def _help_option(found: click.Option | None, ctx: click.Context) -> click.Option | None:
    if found is not None:
        found.help = terminal_of(ctx).pick("显示帮助。", "Show this help.")
    return found
