"""Accounts in the administration. A secret goes in and never comes out."""

# ruff: noqa: ARG002  the signatures are Django's
from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.widgets import AdminTextInputWidget
from django.db import models, transaction
from django.db.models import QuerySet
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.formats import date_format
from django.utils.text import capfirst
from django.utils.timezone import localtime

from imports.admin.base import AuditedAdmin, audit, column, person_behind
from imports.models import Account, AccountAccess, ImportDefinition, note_doubles
from imports.models.account import FROZEN_WITH_DEFINITIONS
from imports.models.worker import new_holder
from imports.signin import address_of
from imports.usecases.accounts import check_account, save_account
from imports.usecases.adopt import adopt_runs
from imports.usecases.audit import AuditAction
from imports.usecases.errors import MarketingCloudError, UseCaseError
from imports.usecases.sync import sync_definitions
from imports.wording.account import account_words

# Actions call Marketing Cloud while the browser waits.
ACCOUNTS_AT_ONCE = 10
GIVE_UP_AFTER_SECONDS = 60
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
# While any of these exist, an account stays.
HANGING = ("definitions", "runs", "accesses", "auditentry_set")


class AccessInline(admin.TabularInline):  # type: ignore[type-arg]  # it takes none at runtime
    model = AccountAccess
    extra = 0

    def get_queryset(self, request: HttpRequest) -> QuerySet[AccountAccess]:
        return super().get_queryset(request).select_related("account", "group")

    def formfield_for_foreignkey(self, *args: Any, **kwargs: Any) -> Any:
        field: Any = super().formfield_for_foreignkey(*args, **kwargs)
        field.choices = list(field.choices)  # one query, however many rows
        return field


class AccessAudited(AuditedAdmin):
    """Leaves an AuditEntry for every access that is granted, changed, taken away."""

    inlines = (AccessInline,)

    def save_formset(
        self, request: HttpRequest, form: Any, formset: Any, change: bool
    ) -> None:
        super().save_formset(request, form, formset, change)
        changed = [access for access, _fields in formset.changed_objects]
        for action, accesses in (
            (AuditAction.ACCESS_ADDED, formset.new_objects),
            (AuditAction.ACCESS_CHANGED, changed),
            (AuditAction.ACCESS_DELETED, formset.deleted_objects),
        ):
            for access in accesses:
                details = {"group": access.group.name, "level": access.level}
                audit(request, action, access, account=access.account, details=details)


def sync_now(account: Account) -> str:
    report = sync_definitions(account=account, holder=new_holder())
    refused = ", ".join(report.refused_properties)
    return (
        f"{report.seen} definitions read, {report.created} new, "
        f"{report.changed} changed, {report.missing} not listed for the first time, "
        f"{report.gone} believed gone."
        + (f" Not readable here: {refused}." if refused else "")
    )


def adopt_now(account: Account) -> str:
    report = adopt_runs(account=account, holder=new_holder())
    words = f"{report.rows} results read, {report.adopted} runs taken into the history."
    if report.waiting:
        words += f" {report.waiting} wait until a start of ours is settled."
    return words


def ask_each(
    request: HttpRequest,
    rows: QuerySet[Account],
    ask: Callable[[Account], str],
    *,
    action: AuditAction | None = None,
) -> None:
    """Ask Marketing Cloud about each account, and say what came of it: the sentence
    that `ask` returns, or that of the error which it raises. `action` is for the audit;
    without one the use case leaves an entry there, and may ask disabled accounts too.
    """
    accounts = list(rows[: ACCOUNTS_AT_ONCE + 1])
    if len(accounts) > ACCOUNTS_AT_ONCE:
        messages.error(
            request,
            f"Nothing was done: choose at most {ACCOUNTS_AT_ONCE} accounts, since "
            "this page waits for Marketing Cloud.",
        )
        return
    give_up = time.monotonic() + GIVE_UP_AFTER_SECONDS
    for account in accounts:
        if time.monotonic() > give_up:
            messages.warning(
                request, f"{account}: not asked, the others took too long. Try again."
            )
            continue
        say = messages.success
        try:
            if action and not account.is_active:
                raise UseCaseError("it is disabled; nothing was asked.")
            message = ask(account)
        except (MarketingCloudError, UseCaseError) as error:
            say, message = messages.error, str(error)
        if action:
            details = {"is_ok": say is messages.success, "message": message}
            audit(request, action, account, details=details)
        say(request, f"{account}: {message}")


def set_paused(
    request: HttpRequest, rows: QuerySet[Account], *, is_paused: bool
) -> None:
    state = "paused" if is_paused else "allowed"
    action = AuditAction.STARTS_PAUSED if is_paused else AuditAction.STARTS_RESUMED
    with transaction.atomic():  # all of them, or none is said to be
        for account in rows:
            if account.starts_paused == is_paused:
                messages.info(request, f"{account}: starts were {state} already.")
                continue
            account.starts_paused = is_paused
            save_account(
                account=account,
                fields=["starts_paused"],
                action=action,
                by=person_behind(request),
                ip=address_of(request),
            )
            messages.success(request, f"{account}: starts are {state} now.")


class AccountForm(forms.ModelForm):  # type: ignore[type-arg]  # it takes none at runtime
    secret = forms.CharField(
        label="Secret",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="The client secret or the API user's password. It is stored "
        "encrypted and never shown again.",
    )
    # longer than what is kept: a whole address may be pasted
    subdomain = forms.CharField(
        required=False,
        max_length=500,
        widget=AdminTextInputWidget,
        help_text="The tenant’s own part of its addresses, such as mc563885gz…. You "
        "can also paste any of the Base URIs on the package’s page.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding:
            self.fields["secret"].required = False
            self.fields["secret"].help_text += " Leave it empty to keep the stored one."
            self.initial["secret"] = ""  # never shown; left empty it is no change

    def clean_secret(self) -> Any:
        return self.cleaned_data["secret"] or self.instance.secret

    def add_error(self, field: str | None, error: Any) -> None:
        """An error of a field that is read-only here is one of the whole form."""
        for name, errors in getattr(error, "error_dict", {field: error}).items():
            super().add_error(name if name in self.fields else None, errors)


@admin.register(Account)
class AccountAdmin(AccessAudited):
    form = AccountForm
    actions = (
        "test_connection",
        "sync_definitions_now",
        "adopt_runs_now",
        "pause_starts",
        "resume_starts",
    )
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
    shown_name = column("Name", lambda account: account.shown_name, "name")
    definition_count = column(
        "Definitions", lambda account: account.seen_definitions, "seen_definitions"
    )
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
            "Learned from Marketing Cloud",
            {"fields": ("clock_offset_minutes", *LEARNED), "classes": ("collapse",)},
        ),
    )

    def get_queryset(self, request: HttpRequest) -> Any:
        seen = ImportDefinition.objects.filter(
            account=models.OuterRef("pk"), not_seen_since=None
        )
        counts = seen.order_by().values("account").annotate(n=models.Count("pk"))
        number = Coalesce(models.Subquery(counts.values("n")), 0)
        return super().get_queryset(request).annotate(seen_definitions=number)

    def get_readonly_fields(
        self, request: HttpRequest, obj: Account | None = None
    ) -> tuple[str, ...]:
        is_fixed = obj is not None and obj.definitions.exists()
        return (*HEALTH, *LEARNED, *(FROZEN_WITH_DEFINITIONS if is_fixed else ()))

    @admin.action(description="Test connection", permissions=["change"])
    def test_connection(self, request: HttpRequest, rows: QuerySet[Account]) -> None:
        def test(account: Account) -> str:
            by, ip = person_behind(request), address_of(request)
            steps = list(check_account(account=account, by=by, ip=ip))
            words = [f"{step.name}: {step.message}" for step in steps]
            if not all(step.is_ok for step in steps):
                raise UseCaseError(f"the test failed. {words[-1]}")
            return f"connected. {' '.join(words)}"

        ask_each(request, rows, test)

    @admin.action(description="Sync definitions now", permissions=["change"])
    def sync_definitions_now(self, request: HttpRequest, rows: Any) -> None:
        ask_each(request, rows, sync_now, action=AuditAction.DEFINITIONS_SYNCED)

    @admin.action(description="Adopt runs now", permissions=["change"])
    def adopt_runs_now(self, request: HttpRequest, rows: QuerySet[Account]) -> None:
        ask_each(request, rows, adopt_now, action=AuditAction.RUNS_ADOPTED)

    @admin.action(description="Pause starts", permissions=["change"])
    def pause_starts(self, request: HttpRequest, rows: QuerySet[Account]) -> None:
        set_paused(request, rows, is_paused=True)

    @admin.action(description="Resume starts", permissions=["change"])
    def resume_starts(self, request: HttpRequest, rows: QuerySet[Account]) -> None:
        set_paused(request, rows, is_paused=False)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        is_secret = lookup.startswith("secret")
        return not is_secret and super().lookup_allowed(lookup, value, request)

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
        refusals = [
            f"“{account}” stays: definitions, runs, accesses or audit entries belong "
            "to it. Disable it instead (clear “is active”)."
            for account in objs
            if any(getattr(account, relation).exists() for relation in HANGING)
        ]
        if refusals:
            return [], {}, set(), refusals
        return super().get_deleted_objects(objs, request)

    def delete_model(self, request: HttpRequest, obj: models.Model) -> None:
        super().delete_model(request, obj)
        note_doubles()

    @admin.display(description="Business unit")
    def business_unit(self, account: Account) -> str:
        known = account.known_mid
        return f"MID {known}" if known else "Not known yet; the next sync may tell"

    @admin.display(description="Health")
    def health(self, account: Account) -> str:
        twins = Account.objects.twins_of(account) if account.is_doubled else ()

        def clock(moment: datetime) -> str:
            return date_format(localtime(moment), "Y-m-d H:i")

        words = account_words(account, clock=clock, twins=twins)
        if words.fact:
            return f"{capfirst(words.fact)}. {words.meaning}"
        return "Answers" if account.last_contact_at else "Never asked yet"
