"""What mcdash costs, measured: `python -m tests.bench [--quick] [--json]`."""

from __future__ import annotations
