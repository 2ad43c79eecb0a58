"""One business unit is one account, also for whoever fills in the form."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from imports.models import Account
from tests.admin.forms import filled_form
from tests.admin.test_accounts import LIST, new_account, page_of
from tests.factories import AccountFactory, ImportDefinitionFactory, double

MID = "510001"
TENANT = "mc563885gzs27c5t9-63k636ttgm"


def errors_of(response: object) -> dict[str, list[str]]:
    form = response.context["adminform"].form  # type: ignore[attr-defined]  # the test client's
    return {name: list(words) for name, words in form.errors.items()}


@pytest.mark.parametrize("typed", [MID, f" 0{MID}", "５１０００１"])
def test_a_second_account_of_a_unit_is_refused_beside_its_mid(
    admin: Client, typed: str
) -> None:
    AccountFactory.create(name="Shop DE", mid=MID)
    response = admin.post(f"{LIST}add/", new_account(admin, mid=typed))
    assert errors_of(response) == {
        "mid": [
            "The account “Shop DE” is this business unit already (MID 510001). "
            "Each business unit can be one account only: use that one, or disable it "
            "first."
        ]
    }
    assert Account.objects.count() == 1


def test_who_is_second_of_two_at_once_reads_the_same(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = new_account(admin, mid=MID)
    as_it_was = Account._clean_unit

    def clean(account: Account) -> None:
        as_it_was(account)
        AccountFactory.create(name="Shop DE", mid=MID)  # by somebody else, just then

    monkeypatch.setattr(Account, "_clean_unit", clean)
    response = admin.post(f"{LIST}add/", form, follow=True)
    (message,) = response.context["messages"]
    assert str(message).startswith(
        "The account “Shop DE” is this business unit already"
    )
    assert str(message).endswith("Nothing was saved.")
    assert not Account.objects.filter(name="Nordlicht DE").exists()


def test_a_disabled_twin_is_not_enabled_beside_the_other(admin: Client) -> None:
    old = AccountFactory.create(name="Shop old", mid=MID, is_active=False)
    ImportDefinitionFactory.create(account=old)  # its MID is read-only then
    AccountFactory.create(name="Shop DE", mid=MID)
    form = filled_form(admin, page_of(old), {"is_active": "on"})
    (words,) = errors_of(admin.post(page_of(old), form))["__all__"]
    assert "“Shop DE”" in words


def test_a_double_is_told_and_ends_when_one_is_disabled(admin: Client) -> None:
    first = AccountFactory.create(name="Shop DE", mid=MID)
    second = double(first, name="Shop old")
    words = "Same business unit as “Shop old”. Nothing can be started in either until"
    assert words in admin.get(LIST).content.decode()
    form = filled_form(admin, page_of(second), {"is_active": None})
    assert admin.post(page_of(second), form).status_code == 302
    first.refresh_from_db()
    assert first.why_not_startable == ""
    assert "Same business unit" not in admin.get(LIST).content.decode()


def test_a_twin_that_is_deleted_holds_nothing_up(admin: Client) -> None:
    first = AccountFactory.create(mid=MID)
    second = double(first)
    confirmed = {"post": "yes", "action": "delete_selected"}
    admin.post(LIST, confirmed | {"_selected_action": [second.pk]})
    assert Account.objects.get().why_not_startable == ""


@pytest.mark.parametrize(
    "pasted",
    [
        f"https://{TENANT}.auth.marketingcloudapis.com/v2/token",
        f"HTTPS://{TENANT.upper()}.SOAP.marketingcloudapis.com/Service.asmx",
        f"{TENANT}.rest.marketingcloudapis.com",
    ],
)
def test_a_whole_address_may_be_pasted_as_the_subdomain(
    admin: Client, pasted: str
) -> None:
    form = admin.get(f"{LIST}add/").context["adminform"].form
    field = str(form["subdomain"])
    assert 'maxlength="500"' in field  # or a browser would cut it
    response = admin.post(f"{LIST}add/", new_account(admin, subdomain=pasted))
    assert response.status_code == 302
    assert Account.objects.get().subdomain == TENANT


def test_an_address_in_the_wrong_field_is_told_where_it_stands(admin: Client) -> None:
    rest = f"https://{TENANT}.rest.marketingcloudapis.com/"
    response = admin.post(f"{LIST}add/", new_account(admin, auth_url=rest))
    assert errors_of(response) == {
        "auth_url": [
            "This is the REST Base URI. Expected here is the Authentication Base URI: "
            f"https://{TENANT}.auth.marketingcloudapis.com/"
        ]
    }


def test_a_subdomain_that_cannot_be_read_has_one_sentence(admin: Client) -> None:
    response = admin.post(f"{LIST}add/", new_account(admin, subdomain="x" * 90))
    (words,) = errors_of(response)["subdomain"]
    assert words.startswith("Enter the tenant’s own part")


@pytest.mark.parametrize(
    ("learned", "said"),
    [("510003", "MID 510003"), (None, "Not known yet; the next sync may tell")],
)
def test_the_form_says_which_unit_an_account_is(
    admin: Client, learned: str | None, said: str
) -> None:
    account = AccountFactory.create(mid="", learned_unit=learned)
    assert said in admin.get(page_of(account)).content.decode()


def test_cleaning_twice_changes_nothing(db: None) -> None:
    account = AccountFactory.build(subdomain=f"{TENANT}.auth", mid=f"00{MID}")
    for _ in range(2):
        try:
            account.full_clean(exclude=["secret"])
        except ValidationError as error:
            pytest.fail(str(error))
    assert (account.subdomain, account.mid) == (TENANT, MID)
