"""Lists are tested on their pages, in which static files are named."""

from __future__ import annotations

from tests.views.conftest import static_root

__all__ = ["static_root"]
