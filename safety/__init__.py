"""Pure safety rules. ``safety.step`` is the only entry."""
