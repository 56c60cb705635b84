"""``python -P -m pilenode.cli`` is the command ``pilenode``."""

import sys

from pilenode.cli.main import main

sys.exit(main())
