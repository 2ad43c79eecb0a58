"""Accounts: Marketing Cloud business units, who may use them, their tokens."""

from __future__ import annotations

import enum
import logging
import re
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any, Self, TypeVar
from uuid import UUID

from django.contrib.auth.models import AnonymousUser, Group
from django.core.exceptions import ValidationError
from django.db import models, transaction

from imports.fields import EncryptedField, Secret
from imports.models import endpoints
from imports.models.database import database_now
from imports.models.user import Audience, User
from imports.models.worker import NotFollowed, Unfollowed
from imports.reasons import Reason
from imports.text import first_with_ink, validate_ink

log = logging.getLogger(__name__)
M = TypeVar("M", bound=models.Model)

# Failed calls in a row after which pages say so, and after which calls are saved.
NOT_ANSWERING_FROM, BREAKER_OPENS_AT = 2, 5
# Marketing Cloud's documented clock, and how far an account's may be from it.
USUAL_CLOCK_MINUTES, DRIFT_SHOWN_FROM_MINUTES = -360, 30
# So many ObjectIDs tell whether another account lists the same definitions.
COMPARED_OBJECTS = 50
# What names a business unit and where it is, and how pasted texts of it are read; it
# is fixed once definitions are known.
TIDIED = {
    "mid": endpoints.tidy_mid,
    "subdomain": endpoints.tidy_subdomain,
    "auth_url": endpoints.tidy_auth_url,
    "soap_url": endpoints.tidy_soap_url,
}
SIGN_IN_NAMES = {True: "client_id", False: "username"}
FROZEN_WITH_DEFINITIONS = tuple(TIDIED)
# With these an account may become another business unit, or one twice.
TELL_UNIT = frozenset(
    {"mid", "learned_unit", "auth_kind", "client_id", "username", "is_active"}
)


class AccountState(enum.StrEnum):
    """What is wrong with an account, what to mend first on top; or that it is ready."""

    DISABLED = "disabled"
    DOUBLED = "doubled"
    SECRET_UNREADABLE = "secret_unreadable"  # noqa: S105 - no secret
    CREDENTIALS_REFUSED = "credentials_refused"
    NOT_ANSWERING = "not_answering"
    PAUSED = "paused"
    READY = "ready"


# Each state as a query has it; `Account.has_problem` says the same of a row in memory.
STATE_FILTERS: dict[AccountState, models.Q] = {
    AccountState.DISABLED: models.Q(is_active=False),
    AccountState.DOUBLED: models.Q(is_doubled=True),
    AccountState.SECRET_UNREADABLE: models.Q(secret_unreadable_since__isnull=False),
    AccountState.CREDENTIALS_REFUSED: models.Q(credentials_refused_at__isnull=False),
    AccountState.NOT_ANSWERING: models.Q(failures_in_row__gte=NOT_ANSWERING_FROM),
    AccountState.PAUSED: models.Q(starts_paused=True),
}
# Somebody has to mend these; disabled and paused somebody wanted them to be.
TROUBLES = (
    AccountState.DOUBLED,
    AccountState.SECRET_UNREADABLE,
    AccountState.CREDENTIALS_REFUSED,
    AccountState.NOT_ANSWERING,
)
# Why nothing can be started in these; `Reason` names them alike. A secret that some
# process could not read is not among them: the worker that sends may have the key, and
# finds out when it asks.
START_REFUSALS = {
    AccountState.DISABLED: "This account is disabled.",
    AccountState.DOUBLED: "Another account here is the same business unit. Nothing is "
    "started in either until an administrator disables one of them.",
    AccountState.PAUSED: "Starts are paused in this account by an administrator.",
    AccountState.CREDENTIALS_REFUSED: "Marketing Cloud refused this account's "
    "credentials. An administrator must correct them or test the connection.",
    AccountState.NOT_ANSWERING: "Marketing Cloud does not answer for this account. "
    "Start it again once the account answers.",
}


class AuthKind(models.TextChoices):
    OAUTH = "oauth", "OAuth 2 (installed package)"
    USERNAME_TOKEN = "username_token", "API user (WS-Security)"


class AccessLevel(models.TextChoices):
    VIEW = "view", "Can view"
    START = "start", "Can view and start"


Reader = User | AnonymousUser | Audience


class AccountQuerySet(models.QuerySet["Account"]):
    def visible_to(self, reader: Reader) -> AccountQuerySet:
        """Accounts whose runs `reader` can see; what is not here does not exist."""
        return self.filter(pk__in=audience_of(reader).visible)

    def still_visible_to(self, user: User | AnonymousUser) -> AccountQuerySet:
        """As `visible_to`, judged within each query: for one row, or for long."""
        return self._granted(user, *AccessLevel)

    def startable_by(self, user: User | AnonymousUser) -> AccountQuerySet:
        return self._granted(user, AccessLevel.START).filter(is_active=True)

    def with_can_start(self, user: User | AnonymousUser) -> AccountQuerySet:
        """Each with `can_start`: whether `user` can start imports in it."""
        startable = Account.objects.startable_by(user).order_by().values("pk")
        can_start = models.Q(pk__in=startable)
        return self.annotate(
            can_start=models.ExpressionWrapper(can_start, models.BooleanField())
        )

    def _granted(
        self, user: User | AnonymousUser, *levels: AccessLevel
    ) -> AccountQuerySet:
        if not user.is_active or user.pk is None:
            return self.none()
        if user.is_superuser:  # as in Django's own permissions: every right there is
            still = User.objects.filter(pk=user.pk, is_active=True, is_superuser=True)
            return self.filter(models.Exists(still))
        granted = AccountAccess.objects.filter(group__user=user.pk, level__in=levels)
        return self.filter(pk__in=granted.values("account"))

    def with_state(self) -> AccountQuerySet:
        """Each with `stored_state`, its `AccountState` as far as the database knows."""
        whens = [
            models.When(is_so, then=models.Value(state.value))
            for state, is_so in STATE_FILTERS.items()
        ]
        ready = models.Value(AccountState.READY.value, models.CharField())
        return self.annotate(stored_state=models.Case(*whens, default=ready))

    def in_trouble(self) -> AccountQuerySet:
        """Active accounts in which something fails that somebody has to mend."""
        return self.with_state().filter(stored_state__in=TROUBLES)  # type: ignore[misc]  # annotated

    def twins_of(self, account: Account) -> AccountQuerySet:
        """The other active accounts that are the same business unit."""
        twins = self.filter(unit=account.unit, is_active=True).exclude(unit=None)
        return twins.exclude(pk=account.pk)

    def reachable(self) -> AccountQuerySet:
        return self.filter(is_active=True, credentials_refused_at=None)


class OfAccountQuerySet(models.QuerySet[M]):
    """Rows that belong to an account: who sees it sees them."""

    def visible_to(self, reader: Reader) -> Self:
        return self.filter(account__in=audience_of(reader).visible)

    def still_visible_to(self, user: User | AnonymousUser) -> Self:
        return self.filter(account__in=Account.objects.still_visible_to(user))


def audience_of(reader: Reader) -> Audience:
    """Who sees what `reader` sees, read once for each `User` object: queries about
    plain numbers are planned sooner and better than joins over groups.
    """
    if isinstance(reader, Audience):
        return reader
    if isinstance(reader, AnonymousUser) or not reader.is_active:
        return Audience()
    if reader.audience is None:
        accounts = Account.objects.still_visible_to(reader).with_can_start(reader)
        rows = accounts.order_by("pk").values_list("pk", "can_start")  # type: ignore[misc]  # annotated
        reader.audience = as_audience(rows)
    return reader.audience


def as_audience(rows: Iterable[tuple[int, bool]]) -> Audience:
    """Of accounts in the order of their ids: each with whether one can start there."""
    rows = tuple(rows)
    startable = tuple(pk for pk, can_start in rows if can_start)
    return Audience(tuple(pk for pk, _ in rows), startable)


class Account(models.Model):
    """A business unit of Marketing Cloud: how to sign in there, what is known of it."""

    name = models.CharField(max_length=200, unique=True)
    label = models.CharField(max_length=200, blank=True)
    auth_kind = models.CharField(
        max_length=14, choices=AuthKind, default=AuthKind.OAUTH
    )
    client_id = models.CharField("client id", max_length=200, blank=True)
    username = models.CharField(max_length=200, blank=True)
    secret = EncryptedField(
        help_text="The client secret or the API user's password. Never shown again."
    )
    subdomain = models.CharField(
        max_length=63,
        blank=True,
        help_text="The tenant's own part of its addresses, such as mc563885gz….",
    )
    auth_url = models.CharField("authentication address", max_length=500, blank=True)
    soap_url = models.CharField("SOAP address", max_length=500, blank=True)
    mid = models.CharField("MID", max_length=20, blank=True)
    # which business unit it is, see `unit_of`, and what answers told about that
    unit = models.CharField("business unit", max_length=220, null=True, editable=False)
    learned_unit = models.CharField(max_length=220, null=True, editable=False)
    # another active account is the same unit, as found in an older database or learned
    # later: nothing is started in either
    is_doubled = models.BooleanField(default=False, db_default=False, editable=False)
    is_active = models.BooleanField(default=True)
    # empty where it was disabled before mcdash kept note of it
    disabled_at = models.DateTimeField(null=True, blank=True, editable=False)
    starts_paused = models.BooleanField(
        default=False, help_text="Nothing is started in this account while this is on."
    )
    # Marketing Cloud's own clock against UTC: UTC-6, without daylight saving
    clock_offset_minutes = models.IntegerField(default=USUAL_CLOCK_MINUTES)
    history_since = models.DateTimeField(null=True, blank=True)
    last_synced_at = models.DateTimeField(null=True, blank=True)
    sync_wanted_at = models.DateTimeField(null=True, blank=True, editable=False)
    # pages that the running sync has read, and how many the last whole one had
    sync_pages_read = models.PositiveIntegerField(null=True, blank=True, editable=False)
    sync_pages = models.PositiveIntegerField(null=True, blank=True, editable=False)
    # brings the next sync forward
    sync_again_at = models.DateTimeField(null=True, blank=True, editable=False)
    # definitions that the last sync did not list, without those believed gone; and
    # since when so many are missing that the list itself is in doubt
    unlisted_count = models.PositiveIntegerField(
        default=0, db_default=0, editable=False
    )
    listing_doubted_since = models.DateTimeField(null=True, blank=True, editable=False)
    last_adopted_at = models.DateTimeField(null=True, blank=True)
    last_contact_at = models.DateTimeField(null=True, blank=True)
    failures_in_row = models.PositiveIntegerField(default=0)
    not_answering_since = models.DateTimeField(null=True, blank=True)
    credentials_refused_at = models.DateTimeField(null=True, blank=True)
    secret_unreadable_since = models.DateTimeField(
        null=True, blank=True, editable=False
    )
    # what the account taught us about the questions it answers: whether it knows IN,
    # and which properties it refuses
    takes_in = models.BooleanField(null=True, blank=True)
    refused_properties = models.JSONField(default=list, blank=True)
    revision = models.BigIntegerField(default=0)

    objects = AccountQuerySet.as_manager()

    class Meta:
        ordering = ("name",)
        constraints = (
            models.UniqueConstraint(
                fields=("unit",),
                condition=models.Q(is_active=True, is_doubled=False),
                name="account_unit_once",
            ),
        )

    def __str__(self) -> str:
        return self.shown_name

    def save(
        self, *, update_fields: Iterable[str] | None = None, **options: Any
    ) -> None:
        """Note since when it is disabled, and which business unit it is by now."""
        fields = None if update_fields is None else set(update_fields)
        if fields is None or "is_active" in fields:
            stored = Account.objects.filter(pk=self.pk, is_active=False)
            if self.is_active:
                self.disabled_at = None
            elif not stored.exists():  # else it has been since then
                self.disabled_at = database_now()
        if fields is not None and TELL_UNIT.isdisjoint(fields):
            super().save(update_fields=fields, **options)
            return
        with transaction.atomic():
            if fields is not None:
                # by what others saved since this was read, the rest does not tell
                rows = Account.objects.select_for_update()
                self.refresh_from_db(fields=TELL_UNIT - fields, from_queryset=rows)
                also = {"disabled_at"} if "is_active" in fields else set()
                fields |= {"mid", "unit", *also}
            self.mid, self.unit = endpoints.tidy_mid(self.mid), unit_of(self)
            super().save(update_fields=fields, **options)
            note_doubles()
            self.refresh_from_db(fields=["is_doubled"])

    @property
    def shown_name(self) -> str:
        number = self.mid or self.known_mid
        mid = f"MID {number}" if number else None
        known = (self.name, self.label, mid)
        return first_with_ink(*known, otherwise=f"Account {self.pk}")

    @property
    def token_address(self) -> str:
        """The base to which `/v2/token` is added."""
        tenant = f"https://{self.subdomain}.auth.marketingcloudapis.com"
        return (self.auth_url or tenant).rstrip("/")

    @property
    def service_address(self) -> str:
        """The full address of the SOAP service; the account's own one wins."""
        tenant = f"https://{self.subdomain}.soap.marketingcloudapis.com"
        return self.soap_url or f"{tenant}/Service.asmx"

    @property
    def is_oauth(self) -> bool:
        return self.auth_kind == AuthKind.OAUTH

    @property
    def is_breaker_open(self) -> bool:
        """So many calls in a row failed that only a probe a minute is sent."""
        return self.failures_in_row >= BREAKER_OPENS_AT

    @property
    def is_secret_unreadable(self) -> bool:
        """Whether a process could not read the stored secret, another one or this."""
        # lists do without the secret: not to be read for each of their rows
        secret = self.__dict__.get("secret")
        is_lost_here = isinstance(secret, Secret) and secret.key_position() is None
        return is_lost_here or self.secret_unreadable_since is not None

    def has_problem(self, state: AccountState) -> bool:
        """Whether it is in `state`, whatever else is wrong with it too."""
        if state is AccountState.SECRET_UNREADABLE:  # which takes a while to tell
            return self.is_secret_unreadable
        is_so = {
            AccountState.DISABLED: not self.is_active,
            AccountState.DOUBLED: self.is_doubled,
            AccountState.CREDENTIALS_REFUSED: self.credentials_refused_at is not None,
            AccountState.NOT_ANSWERING: self.failures_in_row >= NOT_ANSWERING_FROM,
            AccountState.PAUSED: self.starts_paused,
        }
        return is_so.get(state, False)

    @property
    def state(self) -> AccountState:
        """How it is doing; where several things are wrong, the one to mend first."""
        return next(filter(self.has_problem, AccountState), AccountState.READY)

    def since(self, state: AccountState) -> datetime | None:
        """Since when it has that problem, as far as that is known."""
        known = {
            AccountState.DISABLED: self.disabled_at,
            AccountState.SECRET_UNREADABLE: self.secret_unreadable_since,
            AccountState.CREDENTIALS_REFUSED: self.credentials_refused_at,
            AccountState.NOT_ANSWERING: self.not_answering_since,
        }
        return known.get(state)

    @property
    def why_not_followed(self) -> Unfollowed | None:
        """Why nobody looks at what runs here, as far as it lies with the account."""
        for state in AccountState:
            # that starts are paused, or that it is there twice, is no such reason
            if state.name in NotFollowed.__members__ and self.has_problem(state):
                return Unfollowed(NotFollowed[state.name], self.since(state))
        return None

    @property
    def is_sync_awaited(self) -> bool:
        """Somebody asked for a sync that has not come yet, or none ever came."""
        last, wanted = self.last_synced_at, self.sync_wanted_at
        return last is None or (wanted is not None and wanted > last)

    @property
    def clock_drift_minutes(self) -> int:
        """How far the account's clock is from the documented one; 0 if not notable."""
        drift = self.clock_offset_minutes - USUAL_CLOCK_MINUTES
        return drift if abs(drift) >= DRIFT_SHOWN_FROM_MINUTES else 0

    @property
    def start_refusal(self) -> tuple[Reason, str] | None:
        """Why nothing can be started here, by kind and in a sentence: the one rule."""
        for state, sentence in START_REFUSALS.items():
            # after a call or two that failed the next one may well succeed
            if state == AccountState.NOT_ANSWERING and not self.is_breaker_open:
                continue
            if self.has_problem(state):
                return Reason(state), sentence
        return None

    @property
    def why_not_startable(self) -> str:
        """The sentence of `start_refusal`; empty if starts are possible."""
        _, sentence = self.start_refusal or (None, "")
        return sentence

    def tidy(self) -> None:
        """Read what was pasted as it can only be meant, before its length is judged."""
        for field, tidied in TIDIED.items():
            setattr(self, field, tidied(getattr(self, field)))

    def clean_fields(self, exclude: Collection[str] | None = None) -> None:
        self.tidy()
        super().clean_fields(exclude={*(exclude or ()), "subdomain"})

    def validate_constraints(self, exclude: Collection[str] | None = None) -> None:
        """But for the one of the unit: `clean` names the other account."""
        super().validate_constraints(exclude={*(exclude or ()), "unit"})

    def clean(self) -> None:
        self.tidy()
        validate_ink(name=self.name, label=self.label)
        wanted = SIGN_IN_NAMES[self.is_oauth]
        if not getattr(self, wanted):
            raise ValidationError({wanted: "Needed for this kind of sign-in."})
        if self.mid and (not self.mid.isdecimal() or self.mid == "0"):
            raise ValidationError({"mid": "A MID is a number."})
        self._clean_endpoints()
        self._clean_frozen()
        self._clean_unit()

    def _clean_unit(self) -> None:
        """One business unit is one account. Who is a double already may be edited."""
        self.unit = unit_of(self)
        stored = Account.objects.filter(pk=self.pk, is_active=True, unit=self.unit)
        twin = Account.objects.twins_of(self).first()
        if self.is_active and twin and not stored.exists():
            field = "mid" if self.mid else SIGN_IN_NAMES[self.is_oauth]
            raise ValidationError({field: twin.taken_words})

    def _clean_endpoints(self) -> None:
        if self.subdomain and not re.fullmatch(r"[a-z0-9-]{1,63}", self.subdomain):
            wanted = (
                "Enter the tenant’s own part of its addresses, the mc… of "
                "https://mc….auth.marketingcloudapis.com/, or paste that whole address."
            )
            raise ValidationError({"subdomain": wanted})
        is_enough = self.soap_url and (self.auth_url or not self.is_oauth)
        if not self.subdomain and not is_enough:
            raise ValidationError(
                "Give the subdomain, or the SOAP address (and for OAuth the "
                "authentication address)."
            )
        for field, url in self.endpoints().items():
            try:
                endpoints.validate_endpoint(url)
                if field != "subdomain":
                    endpoints.refuse_misplaced(field.removesuffix("_url"), url)
            except ValidationError as error:
                raise ValidationError({field: error.messages}) from error

    def endpoints(self) -> dict[str, str]:
        """The addresses this account calls, by the field that governs each."""
        by_tenant = "subdomain" if self.subdomain else None
        urls = {"soap_url" if self.soap_url else by_tenant: self.service_address}
        if self.is_oauth:
            urls["auth_url" if self.auth_url else by_tenant] = self.token_address
        return {field: url for field, url in urls.items() if field}

    def _clean_frozen(self) -> None:
        if self.pk is None or not self.definitions.exists():
            return
        stored = Account.objects.get(pk=self.pk)
        stored.tidy()
        is_fixed = (
            "Fixed once definitions are known: their history belongs to this business "
            "unit. Add a new account instead."
        )
        for field in TIDIED:
            if getattr(stored, field) != getattr(self, field):
                raise ValidationError({field: is_fixed})

    @property
    def known_mid(self) -> str:
        """The MID of its business unit, typed or learned; empty while not known."""
        unit = self.unit or ""
        return unit if unit.isdecimal() else ""

    @property
    def taken_words(self) -> str:
        """Why this account keeps another of the same business unit out."""
        known = f"MID {self.known_mid}" if self.known_mid else "that sign-in"
        return (
            f"The account “{self.shown_name}” is this business unit already ({known}). "
            "Each business unit can be one account only: use that one, or disable it "
            "first."
        )

    def is_twin_of(self, other: Account) -> bool:
        """Whether two accounts in use are one business unit."""
        is_same = self.unit is not None and self.unit == other.unit
        return is_same and self.pk != other.pk and self.is_active and other.is_active

    def refuses_property(self, object_type: str, name: str) -> bool:
        return f"{object_type}:{name}" in self.refused_properties

    def noted_refusals(self, refused: tuple[str, ...]) -> list[Any]:
        """What the account refuses to be asked for, old and new, without doubles."""
        return list(dict.fromkeys([*self.refused_properties, *refused]))

    def note_secret_unreadable(self) -> bool:
        """Note that a process could not read it; False where that was known."""
        readable = Account.objects.filter(pk=self.pk, secret_unreadable_since=None)
        return bool(readable.update(secret_unreadable_since=database_now()))


def unit_of(account: Account) -> str | None:
    """The business unit, by the MID that names it in all of Marketing Cloud: typed, or
    told by answers. Until one is known the sign-in stands for it, since an account
    without a MID is the unit of its package or API user.
    """
    if known := endpoints.tidy_mid(account.mid) or account.learned_unit:
        return known
    name = endpoints.trimmed(getattr(account, SIGN_IN_NAMES[account.is_oauth]))
    return f"{account.auth_kind}:{name.casefold()}" if name else None


def tidy_object_id(text: str) -> str:
    """A GUID as it is compared, however it was written; what is none stays as it is."""
    return str(UUID(text)) if is_guid(text) else text


def is_guid(text: str) -> bool:
    """Whether it is a GUID, and not the one of zeros that means none."""
    try:
        return UUID(text).int != 0
    except ValueError:
        return False


def told_unit(
    account: Account, clients: Collection[str], object_ids: Collection[str]
) -> str | None:
    """The unit of a listing, by the clients that its definitions name if they agree."""
    if clients:
        mids = {endpoints.tidy_mid(client) for client in clients}
        return mids.pop() if len(mids) == 1 else None
    # another account that lists the same GUID is the same unit
    objects = sorted(filter(is_guid, object_ids))[:COMPARED_OBJECTS]
    others = Account.objects.filter(definitions__object_id__in=objects)
    units = others.exclude(pk=account.pk).exclude(unit=None).order_by("pk")
    return units.values_list("unit", flat=True).first()


def note_doubles() -> None:
    """Mark the active accounts whose unit another active one has, and no others."""
    from imports.models.run import bump_revision  # runs know accounts

    twin = Account.objects.filter(unit=models.OuterRef("unit"), is_active=True)
    has_twin = models.Exists(twin.exclude(pk=models.OuterRef("pk")))
    is_double = models.Q(has_twin, is_active=True)
    new = list(Account.objects.filter(is_double, is_doubled=False))
    over = list(Account.objects.filter(~is_double, is_doubled=True))
    if new or over:
        bump_revision(accounts=[*new, *over])
    Account.objects.filter(pk__in=[one.pk for one in new]).update(is_doubled=True)
    Account.objects.filter(pk__in=[one.pk for one in over]).update(is_doubled=False)
    for account in new:
        log.error(
            "Account %s: its business unit is entered in another account too; nothing "
            "is started in either until one is disabled",
            account.pk,
        )


class AccountAccess(models.Model):
    """What a group can do in an account; a person has the highest of their groups."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="accesses")
    group = models.ForeignKey(Group, models.PROTECT, related_name="accesses")
    level = models.CharField(
        max_length=5, choices=AccessLevel, default=AccessLevel.VIEW
    )

    class Meta:
        verbose_name_plural = "account accesses"
        constraints = (
            models.UniqueConstraint(fields=("account", "group"), name="access_once"),
        )

    def __str__(self) -> str:
        return f"{self.group}: {self.get_level_display()} ({self.account})"


class AccountToken(models.Model):
    """The account's current access token, shared by all processes and machines."""

    account = models.OneToOneField(Account, models.PROTECT, related_name="token")
    token = EncryptedField()
    expires_at: models.DateTimeField[datetime, datetime] = models.DateTimeField()

    def __str__(self) -> str:
        return f"Token of {self.account}"
