"""How it may end when an answer is broken or hostile."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

from imports.marketingcloud.errors import (
    AuthenticationError,
    MarketingCloudError,
    OutcomeUnknownError,
    RequestRefusedError,
    UnavailableError,
)
from imports.marketingcloud.records import Limits
from tests.marketingcloud.conftest import ROOMY
from tests.marketingcloud.playing import Play


class End(enum.Enum):
    """The kinds of ends, as the docs call them."""

    READ = "read"
    REFUSED = "refused"
    UNKNOWN = "outcome unknown"
    UNAVAILABLE = "unavailable"
    CREDENTIALS = "credentials refused"

    @property
    def error(self) -> type[MarketingCloudError] | None:
        """What is raised; None where a right record comes."""
        return _ERRORS.get(self)


_ERRORS = {
    End.REFUSED: RequestRefusedError,
    End.UNKNOWN: OutcomeUnknownError,
    End.UNAVAILABLE: UnavailableError,
    End.CREDENTIALS: AuthenticationError,
}

# Makes what a server says out of the good answer and the server's address.
Spoil = Callable[[str, str], Play]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A good answer spoilt, and how that ends when a run is started, when something is
    read and when a token is asked for (None: means nothing there). `words` are looked
    for in what the first two say.
    """

    spoil: Spoil
    starting: End
    reading: End
    signing_in: End | None
    words: str = ""
    limits: Limits = ROOMY


def unreadable(
    spoil: Spoil,
    words: str,
    *,
    signing_in: End | None = End.UNAVAILABLE,
    limits: Limits = ROOMY,
) -> Case:
    """Nobody can tell what such an answer meant."""
    return Case(
        spoil=spoil,
        starting=End.UNKNOWN,
        reading=End.UNKNOWN,
        signing_in=signing_in,
        words=words,
        limits=limits,
    )


def refusal(spoil: Spoil, words: str, *, limits: Limits = ROOMY) -> Case:
    """Such an answer proves that nothing was done."""
    return Case(
        spoil=spoil,
        starting=End.REFUSED,
        reading=End.REFUSED,
        signing_in=End.UNAVAILABLE,
        words=words,
        limits=limits,
    )


def harmless(spoil: Spoil, *, signing_in: End | None = End.READ) -> Case:
    """Such an answer is understood all the same."""
    return Case(spoil=spoil, starting=End.READ, reading=End.READ, signing_in=signing_in)
