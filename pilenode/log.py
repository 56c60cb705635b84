"""Logging for both processes: structlog to stderr, one line per event, never waited for.

A console gets readable lines; anything else gets JSON, with the priority prefix that journald understands when it is
journald that reads. A line that the reader of stderr has no room for is dropped and counted: nobody's work may stop
because a log is not read.
"""

from __future__ import annotations

import logging
import os
import select
import threading
from typing import Final

import structlog

#: What a pipe takes in one piece; a longer line is cut off here.
_MAX_LINE: Final = select.PIPE_BUF
#: sd-daemon(3) priorities.
_PRIORITY: Final = {"critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 7}


class LineWriter:
    """Writes whole lines to a file descriptor without ever waiting for it. Safe to share between threads."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)
        self._lock = threading.Lock()
        self.dropped = 0

    def write(self, text: str) -> int:
        """Write ``text``, or drop it when there is no room now. Returns the length as a text file would."""
        data = text.encode(errors="replace")
        if len(data) > _MAX_LINE:
            data = data[: _MAX_LINE - 1] + b"\n"
        with self._lock:
            # A pipe that polls writable takes PIPE_BUF bytes; a stream socket has three quarters of its buffer free.
            ready = self._poll.poll(0)
            if not ready or not ready[0][1] & select.POLLOUT:
                self.dropped += 1
                return len(text)
            try:
                os.write(self._descriptor, data)
            except OSError:
                self.dropped += 1
        return len(text)

    def flush(self) -> None:
        """Do nothing: every line is written at once."""


def _with_priority(_logger: object, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    event["_priority"] = _PRIORITY.get(method, 6)
    return event


class _JournaldLines:
    """Puts the priority prefix before a rendered JSON line."""

    def __init__(self) -> None:
        self._json = structlog.processors.JSONRenderer(ensure_ascii=False)

    def __call__(self, logger: object, method: str, event: structlog.typing.EventDict) -> str:
        priority = event.pop("_priority")
        return f"<{priority}>{self._json(logger, method, event)!s}"


def configure(process: str, *, level: str = "info", descriptor: int = 2) -> LineWriter:
    """Set up logging for this process and return where the lines go. ``process`` stands on every line."""
    writer = LineWriter(descriptor)

    def name_process(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        return {"process": process, **event}

    processors: list[structlog.typing.Processor] = [
        name_process,
        structlog.processors.add_log_level,
        structlog.processors.format_exc_info,
    ]
    if os.isatty(descriptor):
        processors = processors[:-1]  # the console renderer draws exceptions itself
        plain = structlog.dev.plain_traceback  # the default one prints local variables, passwords among them
        processors += [
            structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
            structlog.dev.ConsoleRenderer(exception_formatter=plain),
        ]
    elif os.environ.get("JOURNAL_STREAM"):
        processors += [_with_priority, _JournaldLines()]
    else:
        processors += [
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=writer),  # type: ignore[arg-type] # needs write and flush only
    )
    return writer


class RateLimiter:
    """Lets one warning per key through in ``interval_s``. Pure: the time is passed in, in seconds of one clock.

    At most ``max_keys`` keys are remembered; beyond that all new keys share one, so that an attacker who invents
    keys gets neither memory nor log lines.
    """

    _OVERFLOW: Final = "other"

    def __init__(self, interval_s: float = 10.0, max_keys: int = 100) -> None:
        self._interval_s = interval_s
        self._max_keys = max_keys
        self._last_s: dict[str, float] = {}
        self._held_back: dict[str, int] = {}

    def admit(self, key: str, now: float) -> int | None:
        """Return how many were held back since the last one of ``key`` that passed, or None to hold this one back."""
        if key not in self._last_s and len(self._last_s) >= self._max_keys:
            key = self._OVERFLOW
        last_s = self._last_s.get(key)
        if last_s is not None and now - last_s < self._interval_s:
            self._held_back[key] = self._held_back.get(key, 0) + 1
            return None
        self._last_s[key] = now
        return self._held_back.pop(key, 0)
