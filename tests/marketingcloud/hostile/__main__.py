"""`python -m tests.marketingcloud.hostile` prints this package's tables as a page."""

from __future__ import annotations

import sys

from tests.marketingcloud.hostile.drawing import drawn

sys.stdout.write(drawn())
