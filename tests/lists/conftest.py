"""Lists are tested on their pages, with the account, definition and reader of those."""

from __future__ import annotations

from tests.views.conftest import account, client, definition

__all__ = ["account", "client", "definition"]
