"""Where the cabinet stands, and by what terms its ledger is kept: the tables ``[site]`` and ``[ledger]``."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class Site(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the cabinet belongs, from the large to the small; printed on reports."""

    district: Annotated[str, Meta(max_length=100, description="District or sub-district (区、街道)")] = ""
    community: Annotated[str, Meta(max_length=100, description="Residential community (小区)")] = ""
    building: Annotated[str, Meta(max_length=100, description="Building or shed")] = ""
    kind: Annotated[
        Literal["outdoor", "shed", "ground_floor", "garage", "other"],
        Meta(description="outdoor: free-standing; shed: own roof; ground_floor: open ground floor; garage; other"),
    ] = "other"
    operator: Annotated[str, Meta(max_length=100, description="Who runs the cabinet and answers for it")] = ""


class Ledger(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The ledger of problems (台账): deadlines, and texts that stand until somebody writes others."""

    serious_days: Annotated[
        int, Meta(ge=1, le=365, description="Days from finding to deadline of a fault that cut and latched")
    ] = 3
    normal_days: Annotated[int, Meta(ge=1, le=365, description="The same of everything else")] = 7
    responsible: Annotated[str, Meta(max_length=200, description="Who answers for a new entry")] = ""
    contingency: Annotated[str, Meta(max_length=200, description="Contingency plan (应急预案) of a new entry")] = ""
