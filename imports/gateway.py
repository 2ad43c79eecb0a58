"""The one way to Marketing Cloud: `connect(account)`.

It gives `marketingcloud` what that may not know: where tokens are kept, how many
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

from imports import metrics, models
from imports.fields import LostKeyError, Secret
from imports.marketingcloud import errors, records
from imports.marketingcloud.client import MarketingCloudClient
from imports.marketingcloud.records import Token
from imports.marketingcloud.sockets import check_peer
from imports.models import Account, AccountToken, Lease, Reason, release_connection

TOKEN_MARGIN = timedelta(seconds=60)
TOKEN_PAUSE_SECONDS = 60
# Who waits looks often at first, then more rarely: many may be waiting.
POLL_SECONDS, SLOWEST_POLL_SECONDS = 0.05, 0.5
# A start may use both slots, a read only the second: no start waits for reads.
START_SLOTS = (1, 2)
READ_SLOTS = (2,)


class NotAskedError(errors.UnavailableError):
    """We held the call back ourselves, which says nothing about the account."""

    reason = Reason.ACCOUNT_BUSY


class LostSecretError(NotAskedError):
    """No key of this process opens the account's stored secret."""

    reason = Reason.SECRET_UNREADABLE


def connect(account: Account) -> MarketingCloudClient:
    """A client for `account`, to be used by one thread.

    Names are checked here, each time, and where they led by the client, before it
    sends anything. With MCDASH_PROXY_URL only names are checked: the proxy looks them
    up. Raises `UnavailableError` where addresses or the secret are unusable.
    """
    try:
        for url in account.endpoints().values():
            models.validate_endpoint(url)
        credentials = _credentials(account)
    except ValidationError as error:
        raise errors.UnavailableError(
            " ".join(error.messages), reason=Reason.ADDRESS_REFUSED
        ) from error
    except LostKeyError as error:
        raise LostSecretError(f"{error} Nothing was sent.") from error
    return MarketingCloudClient(
        soap_url=account.service_address,
        credentials=credentials,
        tokens=DatabaseTokenStore(account),
        limits=records.Limits(
            connect_timeout_seconds=settings.MCDASH_CONNECT_TIMEOUT_SECONDS,
            read_timeout_seconds=settings.MCDASH_READ_TIMEOUT_SECONDS,
            call_deadline_seconds=settings.MCDASH_CALL_DEADLINE_SECONDS,
            max_answer_bytes=settings.MCDASH_MAX_ANSWER_MB * 1024 * 1024,
        ),
        refused_properties=account.refused_properties,
        takes_in=account.takes_in,
        proxy=settings.MCDASH_PROXY_URL,
        check_peer=partial(check_peer, allow_loopback=settings.MCDASH_ALLOW_LOOPBACK),
        gate=lambda: call_slot(account, READ_SLOTS),
        on_request=metrics.count_call,
    )


def _credentials(
    account: Account,
) -> records.OAuthCredentials | records.UsernameCredentials:
    secret, mid = account.secret.reveal(), account.mid or None
    if not account.is_oauth:
        user = account.username
        return records.UsernameCredentials(username=user, password=secret, mid=mid)
    return records.OAuthCredentials(
        auth_url=account.token_address,
        client_id=account.client_id,
        client_secret=secret,
        mid=mid,
    )


@contextmanager
def call_slot(account: Account, slots: tuple[int, ...]) -> Iterator[None]:
    """Hold one of `slots`, so that an account has two calls at a time at most.

    Raises `NotAskedError` where none is free within the call deadline.
    """
    names = [f"call:{account.pk}:{slot}" for slot in slots]
    with _held_once_free(names, models.new_holder(), models.lease_seconds()) as name:
        if name is None:
            raise NotAskedError(
                "The account is busy with other calls. Nothing was sent."
            )
        release_connection()
        yield


@contextmanager
def _held_once_free(
    names: list[str], holder: str, seconds: float
) -> Iterator[str | None]:
    """As `held`, but waits until one is free; None after the call deadline."""
    give_up = time.monotonic() + settings.MCDASH_CALL_DEADLINE_SECONDS
    pause = POLL_SECONDS
    while True:
        # looking locks nothing, trying does: many may be waiting
        taken = Lease.objects.held(names)
        free = (name for name in names if name not in taken)
        with models.held(*free, holder=holder, seconds=seconds) as name:
            if name is not None or time.monotonic() >= give_up:
                yield name
                return
        # PostgreSQL has few connections: none is kept while waiting
        release_connection()
        time.sleep(pause)
        pause = min(1.2 * pause, SLOWEST_POLL_SECONDS)


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
    holder: str = field(default_factory=models.new_holder)

    def current(self) -> Token | None:
        """The stored token, unless it is about to expire."""
        tokens = AccountToken.objects.annotate(now=Now())
        row = tokens.filter(account=self.account).first()
        left = row.expires_at - row.now if row else TOKEN_MARGIN
        if row is None or left <= TOKEN_MARGIN:
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
        seconds = settings.MCDASH_CALL_DEADLINE_SECONDS + 30
        name, pause = f"token:{self.account.pk}", _pause_name(self.account)
        with _held_once_free([name], self.holder, seconds) as lease:
            if lease is None:
                raise NotAskedError(
                    "Another process is still requesting an access token.",
                    reason=Reason.NO_TOKEN,
                )
            # perhaps another process just stored one, while this one waited
            token = self.current()
            if token and token.value != refused:
                return token
            if Lease.objects.held([pause]):
                raise NotAskedError(
                    "Marketing Cloud gave no access token just now. mcdash tries again "
                    "after a minute. Nothing was sent.",
                    reason=Reason.NO_TOKEN,
                )
            # PostgreSQL has few connections: none is kept while an answer is awaited
            release_connection()
            try:
                token = fetch()
            except errors.AuthenticationError:
                raise  # it needs no pause: nothing is asked with refused credentials
            except errors.MarketingCloudError:
                seconds = TOKEN_PAUSE_SECONDS
                Lease.objects.acquire(pause, holder="pause", seconds=seconds)
                raise
            lasts = timedelta(seconds=token.expires_in_seconds)
            expires_at = models.database_now() + lasts
            fields = {"token": Secret.hide(token.value), "expires_at": expires_at}
            AccountToken.objects.update_or_create(account=self.account, defaults=fields)
            return token
