from __future__ import annotations

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone

from imports.models import (
    AccessLevel,
    Account,
    AccountAccess,
    AccountToken,
    AuditEntry,
)
from tests.admin.conftest import Staff
from tests.admin.forms import filled_form, run_action
from tests.factories import (
    AccountAccessFactory,
    AccountFactory,
    AccountTokenFactory,
    GroupFactory,
    ImportDefinitionFactory,
    ImportRunFactory,
)

LIST = "/admin/imports/account/"
SECRET = "s3cret-of-nordlicht"


def page_of(account: Account) -> str:
    return f"{LIST}{account.pk}/change/"


def new_account(client: Client, **fields: str) -> dict[str, str]:
    given = {"name": "Nordlicht DE", "client_id": "id", "subdomain": "mc1"}
    return filled_form(client, f"{LIST}add/", {"secret": SECRET, **given, **fields})


def test_an_account_is_added_with_its_secret_encrypted(admin: Client) -> None:
    response = admin.post(f"{LIST}add/", new_account(admin))
    assert response.status_code == 302
    account = Account.objects.get()
    assert account.secret.reveal() == SECRET
    assert account.revision > 0
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.account) == ("account_added", account)


def test_an_account_without_a_secret_is_not_added(admin: Client) -> None:
    response = admin.post(f"{LIST}add/", new_account(admin, secret=""))
    assert response.context["adminform"].form.errors.keys() == {"secret"}
    assert not Account.objects.exists()


def test_a_secret_is_not_sent_back_even_with_a_form_that_has_errors(
    admin: Client,
) -> None:
    response = admin.post(f"{LIST}add/", new_account(admin, client_id=""))
    assert "client_id" in response.context["adminform"].form.errors
    assert SECRET not in response.content.decode()


def test_an_empty_secret_keeps_the_stored_one_and_its_token(admin: Client) -> None:
    account = AccountFactory.create(secret=SECRET)
    AccountTokenFactory.create(account=account)
    form = filled_form(admin, page_of(account), {"label": "Germany"})
    assert admin.post(page_of(account), form).status_code == 302
    account.refresh_from_db()
    assert (account.label, account.secret.reveal()) == ("Germany", SECRET)
    assert AccountToken.objects.exists()


def test_a_new_secret_drops_the_token_and_the_refusal(admin: Client) -> None:
    account = AccountFactory.create(credentials_refused_at=timezone.now())
    AccountTokenFactory.create(account=account)
    form = filled_form(admin, page_of(account), {"secret": SECRET})
    admin.post(page_of(account), form)
    account.refresh_from_db()
    assert account.secret.reveal() == SECRET
    assert account.credentials_refused_at is None
    assert not AccountToken.objects.exists()


def test_a_new_label_leaves_the_refusal_alone(admin: Client) -> None:
    account = AccountFactory.create(credentials_refused_at=timezone.now())
    admin.post(page_of(account), filled_form(admin, page_of(account), {"label": "x"}))
    account.refresh_from_db()
    assert account.credentials_refused_at


def test_saving_writes_only_what_the_administrator_changed(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = AccountFactory.create()
    form = filled_form(admin, page_of(account), {"label": "Germany"})

    def meanwhile(self: Account) -> None:
        Account.objects.filter(pk=account.pk).update(failures_in_row=7)

    monkeypatch.setattr(Account, "clean", meanwhile)
    admin.post(page_of(account), form)
    account.refresh_from_db()
    assert (account.label, account.failures_in_row) == ("Germany", 7)


def test_the_audit_names_the_changed_fields_and_never_the_secret(
    admin: Client,
) -> None:
    account = AccountFactory.create()
    form = filled_form(admin, page_of(account), {"secret": SECRET, "label": "Germany"})
    admin.post(page_of(account), form, REMOTE_ADDR="203.0.113.7")
    entry = AuditEntry.objects.get()
    assert entry.action == "account_changed"
    assert entry.details == {"fields": ["Label", "Secret"]}
    assert (entry.actor_name, entry.ip) == ("Ruth", "203.0.113.7")
    assert entry.account == account


def test_saving_without_a_change_leaves_no_audit_entry(admin: Client) -> None:
    account = AccountFactory.create()
    admin.post(page_of(account), filled_form(admin, page_of(account)))
    assert not AuditEntry.objects.exists()


def test_mid_and_addresses_are_fixed_once_definitions_exist(admin: Client) -> None:
    account = ImportDefinitionFactory.create().account
    before = (account.mid, account.subdomain)
    form = filled_form(
        admin, page_of(account), {"mid": "999", "subdomain": "other", "label": "x"}
    )
    admin.post(page_of(account), form)
    account.refresh_from_db()
    assert account.label == "x"
    assert (account.mid, account.subdomain) == before


def test_mid_and_addresses_may_be_mended_before(admin: Client) -> None:
    account = AccountFactory.create()
    form = filled_form(admin, page_of(account), {"mid": "999"})
    admin.post(page_of(account), form)
    account.refresh_from_db()
    assert account.mid == "999"


def test_a_fixed_address_that_is_no_longer_allowed_is_an_error_in_words(
    admin: Client,
) -> None:
    account = AccountFactory.create(soap_url="https://soap.elsewhere.example/S.asmx")
    ImportDefinitionFactory.create(account=account)
    form = filled_form(admin, page_of(account), {"label": "x"})
    response = admin.post(page_of(account), form)
    assert response.status_code == 200
    assert "is not among the allowed endpoint hosts" in response.content.decode()


def test_health_cannot_be_edited(admin: Client) -> None:
    account = AccountFactory.create()
    form = filled_form(admin, page_of(account), {"label": "x", "failures_in_row": "9"})
    admin.post(page_of(account), form)
    account.refresh_from_db()
    assert (account.label, account.failures_in_row) == ("x", 0)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({}, "Never asked yet"),
        ({"last_contact_at": timezone.now()}, "Answers"),
        (
            {"failures_in_row": 2, "not_answering_since": timezone.now()},
            "Not answering since",
        ),
        ({"starts_paused": True}, "Starts are paused."),
        ({"credentials_refused_at": timezone.now()}, "Credentials refused since"),
        ({"is_active": False}, "Disabled since 2026-"),
    ],
)
def test_the_list_says_in_words_how_an_account_fares(
    admin: Client, state: dict[str, object], words: str
) -> None:
    AccountFactory.create(**state)
    assert words in admin.get(LIST).content.decode()


def test_the_list_counts_the_definitions_that_are_still_there(admin: Client) -> None:
    account = AccountFactory.create()
    ImportDefinitionFactory.create_batch(3, account=account)
    ImportDefinitionFactory.create(account=account, not_seen_since=timezone.now())
    (shown,) = admin.get(LIST).context["cl"].result_list
    assert shown.seen_definitions == 3


@pytest.mark.parametrize("hanging", [ImportDefinitionFactory, AccountAccessFactory])
def test_an_account_that_something_hangs_on_stays_and_says_why(
    admin: Client, hanging: type[ImportDefinitionFactory]
) -> None:
    account = hanging.create().account
    response = admin.post(f"{LIST}{account.pk}/delete/", {"post": "yes"})
    assert "Disable it instead" in response.content.decode()
    run_action(admin, "delete_selected", [account])
    response = admin.post(
        LIST,
        {
            "action": "delete_selected",
            "_selected_action": [account.pk],
            "post": "yes",
        },
    )
    assert Account.objects.filter(pk=account.pk).exists()


def test_why_an_account_stays_is_said_without_loading_its_history(
    admin: Client, django_assert_max_num_queries: object
) -> None:
    account = AccountFactory.create()
    ImportRunFactory.create_batch(5, definition=None, account=account, completed=True)
    page = admin.get(f"{LIST}{account.pk}/delete/").content.decode()
    assert "Disable it instead" in page
    assert "Run " not in page


def test_an_account_that_was_never_used_can_be_deleted(admin: Client) -> None:
    account = AccountFactory.create()
    admin.post(f"{LIST}{account.pk}/delete/", {"post": "yes"})
    assert not Account.objects.exists()
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.object_label) == ("account_deleted", account.name)


def test_the_secret_is_no_filter_but_others_are(admin: Client) -> None:
    switched_off = AccountFactory.create(is_active=False)
    AccountFactory.create()
    shown = admin.get(f"{LIST}?is_active__exact=0").context["cl"].result_list
    assert list(shown) == [switched_off]
    assert admin.get(f"{LIST}?secret__startswith=g").status_code == 400


def test_who_may_only_look_changes_nothing(staff: Staff) -> None:
    account = AccountFactory.create()
    client = staff("view_account")
    assert client.get(page_of(account)).status_code == 200
    assert client.post(page_of(account), {"name": "x"}).status_code == 403
    run_action(client, "pause_starts", [account])
    account.refresh_from_db()
    assert not account.starts_paused


def test_access_is_granted_changed_and_taken_away_on_the_account_and_audited(
    admin: Client,
) -> None:
    account, group = AccountFactory.create(), GroupFactory.create(name="Marketers")
    granted = {
        "accesses-TOTAL_FORMS": "1",
        "accesses-0-group": str(group.pk),
        "accesses-0-level": "view",
    }
    admin.post(page_of(account), filled_form(admin, page_of(account), granted))
    assert AccountAccess.objects.get().level == AccessLevel.VIEW
    raised = {"accesses-0-level": "start"}
    admin.post(page_of(account), filled_form(admin, page_of(account), raised))
    gone = {"accesses-0-DELETE": "on"}
    admin.post(page_of(account), filled_form(admin, page_of(account), gone))
    assert not AccountAccess.objects.exists()
    entries = AuditEntry.objects.order_by("id")
    assert [(e.action, e.details["level"]) for e in entries] == [
        ("access_added", "view"),
        ("access_changed", "start"),
        ("access_deleted", "start"),
    ]
    assert {(e.account, e.details["group"]) for e in entries} == {
        (account, "Marketers")
    }


def test_access_is_granted_on_the_group_too(admin: Client) -> None:
    account, group = AccountFactory.create(), Group.objects.create(name="Marketers")
    url = f"/admin/auth/group/{group.pk}/change/"
    granted = {
        "accesses-TOTAL_FORMS": "1",
        "accesses-0-account": str(account.pk),
        "accesses-0-level": "start",
    }
    admin.post(url, filled_form(admin, url, granted))
    assert AccountAccess.objects.get().account == account
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.account) == ("access_added", account)
