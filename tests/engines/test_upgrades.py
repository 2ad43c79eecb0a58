"""A release replaces another while both are at work."""

from __future__ import annotations

import signal

import pytest

from tests.at_most_once.crashing import judge
from tests.engines.fleet import Fleet
from tests.engines.worker import NEXT_MIGRATION

pytestmark = pytest.mark.services


def test_old_and_new_workers_share_a_database_that_is_migrated_under_them(
    fleet: Fleet,
) -> None:
    old = fleet.hire()
    fleet.top_up(6)
    fleet.change(NEXT_MIGRATION)
    fleet.hire(newer=True)
    fleet.top_up(12)
    fleet.wait_for_rest()
    old.process.send_signal(signal.SIGTERM)
    assert old.wait() == 0
    fleet.top_up(6)
    fleet.wait_for_rest()
    ended = judge(fleet.ended(), fleet.performed())
    assert ended["completed"] >= 12
    assert "Traceback" not in old.said
