"""Who may say and hear what: the access list of a mosquitto, made from the topics of the contract.

A cabinet's name is its user name (with certificates: their common name). A role begins with "_", which no name of a
cabinet can, so that no cabinet is ever taken for the backend.
"""

from __future__ import annotations

from typing import Final

from pilenode.upstream.channels import CHANNELS, DOWN, UP

BACKEND: Final = "_backend"

_HEAD: Final = """# Made by `python -m hil_rig.contract` from pilenode/upstream/channels.py; do not edit.
#
# For mosquitto: acl_file. It needs allow_anonymous false, use_username_as_clientid true and, with certificates,
# require_certificate true and use_identity_as_username true. %u is the user name: the cabinet's node.id.
#
# mosquitto grants a subscription to anything and withholds the messages; so try an access list by what is delivered.
"""


def access_list() -> str:
    """Return the access list."""
    nodes = [
        *(f"pattern write {one.topic('%u')}" for one in CHANNELS if one.way == UP),
        *(f"pattern read {one.topic('%u')}" for one in CHANNELS if one.way == DOWN),
    ]
    backend = [
        f"user {BACKEND}",
        *(f"topic read {one.topic('+')}" for one in CHANNELS if one.way == UP),
        *(f"topic write {one.topic('+')}" for one in CHANNELS if one.way == DOWN),
    ]
    return "\n".join([_HEAD, "# Every cabinet, below its own name only.", *nodes, "", "# The backend.", *backend, ""])
