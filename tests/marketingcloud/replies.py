"""Answers that several tests play, and what they look for in requests."""

from __future__ import annotations

import re

from tests.marketingcloud.playing import Play, Received, answer
from tests.marketingcloud.wording import retrieved


def soap_fault(body: str) -> Play:
    """A fault as it comes over HTTP."""
    return answer(body, status=500)


def no_property(*names: str) -> Play:
    """The refusal of properties that cannot be retrieved."""
    listed = ", ".join(names)
    words = f"Error: The Request Property(s) {listed} do not match with the fields"
    return answer(retrieved(status=words))


def texts(request: Received, name: str) -> list[str]:
    """The texts of all elements of our namespace with that name in a request."""
    return re.findall(rf"<ns0:{name}>([^<]*)</ns0:{name}>", request.body)
