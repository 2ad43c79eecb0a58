"""A worker process on this process's data, with nothing to do but what is measured."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.here import PRODUCT, settings_given
from tests.e2e.site import Part, Site, wait_until


@contextmanager
def worker(folder: Path) -> Iterator[Part]:
    """A worker, once it was heard of."""
    with Site(folder=folder, root=PRODUCT, extra=settings_given()) as site:
        part = site.start("run_worker")
        wait_until(lambda: _is_heard(part), "the worker's heartbeat", seconds=60)
        time.sleep(1)
        yield part


def _is_heard(part: Part) -> bool:
    from imports.models import Worker

    if part.process.poll() is not None:
        raise RuntimeError(part.said)
    return Worker.objects.exists()
