"""Two sides of the same contract: the fake, and client + sandbox over real HTTP.

Both know the definitions of KEYS; time passes only when a test lets it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from imports.marketingcloud.client import MarketingCloudClient
from imports.marketingcloud.records import (
    ConnectionReport,
    DefinitionList,
    ImportResults,
    OAuthCredentials,
    StartedImport,
    Token,
    UsernameCredentials,
)
from imports.sandbox.nordlicht import API_USER, DE
from imports.sandbox.server import SandboxServer
from imports.sandbox.world import World
from tests.fakes import FAILS, WITH_ERRORS, FakeMarketingCloud

ROOT = Path(__file__).resolve().parents[2]
WSDL = ROOT / "imports" / "marketingcloud" / "marketingcloud.wsdl"
NOON = datetime(2026, 3, 18, 12, 0, tzinfo=UTC)
PACE_SECONDS = 12.0

COMPLETES = "customers-daily"
ENDS_WITH_ERRORS = "customer-consents-daily"
ENDS_FAILED = "price-list-full"
IS_REFUSED = "outlet-stock-nightly"
KEYS = (COMPLETES, ENDS_WITH_ERRORS, ENDS_FAILED, IS_REFUSED)


class MarketingCloud(Protocol):
    """The verbs that a use case knows."""

    def authenticate(self) -> None: ...

    def list_definitions(self) -> DefinitionList: ...

    def find_definitions(
        self, wanted: list[tuple[str | None, str]]
    ) -> DefinitionList: ...

    def start_definition(
        self,
        *,
        customer_key: str,
        object_id: str | None = None,
        send_before: float | None = None,
    ) -> StartedImport: ...

    def results_of_tasks(self, task_ids: list[str]) -> ImportResults: ...

    def results_of_definitions(self, customer_keys: list[str]) -> ImportResults: ...

    def all_results(self) -> ImportResults: ...

    def check_connection(self) -> ConnectionReport: ...


@dataclass(frozen=True, kw_only=True)
class Side:
    """One side: a client, one with wrong credentials, and the passing of time.

    `wait` lets one step pass: the row appears (New), then Processing, IOWork, the
    end. `performed` are the customer keys of all Performs that were carried out.
    """

    client: MarketingCloud
    stranger: MarketingCloud
    wait: Callable[[], None]
    performed: Callable[[], list[str]]
    refuse_in: Callable[[], None]
    refuse_property: Callable[[str], None]
    unlist: Callable[[str], None]

    def finish(self) -> None:
        """Let every task end."""
        for _ in range(4):
            self.wait()


class MemoryTokens:
    """A token store for one client."""

    def __init__(self) -> None:
        self.token: Token | None = None

    def current(self) -> Token | None:
        return self.token

    def renew(self, fetch: Callable[[], Token], *, refused: str | None = None) -> Token:
        del refused
        self.token = fetch()
        return self.token


@contextmanager
def fake_side() -> Iterator[Side]:
    """The fake that the tests of the use cases run on."""
    cloud = _fake()
    stranger = _fake()
    stranger.knows_credentials = False
    yield Side(
        client=cloud,
        stranger=stranger,
        wait=cloud.advance,
        performed=lambda: cloud.performed + stranger.performed,
        refuse_in=lambda: setattr(cloud, "takes_in", False),
        refuse_property=cloud.refuses.append,
        unlist=cloud.unlisted.add,
    )


def _fake() -> FakeMarketingCloud:
    cloud = FakeMarketingCloud()
    endings = {ENDS_WITH_ERRORS: WITH_ERRORS, ENDS_FAILED: FAILS}
    for key in KEYS:
        cloud.add_definition(key, ending=endings.get(key), MaxFileAge="0")
    cloud.refused_starts[IS_REFUSED] = "The file location is no longer active."
    return cloud


class Turned:
    """The sandbox's clock, which stands still until it is turned."""

    def __init__(self) -> None:
        self.now = NOON
        self.steps = iter((0.08, 0.2, 0.4, 0.4))

    def __call__(self) -> datetime:
        return self.now

    def turn(self) -> None:
        share = next(self.steps)
        self.now += timedelta(seconds=share * PACE_SECONDS)


@contextmanager
def sandbox_side(*, username_token: bool = False) -> Iterator[Side]:
    """MarketingCloudClient, talking to the sandbox."""
    clock = Turned()
    world = World(clock=clock, pace_seconds=PACE_SECONDS, history_days=0)
    with SandboxServer(WSDL, world=world) as server:
        client, stranger = (
            _client(server, secret, username_token) for secret in ("", "a wrong secret")
        )
        yield Side(
            client=client,
            stranger=stranger,
            wait=clock.turn,
            performed=lambda: [line["customer_key"] for line in world.performed()],
            refuse_in=lambda: _misbehave(server, what="in_refused"),
            refuse_property=lambda name: _misbehave(
                server, what="property_refused", property=name.partition(":")[2]
            ),
            unlist=lambda key: _misbehave(server, what="not_listed", key=key),
        )
        client.close()
        stranger.close()


def _misbehave(server: SandboxServer, **rule: str) -> None:
    server.misbehave(**rule)


def _client(
    server: SandboxServer, secret: str, username_token: bool
) -> MarketingCloudClient:
    return MarketingCloudClient(
        soap_url=server.soap_url,
        credentials=_user(secret) if username_token else _oauth(server, secret),
        tokens=MemoryTokens(),
    )


def _oauth(server: SandboxServer, secret: str) -> OAuthCredentials:
    return OAuthCredentials(
        auth_url=server.url,
        client_id=DE.client_id,
        client_secret=secret or DE.client_secret,
        mid=str(DE.mid),
    )


def _user(secret: str) -> UsernameCredentials:
    return UsernameCredentials(
        username=API_USER.username,
        password=secret or API_USER.password,
        mid=str(DE.mid),
    )
