"""Types that several tables of the configuration share."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

Name = Annotated[str, Meta(min_length=1, max_length=32, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Path = Annotated[str, Meta(min_length=1, max_length=255)]
Pin = Annotated[int, Meta(ge=0, le=53, description="BCM number of the GPIO line")]
Baud = Literal[1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200]
