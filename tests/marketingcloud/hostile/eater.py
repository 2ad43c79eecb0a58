"""Meets what a server sends, in a process of its own, and tells what that took.

`python -m tests.marketingcloud.hostile.eater URL VERB` prints JSON: how it ended and
the most memory that the process ever had, in bytes.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable
from pathlib import Path

from imports.marketingcloud.client import MarketingCloudClient
from imports.marketingcloud.errors import MarketingCloudError
from imports.marketingcloud.records import Limits, OAuthCredentials, Token

STATUS = Path("/proc/self/status")
VERBS: dict[str, Callable[[MarketingCloudClient], object]] = {
    "start": lambda client: client.start_definition(customer_key="customers-daily"),
    "read": lambda client: client.list_definitions(),
    "sign in": lambda client: client.authenticate(),
}


class Tokens:
    """Has a token but for who wants to sign in."""

    def __init__(self, token: Token | None) -> None:
        self._token = token

    def current(self) -> Token | None:
        """The token, if there is one."""
        return self._token

    def renew(self, fetch: Callable[[], Token], *, refused: str | None = None) -> Token:
        """Fetches always."""
        del refused
        return fetch()


def peak_bytes() -> int:
    """The most memory that this process had resident.

    Linux counts the parent's memory into getrusage's figure where that made us by
    vfork, so the program's own figure is preferred where there is one.
    """
    if STATUS.exists():
        [line] = [x for x in STATUS.read_text().splitlines() if x.startswith("VmHWM")]
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )


def main(url: str, verb: str) -> None:
    """With the limits of the settings' defaults, and one try."""
    token = Token(value="token-one", expires_in_seconds=1000)
    client = MarketingCloudClient(
        soap_url=f"{url}/Service.asmx",
        credentials=OAuthCredentials(auth_url=url, client_id="i", client_secret="s"),
        tokens=Tokens(None if verb == "sign in" else token),
        limits=Limits(read_tries=1),
    )
    try:
        VERBS[verb](client)
        end = "read"
    except MarketingCloudError as error:
        end = f"{type(error).__name__}: {error}"
    json.dump({"end": end, "peak": peak_bytes()}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
