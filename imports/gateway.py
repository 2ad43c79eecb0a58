"""The one door to Marketing Cloud: `connect(account)`.

It gives the wall what the wall may not know: where tokens are kept, how many
calls an account may have at a time, which addresses are allowed. Tests replace
`connect` and nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db.models.functions import Now

from imports import metrics
from imports.fields import LostKeyError, Secret
from imports.marketingcloud.client import MarketingCloudClient
from imports.marketingcloud.errors import (
    AuthenticationError,
    MarketingCloudError,
    UnavailableError,
)
from imports.marketingcloud.records import (
    Limits,
    OAuthCredentials,
    Token,
    UsernameCredentials,
)
from imports.marketingcloud.sockets import check_peer
from imports.models import (
    Account,
    AccountToken,
    Lease,
    database_now,
    new_holder,
    release_connection,
    validate_endpoint,
)

TOKEN_MARGIN = timedelta(seconds=60)
TOKEN_PAUSE_SECONDS = 60
# Who waits looks often at first, then more rarely: many may be waiting.
POLL_SECONDS, SLOWEST_POLL_SECONDS = 0.05, 0.5
# A start may use both slots, a read only the second: no start waits for reads.
START_SLOTS = (1, 2)
READ_SLOTS = (2,)


class NotAskedError(UnavailableError):
    """We held the call back ourselves, which says nothing about the account."""


class LostSecretError(NotAskedError):
    """No key of this process opens the account's stored secret."""


def connect(account: Account) -> MarketingCloudClient:
    """A client for `account`, to be used by one thread.

    Names are checked here, each time, and where they led by the client, before it
    sends anything. With MCDASH_PROXY_URL only names are checked: the proxy looks
    them up, and is itself where the operator has put it. Raises `UnavailableError`
    where the account's addresses are not allowed or its secret cannot be read:
    nothing is sent then.
    """
    try:
        for url in account.endpoints().values():
            validate_endpoint(url)
        credentials = _credentials(account)
    except ValidationError as error:
        raise UnavailableError(" ".join(error.messages)) from error
    except LostKeyError as error:
        raise LostSecretError(f"{error} Nothing was sent.") from error
    return MarketingCloudClient(
        soap_url=account.service_address,
        credentials=credentials,
        tokens=DatabaseTokenStore(account),
        limits=_limits(),
        refused_properties=account.refused_properties,
        takes_in=account.takes_in,
        proxy=settings.MCDASH_PROXY_URL,
        check_peer=partial(check_peer, allow_loopback=settings.MCDASH_ALLOW_LOOPBACK),
        gate=lambda: call_slot(account, READ_SLOTS),
        observe=metrics.count_call,
    )


def _credentials(account: Account) -> OAuthCredentials | UsernameCredentials:
    secret, mid = account.secret.reveal(), account.mid or None
    if not account.is_oauth:
        return UsernameCredentials(username=account.username, password=secret, mid=mid)
    return OAuthCredentials(
        auth_url=account.token_address,
        client_id=account.client_id,
        client_secret=secret,
        mid=mid,
    )


def _limits() -> Limits:
    return Limits(
        connect_timeout_seconds=settings.MCDASH_CONNECT_TIMEOUT_SECONDS,
        read_timeout_seconds=settings.MCDASH_READ_TIMEOUT_SECONDS,
        call_deadline_seconds=settings.MCDASH_CALL_DEADLINE_SECONDS,
        max_answer_bytes=settings.MCDASH_MAX_ANSWER_MB * 1024 * 1024,
    )


@contextmanager
def start_slot(account: Account) -> Iterator[None]:
    """Hold one of the account's call slots for a start."""
    with call_slot(account, START_SLOTS):
        yield


@contextmanager
def call_slot(account: Account, slots: tuple[int, ...]) -> Iterator[None]:
    """Hold one of `slots`, so that an account has two calls at a time at most.

    Raises `NotAskedError` where none is free within the call deadline.
    """
    holder = new_holder()
    names = [f"call:{account.pk}:{slot}" for slot in slots]
    seconds = 2 * settings.MCDASH_CALL_DEADLINE_SECONDS + 30
    name = _first_free(names, holder, seconds)
    release_connection()
    try:
        yield
    finally:
        Lease.objects.release(name, holder=holder)


def _first_free(names: list[str], holder: str, seconds: float) -> str:
    for _ in _tries():
        held = Lease.objects.held(names)
        for name in names:
            if name not in held and Lease.objects.acquire(
                name, holder=holder, seconds=seconds
            ):
                return name
    raise NotAskedError("The account is busy with other calls; nothing was sent.")


def _tries() -> Iterator[None]:
    """One try after the other until the call deadline, with pauses in between."""
    give_up = time.monotonic() + settings.MCDASH_CALL_DEADLINE_SECONDS
    pause = POLL_SECONDS
    yield
    while time.monotonic() < give_up:
        release_connection()
        time.sleep(pause)
        pause = min(1.2 * pause, SLOWEST_POLL_SECONDS)
        yield


def forget_token(account: Account) -> None:
    """Ask for a new token with the next call, even where one just failed."""
    AccountToken.objects.filter(account=account).delete()
    Lease.objects.filter(name=_pause_name(account)).delete()


def _pause_name(account: Account) -> str:
    return f"token-pause:{account.pk}"


@dataclass(frozen=True, slots=True)
class DatabaseTokenStore:
    """The account's token in the database: one for all processes, asked for by one
    of them at a time.
    """

    account: Account
    holder: str = field(default_factory=new_holder)

    def current(self) -> Token | None:
        """The stored token, unless it is about to expire."""
        tokens = AccountToken.objects.annotate(now=Now())
        row = tokens.filter(account=self.account).first()
        if row is None:
            return None
        left = row.expires_at - row.now
        if left <= TOKEN_MARGIN:
            return None
        try:
            value = row.token.reveal()
        except LostKeyError:
            return None  # a new one is fetched, under a key that is there
        return Token(value=value, expires_in_seconds=left.total_seconds())

    def renew(self, fetch: Callable[[], Token], *, refused: str | None = None) -> Token:
        """A token other than `refused`: one that another process just got, or new.

        Raises `NotAskedError` while another process asks, or just failed.
        """
        name = f"token:{self.account.pk}"
        seconds = settings.MCDASH_CALL_DEADLINE_SECONDS + 30
        for _ in _tries():
            if not Lease.objects.held([name]) and Lease.objects.acquire(
                name, holder=self.holder, seconds=seconds
            ):
                try:
                    return self._usable(refused) or self._store(self._fetched(fetch))
                finally:
                    Lease.objects.release(name, holder=self.holder)
        raise NotAskedError("Another process is still asking for a token.")

    def _fetched(self, fetch: Callable[[], Token]) -> Token:
        """A new token. After a failure none is asked for within a minute; refused
        credentials need no pause, nothing is asked with them at all.
        """
        pause = _pause_name(self.account)
        if Lease.objects.held([pause]):
            raise NotAskedError(
                "Marketing Cloud gave no access token just now; it is asked again "
                "after a minute. Nothing was sent."
            )
        release_connection()
        try:
            return fetch()
        except AuthenticationError:
            raise
        except MarketingCloudError:
            Lease.objects.acquire(pause, holder="pause", seconds=TOKEN_PAUSE_SECONDS)
            raise

    def _usable(self, refused: str | None) -> Token | None:
        token = self.current()
        return token if token and token.value != refused else None

    def _store(self, token: Token) -> Token:
        until = database_now() + timedelta(seconds=token.expires_in_seconds)
        AccountToken.objects.update_or_create(
            account=self.account,
            defaults={"token": Secret.hide(token.value), "expires_at": until},
        )
        return token
