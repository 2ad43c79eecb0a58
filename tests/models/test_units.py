"""One business unit is one account, however it was typed or signed in to."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connections, transaction
from hypothesis import given
from hypothesis import strategies as st

from imports.models import Account, AuthKind, guard_of, tidy_mid, violated_constraint
from imports.usecases.accounts import save_account
from imports.usecases.errors import UnitTakenError
from tests.factories import AccountFactory, ImportDefinitionFactory, double

pytestmark = pytest.mark.django_db

MID = "510001"
WAYS_TO_TYPE = [
    MID,
    f"00{MID}",
    f" {MID}\t",
    f"\u00a0{MID}\u2003",
    f"\u200b{MID}\ufeff",
    "５１０００１",
    "٥١٠٠٠١",
    "०५१०००१",
    "5١0００1",
]
ZEROS = [0x30, 0x660, 0x6F0, 0x966, 0xFF10]


def new_account(**fields: object) -> Account:
    known = {"name": "B", "client_id": "b", "secret": "s", "subdomain": "mc1"}
    return Account(**known | fields)


def complaint(account: Account) -> dict[str, list[str]]:
    with pytest.raises(ValidationError) as caught:
        account.full_clean()
    return caught.value.message_dict


@pytest.mark.parametrize("typed", WAYS_TO_TYPE)
def test_a_mid_is_the_same_unit_however_it_is_typed(typed: str) -> None:
    AccountFactory.create(name="Shop DE", mid=MID)
    (words,) = complaint(new_account(mid=typed))["mid"]
    assert words.startswith("The account “Shop DE” is this business unit already")
    with pytest.raises(IntegrityError) as caught, transaction.atomic():
        new_account(mid=typed).save()
    assert violated_constraint(caught.value) == "account_unit_once"


@pytest.mark.parametrize("stored", WAYS_TO_TYPE)
def test_a_mid_is_the_same_unit_however_it_was_stored(stored: str) -> None:
    old = AccountFactory.create(mid=stored)
    assert (old.mid, old.unit) == (MID, MID)
    assert "mid" in complaint(new_account(mid=MID))


@given(
    number=st.integers(min_value=1, max_value=10**12),
    zeros=st.integers(min_value=0, max_value=5),
    scripts=st.lists(st.sampled_from(ZEROS), min_size=20, max_size=20),
    around=st.text(alphabet=" \t\u00a0\u2009\u3000\u200b\ufeff", max_size=3),
)
def test_every_way_of_writing_a_number_is_that_number(
    number: int, zeros: int, scripts: list[int], around: str
) -> None:
    digits = "0" * zeros + str(number)
    typed = "".join(
        chr(zero + int(digit)) for zero, digit in zip(scripts, digits, strict=False)
    )
    assert tidy_mid(f"{around}{typed}{around}") == str(number)


@pytest.mark.parametrize(
    "typed",
    [
        "510 001",
        "510,001",
        "-510001",
        "510001.0",
        "MID 510001",
        "0",
        "²",
        "0x7C831",
        "٠",
    ],
)
def test_what_is_no_number_is_no_mid(typed: str) -> None:
    assert complaint(new_account(mid=typed)) == {"mid": ["A MID is a number."]}


@pytest.mark.parametrize(
    "fields",
    [
        {"client_id": "another-package"},
        {"subdomain": "mc2"},
        {
            "subdomain": "",
            "auth_url": "https://mc2.auth.marketingcloudapis.com/",
            "soap_url": "https://webservice.s7.exacttarget.com/Service.asmx",
        },
        {"auth_kind": AuthKind.USERNAME_TOKEN, "username": "api", "client_id": ""},
        {"label": "Sandbox"},
    ],
)
def test_a_mid_is_one_unit_wherever_and_however_one_signs_in(
    fields: dict[str, str],
) -> None:
    AccountFactory.create(mid=MID)
    assert "mid" in complaint(new_account(mid=MID, **fields))


@pytest.mark.parametrize(
    ("field", "kind"),
    [("client_id", AuthKind.OAUTH), ("username", AuthKind.USERNAME_TOKEN)],
)
def test_a_sign_in_without_a_mid_is_one_unit(field: str, kind: AuthKind) -> None:
    AccountFactory.create(mid="", auth_kind=kind, **{field: "abc"})
    signed = {"client_id": "", "auth_kind": kind, field: " ABC"}
    (words,) = complaint(new_account(**signed))[field]
    assert "(that sign-in)" in words


def test_other_units_are_no_twins() -> None:
    AccountFactory.create(mid=MID, client_id="b")
    AccountFactory.create(mid="", client_id="c")
    AccountFactory.create(mid="", auth_kind=AuthKind.USERNAME_TOKEN, username="b")
    for fields in ({"mid": "510002"}, {"mid": ""}, {"mid": "5100010"}):
        new_account(**fields).full_clean()


def test_what_is_disabled_keeps_nobody_out_and_is_kept_out_itself() -> None:
    old = AccountFactory.create(name="A", mid=MID, is_active=False)
    new = new_account(mid=MID)
    new.full_clean()
    new.save()
    assert not new.is_doubled
    old.is_active = True
    (words,) = complaint(old)["mid"]
    assert "“B”" in words
    with pytest.raises(IntegrityError), transaction.atomic():
        old.save(update_fields=["is_active"])


@pytest.mark.parametrize("typed", ["", "510001"])
def test_an_account_cannot_become_a_twin_later(typed: str) -> None:
    AccountFactory.create(mid="510001")
    AccountFactory.create(mid="", client_id="b")
    account = AccountFactory.create(mid="510002", client_id="B")
    account.mid = typed
    assert set(complaint(account)) <= {"mid", "client_id"}
    with pytest.raises(IntegrityError), transaction.atomic():
        account.save(update_fields=["mid"])


def test_a_mid_that_was_stored_otherwise_is_no_change_of_it() -> None:
    account = ImportDefinitionFactory.create().account
    Account.objects.filter(pk=account.pk).update(mid=f"0{MID}")
    account.refresh_from_db()
    account.mid = MID
    account.full_clean()
    account.label = "EMEA"
    save_account(account=account, fields=["label"])


def test_who_is_doubled_already_may_be_edited_and_disabled() -> None:
    first = AccountFactory.create(name="A", mid=MID)
    second = double(first, name="B")
    assert first.is_doubled
    assert second.is_doubled
    second.label = "old"
    second.mid = MID
    second.full_clean()
    second.is_active = False
    second.full_clean()
    save_account(account=second, fields=["is_active", "label"])
    assert not Account.objects.filter(is_doubled=True).exists()


def test_starts_are_refused_in_both_until_one_is_disabled() -> None:
    first = AccountFactory.create(mid=MID)
    second = double(first)
    for account in (first, second):
        assert "the same business unit" in account.why_not_startable
    first.is_active = False
    first.save(update_fields=["is_active"])
    left = Account.objects.get(is_active=True)
    assert (left, left.why_not_startable) == (second, "")


def test_three_are_told_until_one_is_left() -> None:
    first = AccountFactory.create(mid=MID)
    second, third = double(first), double(first)
    for account, left in ((third, 2), (second, 0)):
        account.is_active = False
        account.save(update_fields=["is_active"])
        assert Account.objects.filter(is_doubled=True).count() == left


def test_pages_are_told_of_a_double() -> None:
    first = AccountFactory.create(mid=MID)
    before = first.revision
    double(first)
    assert first.revision > before


def test_a_guid_is_one_definition_in_all_accounts() -> None:
    one = ImportDefinitionFactory.create(
        object_id="0FA4E000-1111-2222-3333-000000000007"
    )
    other = ImportDefinitionFactory.create(
        object_id="{0fa4e000-1111-2222-3333-000000000007}"
    )
    assert guard_of(one) == guard_of(other)


@pytest.mark.parametrize(
    "object_id", [None, "7", "00000000-0000-0000-0000-000000000000"]
)
def test_what_is_no_guid_is_one_definition_in_its_unit_only(
    object_id: str | None,
) -> None:
    fields = {"object_id": object_id, "customer_key": "customers-daily"}
    first = AccountFactory.create(mid=MID)
    one = ImportDefinitionFactory.create(account=first, **fields)
    twin = ImportDefinitionFactory.create(account=double(first), **fields)
    other = ImportDefinitionFactory.create(**fields)
    assert guard_of(one) == guard_of(twin) != guard_of(other)


@pytest.mark.django_db(transaction=True)
def test_of_two_that_add_a_unit_at_once_one_reads_why() -> None:
    meeting = Barrier(2, timeout=30)

    def add(name: str) -> str:
        account = new_account(name=name, mid=MID)
        try:
            account.full_clean()  # before the other one is there
            meeting.wait()
            save_account(account=account, fields=())
        except UnitTakenError as error:
            return str(error)
        finally:
            connections.close_all()
        return ""

    with ThreadPoolExecutor(max_workers=2) as pool:
        said = sorted(pool.map(add, ["A", "B"]))
    assert said[0] == ""
    assert "is this business unit already (MID 510001)" in said[1]
    assert Account.objects.count() == 1
