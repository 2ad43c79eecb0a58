"""Data, a sandbox and a worker for all layouts; for each its own gunicorn and nginx."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator

import pytest

from tests.browser.people import ADMINISTRATOR, MARKETER, NEWCOMER, VIEWER
from tests.browser.stack import NEVER_ENDS, Stack
from tests.proxy.front import NGINX, NO_NGINX, Front, standing
from tests.proxy.layouts import LAYOUTS, Layout


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    if NGINX is None:
        (pytest.fail if "CI" in os.environ else pytest.skip)(NO_NGINX)
    with Stack(folder=tmp_path_factory.mktemp("proxy") / "var") as stack:
        names = (MARKETER, VIEWER, NEWCOMER, ADMINISTRATOR)
        stack.passwords = {name: secrets.token_urlsafe(9) for name in names}
        stack.start_sandbox("--pace", "0.15", "--history-days", "3")
        stack.order(rule={"what": "rows_never", "customer_key": NEVER_ENDS})
        stack.fill()
        stack.restart_worker()
        yield stack


@pytest.fixture(scope="package", params=LAYOUTS, ids=str)
def front(
    request: pytest.FixtureRequest,
    stack: Stack,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Front]:
    layout: Layout = request.param
    with standing(stack, layout, tmp_path_factory.mktemp("front") / "run") as front:
        yield front
