"""How a rig starts Python as a child: it finds the very modules that this process found, whatever the directory."""

from __future__ import annotations

import os
import sys


def python(*arguments: str) -> list[str]:
    """Return a command line of this interpreter that puts no directory of its own before the installed packages."""
    return [sys.executable, "-P", *arguments]


def environment() -> dict[str, str]:
    """Return this process's environment with its module path."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
