"""`check_account`: a line a step, honest about each, against a real sandbox."""

from __future__ import annotations

import pytest
from django.utils import timezone

from imports.marketingcloud.errors import OutcomeUnknownError
from imports.models import Account, AccountToken, ImportRun
from imports.sandbox.server import SandboxServer
from tests.commands.running import run
from tests.fakes import FakeMarketingCloud


def test_every_step_of_a_good_account_is_a_line(de: Account) -> None:
    ran = run("check_account", "Nordlicht DE")
    assert (ran.code, ran.err) == (0, "")
    assert [line.partition(":")[0] for line in ran.out.splitlines()] == [
        "ok     Addresses",
        "ok     Credentials",
        "ok     SOAP service",
        "ok     Definitions",
        "ok     Results",
    ]
    assert "its system status is OK" in ran.out
    assert "26 can be read" in ran.out


def test_checking_reads_and_starts_nothing(de: Account, sandbox: SandboxServer) -> None:
    run("check_account", "Nordlicht DE")
    assert sandbox.world.performed() == []
    assert not ImportRun.objects.exists()


def test_json_is_one_document(de: Account) -> None:
    document = run("check_account", "Nordlicht DE", "--json").document
    assert document["is_ok"] is True
    assert [step["name"] for step in document["steps"]][:2] == [
        "Addresses",
        "Credentials",
    ]
    assert all(set(step) == {"name", "is_ok", "message"} for step in document["steps"])


@pytest.mark.parametrize("name", ["de", "se"])
def test_wrong_credentials_fail_at_their_own_step(
    name: str, request: pytest.FixtureRequest
) -> None:
    account: Account = request.getfixturevalue(name)
    account.secret = "wrong-and-secret"
    account.save()
    ran = run("check_account", account.name)
    assert ran.code == 1
    assert ran.out.splitlines()[-1].startswith("FAILED Credentials: ")
    assert "wrong-and-secret" not in ran.out + ran.err
    account.refresh_from_db()
    assert account.credentials_refused_at is not None


@pytest.mark.parametrize("name", ["de", "se"])
def test_credentials_that_work_clear_the_refusal(
    name: str, request: pytest.FixtureRequest
) -> None:
    account: Account = request.getfixturevalue(name)
    Account.objects.filter(pk=account.pk).update(credentials_refused_at=timezone.now())
    assert run("check_account", account.name).code == 0
    account.refresh_from_db()
    assert account.credentials_refused_at is None
    assert account.last_contact_at is not None


def test_a_secret_that_no_longer_works_is_found_behind_a_stored_token(
    de: Account, sandbox: SandboxServer
) -> None:
    assert run("check_account", "Nordlicht DE").code == 0
    assert AccountToken.objects.filter(account=de).exists()
    sandbox.misbehave("refused", operation="token")
    ran = run("check_account", "Nordlicht DE")
    assert ran.code == 1
    assert "FAILED Credentials" in ran.out


def test_another_host_in_the_tokens_answer_is_only_reported(
    de: Account, sandbox: SandboxServer
) -> None:
    de.soap_url = sandbox.soap_url.replace("127.0.0.1", "localhost")
    de.save()
    ran = run("check_account", "Nordlicht DE")
    assert ran.code == 0
    assert "The token names another host, 127.0.0.1; the account's own host" in ran.out


def test_an_unreachable_account_says_so(de: Account, sandbox: SandboxServer) -> None:
    sandbox.stop()
    ran = run("check_account", "Nordlicht DE", "--json")
    assert (ran.code, ran.err) == (1, "")
    assert ran.document["is_ok"] is False
    assert "refused" in ran.document["steps"][-1]["message"]


def test_an_address_that_is_no_longer_allowed_is_asked_nothing(
    de: Account, sandbox: SandboxServer
) -> None:
    Account.objects.filter(pk=de.pk).update(soap_url="https://evil.example/x")
    ran = run("check_account", "Nordlicht DE")
    assert ran.code == 1
    assert ran.out.startswith("FAILED Addresses: ")
    assert sandbox.calls.state()["counts"] == {}


def test_an_unknown_account_is_refused_with_the_known_names(de: Account) -> None:
    ran = run("check_account", "Nordlicht NO")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        "There is no account “Nordlicht NO”. Known accounts: “Nordlicht DE”.\n"
    )


def test_words_from_outside_cannot_command_the_terminal(
    de: Account, cloud: FakeMarketingCloud
) -> None:
    cloud.fail("check_connection", OutcomeUnknownError("\x1b[2Jgone\nok all: well"))
    ran = run("check_account", "Nordlicht DE")
    assert r"FAILED SOAP service: \x1b[2Jgone\nok all: well" in ran.out
