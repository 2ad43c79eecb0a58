"""Telling somebody outside how requests on the wire fared, without knowing whom."""

from __future__ import annotations

from typing import Protocol


class Observer(Protocol):
    """Is told of each request once it is over; must not raise.

    `operation` is the SOAP operation, or "token". `outcome` is one of: answered (HTTP
    200), error (another status, SOAP faults among them), refused (a redirect),
    unavailable (nothing was sent), unknown (sent, and no readable answer came).
    """

    def __call__(self, *, operation: str, outcome: str, seconds: float) -> None: ...


def unobserved(*, operation: str, outcome: str, seconds: float) -> None:
    """Nobody wants to know."""
