"""Accounts: credentials go in and never come out; health is to look at."""

# ruff: noqa: ARG002  the signatures are Django's

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.widgets import AdminTextInputWidget
from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.formats import date_format
from django.utils.text import capfirst
from django.utils.timezone import localtime

from imports.admin.access import AccessAudited
from imports.admin.account_actions import AccountActions
from imports.models import Account, ImportDefinition, note_doubles
from imports.models.account import FROZEN_WITH_DEFINITIONS
from imports.models.lost_keys import is_key_lost
from imports.templatetags.accounts import account_words
from imports.usecases.errors import UseCaseError
from imports.usecases.save_account import save_account

if TYPE_CHECKING:
    AccountModelForm = forms.ModelForm[Account]
else:
    AccountModelForm = forms.ModelForm

HEALTH = (
    "health",
    "last_contact_at",
    "failures_in_row",
    "not_answering_since",
    "credentials_refused_at",
)
LEARNED = (
    "business_unit",
    "last_synced_at",
    "last_adopted_at",
    "history_since",
    "takes_in",
    "refused_properties",
)
HANGING = ("definitions", "runs", "accesses", "auditentry_set")


class SecretInput(forms.CharField):
    """Takes a secret and never shows one; empty means that nothing was entered."""

    widget = forms.PasswordInput(
        render_value=False, attrs={"autocomplete": "new-password"}
    )

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(data)


class AccountForm(AccountModelForm):
    secret = SecretInput(label="Secret", required=False, strip=False)
    # longer than what is kept: a whole address may be pasted
    subdomain = forms.CharField(
        required=False,
        max_length=500,
        widget=AdminTextInputWidget,
        help_text="The tenant’s own part of its addresses, such as mc563885gz…. You "
        "can also paste any of the Base URIs on the package’s page.",
    )

    class Meta:
        model = Account
        fields = "__all__"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        is_new = self.instance._state.adding
        self.fields["secret"].required = is_new
        self.fields["secret"].help_text = (
            "The client secret or the API user's password. It is stored encrypted "
            "and never shown again."
            + ("" if is_new else " Leave it empty to keep the stored one.")
        )

    def clean_secret(self) -> Any:
        return self.cleaned_data["secret"] or self.instance.secret

    def add_error(self, field: str | None, error: Any) -> None:
        """An error of a field that is read-only here is one of the whole form."""
        for name, errors in getattr(error, "error_dict", {field: error}).items():
            super().add_error(name if name in self.fields else None, errors)


@admin.register(Account)
class AccountAdmin(AccountActions, AccessAudited[Account]):
    form = AccountForm
    list_display = (
        "shown_name",
        "health",
        "last_contact_at",
        "starts_paused",
        "definition_count",
        "last_synced_at",
    )
    list_filter = ("is_active", "starts_paused", "auth_kind")
    search_fields = ("name", "label", "mid")
    readonly_fields = (*HEALTH, *LEARNED)
    fieldsets = (
        (None, {"fields": ("name", "label", "is_active", "starts_paused")}),
        (
            "Sign-in",
            {
                "fields": ("auth_kind", "client_id", "username", "secret"),
                "description": "OAuth 2 takes a client id and its secret; an API "
                "user takes a username and its password. Try them with “Test "
                "connection” in the list of accounts.",
            },
        ),
        (
            "Business unit and addresses",
            {
                "fields": FROZEN_WITH_DEFINITIONS,
                "description": "The subdomain is usually enough. An address that "
                "you enter here is used instead: the Authentication Base URI and the "
                "SOAP Base URI on the package’s page. Without a MID, this is the "
                "business unit in which the package was created. Each business unit "
                "can be one account only. None of these can be changed once "
                "definitions are known.",
            },
        ),
        ("Health", {"fields": HEALTH}),
        (
            "What the account taught us",
            {"fields": ("clock_offset_minutes", *LEARNED), "classes": ("collapse",)},
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Account]:
        seen = ImportDefinition.objects.filter(
            account=OuterRef("pk"), not_seen_since=None
        )
        number = seen.order_by().values("account").annotate(n=Count("pk")).values("n")
        return (
            super()
            .get_queryset(request)
            .annotate(
                has_lost_key=is_key_lost(),
                seen_definitions=Coalesce(
                    Subquery(number, output_field=IntegerField()), 0
                ),
            )
        )

    def get_readonly_fields(
        self, request: HttpRequest, obj: Account | None = None
    ) -> tuple[str, ...]:
        is_fixed = obj is not None and obj.definitions.exists()
        return (*HEALTH, *LEARNED, *(FROZEN_WITH_DEFINITIONS if is_fixed else ()))

    def lookup_allowed(
        self, lookup: str, value: Any, request: HttpRequest | None = None
    ) -> bool:
        if lookup.startswith("secret"):
            return False
        return bool(super().lookup_allowed(lookup, value, request))  # type: ignore[arg-type]

    def changeform_view(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Who is second, of two that save the same at once, reads why."""
        try:
            return super().changeform_view(request, *args, **kwargs)
        except UseCaseError as error:
            messages.error(request, str(error))
            return HttpResponseRedirect(request.get_full_path())

    def save_model(
        self, request: HttpRequest, obj: Account, form: Any, change: bool
    ) -> None:
        save_account(account=obj, fields=form.changed_data)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Refuses in a sentence, without loading the history that forbids it."""
        refusals = [text for account in objs for text in _why_it_stays(account)]
        if refusals:
            return [], {}, set(), refusals
        return super().get_deleted_objects(objs, request)

    def delete_model(self, request: HttpRequest, obj: Account) -> None:
        super().delete_model(request, obj)
        note_doubles()

    def delete_queryset(
        self, request: HttpRequest, queryset: QuerySet[Account]
    ) -> None:
        super().delete_queryset(request, queryset)
        note_doubles()

    @admin.display(description="Name", ordering="name")
    def shown_name(self, account: Account) -> str:
        return account.shown_name

    @admin.display(description="Health")
    def health(self, account: Account) -> str:
        return health_of(account)

    @admin.display(description="Business unit")
    def business_unit(self, account: Account) -> str:
        known = account.known_mid
        return f"MID {known}" if known else "Not known yet; the next sync may tell"

    @admin.display(description="Definitions", ordering="seen_definitions")
    def definition_count(self, account: Account) -> int:
        return int(account.seen_definitions)  # type: ignore[attr-defined]


def health_of(account: Account) -> str:
    """How the account fares, in words."""
    twins = Account.objects.twins_of(account) if account.is_doubled else ()
    words = account_words(account, clock=_time, twins=twins)
    if words.fact:
        return f"{capfirst(words.fact)}. {words.meaning}"
    return "Answers" if account.last_contact_at else "Never asked yet"


def _time(moment: datetime) -> str:
    return date_format(localtime(moment), "Y-m-d H:i")


def _why_it_stays(account: Account) -> Iterable[str]:
    if any(getattr(account, relation).exists() for relation in HANGING):
        yield (
            f"“{account}” stays: definitions, runs, accesses or audit entries belong "
            "to it. Disable it instead (clear “is active”)."
        )
