"""A small good configuration that tests spoil in one place at a time."""

from __future__ import annotations

import pytest

_GOOD = """\
[node]
id = "n1"

[[bus]]
name = "main"
device = "/dev/ttyUSB0"

[[port]]
number = 1
meter = { model = "pzem004t-v3", unit = 1, bus = "main" }
relay = { pin = 5 }
probe = { id = "28-0316a2794b01" }

[[port]]
number = 2
meter = { model = "pzem004t-v3", unit = 2, bus = "main" }
relay = { pin = 6 }
probe = { id = "28-0316a2794b02" }

[[input]]
name = "smoke"
kind = "smoke"
pin = 23

[upstream]
url = "mqtt://127.0.0.1:1883"
"""


@pytest.fixture
def good() -> str:
    """Return a configuration without a mistake."""
    return _GOOD
