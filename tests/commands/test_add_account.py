"""`add_account`: what it saves, what it refuses, and that the secret stays secret."""

from __future__ import annotations

import getpass
import sys

import pytest
from pytest_django import Settings

from imports.management.commands import add_account
from imports.models import Account, AuditEntry, AuthKind, Revision
from tests.commands.running import Ran, run
from tests.factories import AccountFactory

pytestmark = pytest.mark.django_db

SECRET = "s3cret-of-nordlicht"
TENANT = ("--subdomain", "mc563885gzs27c5t9-63k636ttgm")
AUTH, SOAP = "http://127.0.0.1:8801", "http://127.0.0.1:8801/Service.asmx"
URLS = ("--auth-url", AUTH, "--soap-url", SOAP)
CLIENT = ("--client-id", "nordlicht-de")
USER = ("--username", "nordlicht-api")


@pytest.fixture(autouse=True)
def no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a secret in the environment nor anybody to ask."""
    monkeypatch.delenv("MCDASH_CLIENT_SECRET", raising=False)
    monkeypatch.delenv("MCDASH_PASSWORD", raising=False)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCDASH_CLIENT_SECRET", SECRET)
    monkeypatch.setenv("MCDASH_PASSWORD", SECRET)


def refused(code: int, *arguments: str) -> Ran:
    """The command ends with `code`, says why on stderr only, and saves nothing."""
    before = Account.objects.count()
    ran = run("add_account", *arguments)
    assert (ran.code, ran.out) == (code, "")
    assert ran.err.strip()
    assert SECRET not in ran.err
    assert "Traceback" not in ran.err
    assert Account.objects.count() == before
    return ran


# --- what is saved -----------------------------------------------------------------


def test_a_tenant_with_a_client_is_added(secrets: None) -> None:
    ran = run("add_account", " Nordlicht DE ", *TENANT, *CLIENT, "--mid", "510001")
    assert (ran.code, ran.err) == (0, "")
    assert "“Nordlicht DE” was added" in ran.out
    account = Account.objects.get()
    assert (account.name, account.mid) == ("Nordlicht DE", "510001")
    assert (account.auth_kind, account.client_id) == (AuthKind.OAUTH, "nordlicht-de")
    assert account.token_address == f"https://{TENANT[1]}.auth.marketingcloudapis.com"
    assert account.service_address.endswith(".soap.marketingcloudapis.com/Service.asmx")
    assert account.secret.reveal() == SECRET


def test_addresses_with_a_client_are_added_without_the_last_slash(
    secrets: None,
) -> None:
    urls = ("--auth-url", f"{AUTH}/", "--soap-url", SOAP)
    assert run("add_account", "Nordlicht DE", *urls, *CLIENT).code == 0
    account = Account.objects.get()
    assert (account.auth_url, account.soap_url) == (AUTH, SOAP)
    assert (account.subdomain, account.mid) == ("", "")


@pytest.mark.parametrize("where", [TENANT, ("--soap-url", SOAP), URLS])
def test_an_api_user_needs_no_authentication_address(
    secrets: None, where: tuple[str, ...]
) -> None:
    assert run("add_account", "Nordlicht DE", *where, *USER).code == 0
    account = Account.objects.get()
    assert account.auth_kind == AuthKind.USERNAME_TOKEN
    assert (account.username, account.client_id) == ("nordlicht-api", "")
    assert account.secret.reveal() == SECRET


def test_the_pages_are_told_of_a_new_account(secrets: None) -> None:
    run("add_account", "Nordlicht DE", *TENANT, *CLIENT)
    assert Account.objects.get().revision == Revision.objects.get().number > 0


def test_who_added_it_is_in_the_audit(secrets: None) -> None:
    run("add_account", "Nordlicht DE", *TENANT, *CLIENT)
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor_name) == ("account_added", getpass.getuser())
    assert (entry.account, entry.ip) == (Account.objects.get(), None)


def test_when_two_add_the_same_name_the_second_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def meanwhile(_: object) -> str:
        """The other one is added while this one is asked for the secret."""
        Account.objects.create(name="Nordlicht DE", client_id="c", secret="first")
        return SECRET

    monkeypatch.setattr(add_account, "_secret", meanwhile)
    ran = run("add_account", "Nordlicht DE", *TENANT, *CLIENT)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        "An account named “Nordlicht DE” already exists. Nothing was saved.\n"
    )
    assert Account.objects.get().secret.reveal() == "first"
    assert not AuditEntry.objects.exists()


def test_json_names_the_account_and_not_its_secret(secrets: None) -> None:
    ran = run("add_account", "Nordlicht DE", *TENANT, *CLIENT, "--json")
    account = Account.objects.get()
    assert ran.document == {"id": account.pk, "name": "Nordlicht DE"}
    assert SECRET not in ran.out + ran.err


# --- where the secret comes from ---------------------------------------------------


@pytest.mark.parametrize(
    ("who", "variable"),
    [(CLIENT, "MCDASH_CLIENT_SECRET"), (USER, "MCDASH_PASSWORD")],
)
def test_each_kind_of_sign_in_has_a_variable_of_its_own(
    monkeypatch: pytest.MonkeyPatch, who: tuple[str, ...], variable: str
) -> None:
    monkeypatch.setenv("MCDASH_CLIENT_SECRET", "of the client")
    monkeypatch.setenv("MCDASH_PASSWORD", "of the user")
    monkeypatch.setenv(variable, SECRET)
    run("add_account", "Nordlicht DE", *TENANT, *who)
    assert Account.objects.get().secret.reveal() == SECRET


@pytest.mark.parametrize(
    ("who", "prompt"), [(CLIENT, "Client secret: "), (USER, "Password: ")]
)
def test_a_person_at_a_terminal_is_asked_without_echo(
    monkeypatch: pytest.MonkeyPatch, who: tuple[str, ...], prompt: str
) -> None:
    asked = []

    def answer(words: str) -> str:
        asked.append(words)
        return SECRET

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(getpass, "getpass", answer)
    ran = run("add_account", "Nordlicht DE", *TENANT, *who)
    assert asked == [prompt]
    assert Account.objects.get().secret.reveal() == SECRET
    assert SECRET not in ran.out + ran.err


@pytest.mark.parametrize(
    ("who", "variable"),
    [(CLIENT, "MCDASH_CLIENT_SECRET"), (USER, "MCDASH_PASSWORD")],
)
def test_without_secret_and_terminal_the_variable_is_named(
    who: tuple[str, ...], variable: str
) -> None:
    ran = refused(1, "Nordlicht DE", *TENANT, *who)
    assert f"{variable} is not set and there is no terminal" in ran.err


@pytest.mark.parametrize("ending", ["nothing", "ctrl-d"])
def test_a_person_who_gives_no_secret_adds_nothing(
    monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    def answer(_words: str) -> str:
        if ending == "ctrl-d":
            raise EOFError
        return ""

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(getpass, "getpass", answer)
    assert "No secret was given" in refused(1, "Nordlicht DE", *TENANT, *CLIENT).err


def test_ctrl_c_at_the_prompt_is_a_word_and_not_a_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupt(_words: str) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(getpass, "getpass", interrupt)
    assert refused(130, "Nordlicht DE", *TENANT, *CLIENT).err == "Interrupted.\n"


# --- usage -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("Nordlicht DE",),
        ("Nordlicht DE", *TENANT),
        ("Nordlicht DE", *TENANT, *CLIENT, *USER),
        ("Nordlicht DE", *CLIENT),
        ("Nordlicht DE", *USER),
        ("Nordlicht DE", "--auth-url", AUTH, *CLIENT),
        ("Nordlicht DE", "--soap-url", SOAP, *CLIENT),
        ("Nordlicht DE", *TENANT, *URLS, *CLIENT),
        ("Nordlicht DE", *TENANT, "--soap-url", SOAP, *CLIENT),
        ("Nordlicht DE", *TENANT, "--auth-url", AUTH, *CLIENT),
        ("Nordlicht DE", *TENANT, "--soap-url", SOAP, *USER),
        ("Nordlicht DE", *TENANT, *CLIENT, "--client-secret", "x"),
        ("Nordlicht DE", *TENANT, *CLIENT, "--password", "x"),
    ],
)
def test_wrong_usage_ends_with_2(secrets: None, arguments: tuple[str, ...]) -> None:
    assert "usage: manage.py add_account" in refused(2, *arguments).err


# --- what is refused ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("urls", "words"),
    [
        (("https://evil.example", SOAP), "auth_url"),
        ((AUTH, "https://evil.example/Service.asmx"), "soap_url"),
        ((AUTH, "http://mc1.soap.marketingcloudapis.com/Service.asmx"), "soap_url"),
        ((AUTH, "https://marketingcloudapis.com.evil.example/S"), "soap_url"),
    ],
)
def test_an_endpoint_outside_the_allowed_hosts_is_named(
    secrets: None, urls: tuple[str, str], words: str
) -> None:
    where = ("--auth-url", urls[0], "--soap-url", urls[1])
    assert refused(1, "Nordlicht DE", *where, *CLIENT).err.startswith(f"{words}: ")


def test_loopback_is_refused_where_it_is_not_allowed(
    secrets: None, settings: Settings
) -> None:
    settings.MCDASH_ALLOW_LOOPBACK = False
    refused(1, "Nordlicht DE", *URLS, *CLIENT)


def test_a_name_that_is_taken_is_refused_before_a_secret_is_asked_for() -> None:
    Account.objects.create(name="Nordlicht DE", client_id="c", secret="old")
    ran = refused(1, "Nordlicht DE", *TENANT, *CLIENT)
    assert "already exists" in ran.err
    assert "MCDASH_CLIENT_SECRET" not in ran.err
    assert Account.objects.get().secret.reveal() == "old"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("  ", *TENANT, *CLIENT), "name: "),
        (("Nordlicht DE", *TENANT, *CLIENT, "--mid", "DE1"), "mid: A MID is a number"),
        (("Nordlicht DE", "--subdomain", "a.b/c", *CLIENT), "subdomain: "),
    ],
)
def test_a_value_that_cannot_be_is_named(
    secrets: None, arguments: tuple[str, ...], words: str
) -> None:
    assert words in refused(1, *arguments).err


def test_a_refusal_with_json_is_one_document_too(secrets: None) -> None:
    ran = run("add_account", "Nordlicht DE", *TENANT, *CLIENT, "--mid", "x", "--json")
    assert ran.code == 1
    assert ran.document == {"error": "mid: A MID is a number."}
    assert not Account.objects.exists()


def test_a_unit_is_not_added_twice(secrets: None) -> None:
    AccountFactory.create(name="Shop DE", mid="510001")
    arguments = ("--subdomain", "mc1", "--mid", "00510001", "--client-id", "abc")
    ran = run("add_account", "Shop again", *arguments)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(
        "mid: The account “Shop DE” is this business unit already (MID 510001)."
    )
    assert Account.objects.count() == 1


def test_the_vendors_addresses_are_taken_as_they_are_shown(secrets: None) -> None:
    base = f"https://{TENANT[1]}.%s.marketingcloudapis.com/"
    where = ("--auth-url", base % "auth", "--soap-url", base % "soap")
    assert run("add_account", "Shop DE", *where, "--client-id", "abc").code == 0
    account = Account.objects.get()
    assert account.token_address == (base % "auth").rstrip("/")
    assert account.service_address == f"{base % 'soap'}Service.asmx"


def test_a_whole_address_is_a_subdomain_too(secrets: None) -> None:
    where = ("--subdomain", f"https://{TENANT[1]}.auth.marketingcloudapis.com/v2/token")
    assert run("add_account", "Shop DE", *where, "--client-id", "abc").code == 0
    assert Account.objects.get().subdomain == TENANT[1]
