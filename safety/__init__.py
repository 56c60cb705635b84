"""Pure safety rules. ``safety.step`` is the only entry; the shell around it owns clocks, wires and sockets.

``step`` is imported here on purpose: should another distribution ever overwrite this generic package name, guard
fails at start with every relay off instead of running with half a core.
"""

from safety.engine import initial, step

__all__ = ["initial", "step"]
