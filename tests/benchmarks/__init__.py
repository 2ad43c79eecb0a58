"""What mcdash costs, measured: `python -m tests.benchmarks [--quick] [--json]`."""

from __future__ import annotations
