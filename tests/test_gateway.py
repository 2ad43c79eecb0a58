"""The one door: which addresses, which secrets, how many calls, one token."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from cryptography.fernet import Fernet
from django.db import connections
from pytest_django import Settings

from imports.gateway import (
    READ_SLOTS,
    START_SLOTS,
    DatabaseTokenStore,
    NotAskedError,
    call_slot,
    connect,
)
from imports.marketingcloud.client import MarketingCloudClient
from imports.marketingcloud.errors import AuthenticationError, UnavailableError
from imports.marketingcloud.records import Token
from imports.models import Account, AccountToken, Lease, database_now
from tests.factories import AccountFactory, AccountTokenFactory, LeaseFactory
from tests.marketingcloud.listening import Ear, leading_to, listening
from tests.marketingcloud.test_peers import LOOPBACK, NEVER, PUBLIC

pytestmark = pytest.mark.django_db


@pytest.fixture
def account() -> Account:
    return AccountFactory.create()


@pytest.mark.parametrize("kind", [{}, {"username_token": True}])
def test_a_client_is_made_without_asking_anything(kind: dict[str, bool]) -> None:
    client = connect(AccountFactory.create(**kind))
    assert isinstance(client, MarketingCloudClient)
    assert not Lease.objects.exists()


@pytest.mark.parametrize("field", ["auth_url", "soap_url"])
def test_an_address_outside_the_allowed_hosts_is_never_called(
    account: Account, field: str
) -> None:
    setattr(account, field, "https://evil.example/x")
    with pytest.raises(UnavailableError, match=r"evil\.example"):
        connect(account)


Client = MarketingCloudClient
ASK: dict[str, Callable[[Client], object]] = {
    "start": lambda client: client.start_definition(customer_key="customers-daily"),
    "read": lambda client: client.results_of_tasks(["1"]),
    "check": lambda client: client.check_connection(),
    "sign in": lambda client: client.authenticate(),
}


def _refuses_to_ask(account: Account, what: str) -> None:
    with pytest.raises(UnavailableError, match="not on the public Internet"):
        ASK[what](connect(account))


@pytest.mark.parametrize("what", ["start", "read", "check"])
def test_a_vendors_name_that_leads_to_this_machine_is_told_nothing(
    account: Account, what: str, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.MCDASH_ALLOW_LOOPBACK = False
    AccountTokenFactory.create(account=account)
    monkeypatch.setattr("imports.marketingcloud.http.FIRST_WAIT_SECONDS", 0.01)
    with listening() as ear:
        monkeypatch.setattr(socket, "getaddrinfo", leading_to(("127.0.0.1", ear.port)))
        _refuses_to_ask(account, what)
    assert ear.connections >= 1
    assert ear.heard == b""


@pytest.mark.parametrize("what", ["start", "read", "sign in"])
def test_the_secret_is_not_told_to_a_token_address_that_leads_to_this_machine(
    account: Account, what: str, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.MCDASH_ALLOW_LOOPBACK = False
    with listening() as ear:
        monkeypatch.setattr(socket, "getaddrinfo", leading_to(("127.0.0.1", ear.port)))
        _refuses_to_ask(account, what)
    assert ear.connections == 1
    assert ear.heard == b""


def test_a_name_that_leads_elsewhere_when_looked_up_again_does_not_help(
    account: Account, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.MCDASH_ALLOW_LOOPBACK = False
    AccountTokenFactory.create(account=account)
    with listening() as ear:
        places = leading_to(("127.0.0.1", ear.port), (PUBLIC[0], 443))
        monkeypatch.setattr(socket, "getaddrinfo", places)
        _refuses_to_ask(account, "start")
    assert (ear.connections, ear.heard) == (1, b"")


class Disguised(socket.socket):
    """Connected to a listener of ours, and says that it is somewhere else."""

    peer = ""

    def getpeername(self) -> tuple[str, int]:
        """Where it pretends to be."""
        return self.peer, 443


def _disguised(monkeypatch: pytest.MonkeyPatch, ear: Ear, peer: str) -> None:
    def connected(*args: object, **options: object) -> socket.socket:
        sock = Disguised()
        sock.peer = peer
        sock.connect(("127.0.0.1", ear.port))
        return sock

    monkeypatch.setattr("urllib3.util.connection.create_connection", connected)


@pytest.mark.parametrize("peer", [*NEVER, *LOOPBACK])
def test_nothing_is_sent_to_a_socket_that_is_not_on_the_public_internet(
    account: Account, peer: str, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.MCDASH_ALLOW_LOOPBACK = False
    AccountTokenFactory.create(account=account)
    with listening() as ear:
        _disguised(monkeypatch, ear, peer)
        _refuses_to_ask(account, "start")
    assert (ear.connections, ear.heard) == (1, b"")


def test_a_socket_on_the_public_internet_is_spoken_to(
    account: Account, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.MCDASH_ALLOW_LOOPBACK = False
    AccountTokenFactory.create(account=account)
    with listening(b"no TLS at all") as ear:
        _disguised(monkeypatch, ear, PUBLIC[0])
        with pytest.raises(UnavailableError, match="secure connection"):
            ASK["start"](connect(account))
    assert b"soap.marketingcloudapis.com" in ear.heard  # the TLS client's hello


def test_behind_a_proxy_the_proxy_may_be_anywhere_and_hosts_are_checked_still(
    account: Account, settings: Settings
) -> None:
    settings.MCDASH_ALLOW_LOOPBACK = False
    AccountTokenFactory.create(account=account)
    with listening(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n") as ear:
        settings.MCDASH_PROXY_URL = f"http://127.0.0.1:{ear.port}"
        with pytest.raises(UnavailableError, match="the proxy did not let"):
            ASK["start"](connect(account))
        account.soap_url = "https://evil.example/Service.asmx"
        with pytest.raises(UnavailableError, match=r"evil\.example"):
            ASK["start"](connect(account))
    assert ear.connections == 1
    assert ear.heard.startswith(b"CONNECT mc")


def test_a_secret_without_its_key_is_no_reason_to_crash(settings: Settings) -> None:
    account = Account.objects.get(pk=AccountFactory.create().pk)
    settings.MCDASH_FIELD_KEYS = [Fernet.generate_key().decode()]
    with pytest.raises(UnavailableError, match="MCDASH_FIELD_KEYS"):
        connect(account)


def held() -> set[str]:
    now = database_now()
    return set(Lease.objects.filter(expires_at__gt=now).values_list("name", flat=True))


def test_an_account_has_two_starts_at_a_time(
    account: Account, settings: Settings
) -> None:
    settings.MCDASH_CALL_DEADLINE_SECONDS = 0
    with call_slot(account, START_SLOTS), call_slot(account, START_SLOTS):
        assert held() == {f"call:{account.pk}:1", f"call:{account.pk}:2"}
        with (
            pytest.raises(UnavailableError, match="busy"),
            call_slot(account, START_SLOTS),
        ):
            pytest.fail("A third call at a time.")
    assert held() == set()


def test_reads_leave_a_place_for_a_start(account: Account, settings: Settings) -> None:
    settings.MCDASH_CALL_DEADLINE_SECONDS = 0
    with call_slot(account, READ_SLOTS):
        with pytest.raises(UnavailableError), call_slot(account, READ_SLOTS):
            pytest.fail("A second read at a time.")
        with call_slot(account, START_SLOTS):
            assert len(held()) == 2
    assert set(READ_SLOTS) < set(START_SLOTS)


def test_accounts_do_not_share_slots(account: Account) -> None:
    with (
        call_slot(account, START_SLOTS),
        call_slot(account, START_SLOTS),
        call_slot(AccountFactory.create(), START_SLOTS),
    ):
        assert len(held()) == 3


def test_a_slot_is_given_back_whatever_happens(account: Account) -> None:
    with pytest.raises(ZeroDivisionError), call_slot(account, START_SLOTS):
        raise ZeroDivisionError
    assert held() == set()


def test_the_slot_of_a_worker_that_died_is_free_after_its_lease(
    account: Account,
) -> None:
    over = database_now() - timedelta(seconds=1)
    for slot in START_SLOTS:
        LeaseFactory.create(name=f"call:{account.pk}:{slot}", expires_at=over)
    with call_slot(account, START_SLOTS):
        assert len(held()) == 1


def new_token(value: str = "fresh", seconds: float = 1079) -> Token:
    return Token(value=value, expires_in_seconds=seconds)


def must_not_fetch() -> Token:
    raise AssertionError("A token was asked for.")


def test_a_fetched_token_is_kept_for_all(account: Account) -> None:
    assert DatabaseTokenStore(account).current() is None
    assert DatabaseTokenStore(account).renew(new_token).value == "fresh"
    kept = DatabaseTokenStore(account).current()
    assert kept is not None
    assert kept.value == "fresh"
    assert 1000 < kept.expires_in_seconds <= 1079
    assert "fresh" not in AccountToken.objects.get().token.ciphertext


@pytest.mark.parametrize(("left", "is_used"), [(61, True), (59, False), (-5, False)])
def test_a_token_is_used_until_shortly_before_it_expires(
    account: Account, left: int, is_used: bool
) -> None:
    AccountTokenFactory.create(
        account=account, expires_at=database_now() + timedelta(seconds=left)
    )
    assert (DatabaseTokenStore(account).current() is not None) is is_used


def test_a_token_that_another_process_got_meanwhile_is_used(account: Account) -> None:
    AccountTokenFactory.create(account=account, token="theirs")
    store = DatabaseTokenStore(account)
    assert store.renew(must_not_fetch, refused="an older one").value == "theirs"


def test_a_refused_token_is_replaced(account: Account) -> None:
    AccountTokenFactory.create(account=account, token="refused")
    store = DatabaseTokenStore(account)
    assert store.renew(new_token, refused="refused").value == "fresh"
    assert AccountToken.objects.get().token.reveal() == "fresh"


def test_a_token_under_a_lost_key_is_fetched_anew(
    account: Account, settings: Settings
) -> None:
    AccountTokenFactory.create(account=account)
    settings.MCDASH_FIELD_KEYS = [Fernet.generate_key().decode()]
    store = DatabaseTokenStore(account)
    assert store.current() is None
    assert store.renew(new_token).value == "fresh"


def test_a_failed_fetch_keeps_nothing_and_lets_others_try(account: Account) -> None:
    def fails() -> Token:
        raise AuthenticationError("No.")

    with pytest.raises(AuthenticationError):
        DatabaseTokenStore(account).renew(fails)
    assert held() == set()
    assert DatabaseTokenStore(account).renew(new_token).value == "fresh"


def test_after_a_failure_no_token_is_asked_for_within_a_minute(
    account: Account,
) -> None:
    def fails() -> Token:
        raise UnavailableError("No.")

    with pytest.raises(UnavailableError, match="No"):
        DatabaseTokenStore(account).renew(fails)
    with pytest.raises(NotAskedError, match="after a minute"):
        DatabaseTokenStore(account).renew(must_not_fetch)
    Lease.objects.update(expires_at=database_now() - timedelta(seconds=1))
    assert DatabaseTokenStore(account).renew(new_token).value == "fresh"


def test_a_token_that_another_process_got_is_used_during_the_pause(
    account: Account,
) -> None:
    def fails() -> Token:
        AccountTokenFactory.create(account=account, token="theirs")
        raise UnavailableError("No.")

    with pytest.raises(UnavailableError):
        DatabaseTokenStore(account).renew(fails)
    assert DatabaseTokenStore(account).renew(must_not_fetch).value == "theirs"


def test_who_waits_too_long_for_anothers_token_gives_up(
    account: Account, settings: Settings
) -> None:
    LeaseFactory.create(name=f"token:{account.pk}")
    settings.MCDASH_CALL_DEADLINE_SECONDS = 0.2
    with pytest.raises(UnavailableError, match="Another process"):
        DatabaseTokenStore(account).renew(must_not_fetch)


@pytest.mark.django_db(transaction=True)
def test_of_many_threads_one_asks_for_the_token() -> None:
    account, fetched, ready = AccountFactory.create(), list[str](), threading.Barrier(6)

    def fetch() -> Token:
        fetched.append("once")
        return new_token()

    def work() -> str:
        ready.wait()
        try:
            return DatabaseTokenStore(account).renew(fetch).value
        finally:
            connections.close_all()

    with ThreadPoolExecutor(max_workers=6) as pool:
        got = [done.result() for done in [pool.submit(work) for _ in range(6)]]
    assert (fetched, got) == (["once"], ["fresh"] * 6)
