"""``python -m hil_rig.contract``: writes docs/asyncapi.yaml, docs/upstream.md and docs/mosquitto-acl.conf.

With ``--against FILE`` it holds the document against the JSON schema of AsyncAPI 3.0.0 instead (schemas/3.0.0.json of
the npm package @asyncapi/specs: ``npm pack @asyncapi/specs@6.11.1``).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import yaml
from jsonschema.validators import validator_for

from hil_rig.contract.access import access_list
from hil_rig.contract.document import text
from hil_rig.contract.page import page

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DOCS: Final = Path(__file__).parents[2] / "docs"
FILES: Final[Mapping[str, Callable[[], str]]] = {
    "asyncapi.yaml": text,
    "upstream.md": page,
    "mosquitto-acl.conf": access_list,
}


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m hil_rig.contract", description=main.__doc__)
    parser.add_argument("--against", type=Path, metavar="FILE", help="the JSON schema of AsyncAPI 3.0.0")
    against: Path | None = parser.parse_args().against
    if against is not None:
        return _judge(against)
    for name, make in FILES.items():
        (DOCS / name).write_text(make(), encoding="utf-8")
        print(DOCS / name)
    return 0


def _judge(against: Path) -> int:
    schema = json.loads(against.read_text(encoding="utf-8"))
    judge = validator_for(schema)(schema)
    wrong = list(judge.iter_errors(yaml.safe_load((DOCS / "asyncapi.yaml").read_text(encoding="utf-8"))))
    for error in wrong:
        print(f"{'.'.join(str(part) for part in error.absolute_path)}: {error.message[:300]}")
    print("asyncapi.yaml is not AsyncAPI 3.0.0" if wrong else "asyncapi.yaml is AsyncAPI 3.0.0")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
