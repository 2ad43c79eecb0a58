"""What a page says to whoever sees no account: that there is none at all, or that none
is theirs to see, whom to ask, and the one thing that an administrator can do.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.urls import reverse

from imports.models import Account, User

MOST_NAMED = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class NoAccount:
    """An empty page's words, and where its button leads, if it has one."""

    fact: str
    reason: str
    link: str = ""
    link_text: str = ""
    icon: str = ""


def no_account(user: User) -> NoAccount:
    """Why `user` sees no account. Of accounts that are not theirs it only tells that
    there are some.
    """
    if Account.objects.exists():
        return _none_of_theirs(user)
    if user.is_staff and user.has_perm("imports.add_account"):
        return NoAccount(
            fact="No account is connected yet",
            reason="Add a Marketing Cloud account and give a group access to it. Its "
            "definitions then appear here.",
            link=reverse("admin:imports_account_add"),
            link_text="Add an account",
            icon="plus",
        )
    return NoAccount(
        fact="No account is connected yet",
        reason=f"{_whom_to_ask()} to connect a Marketing Cloud account. Imports then "
        "appear here by themselves.",
    )


def _none_of_theirs(user: User) -> NoAccount:
    fact = "You don’t have access to any account yet"
    some = "mcdash has accounts, but none of your groups has access to one."
    link, link_text = _way_to_access(user)
    if link:
        return NoAccount(
            fact=fact,
            reason=f"{some} Give a group access to an account, and put yourself into "
            "that group.",
            link=link,
            link_text=link_text,
            icon="key",
        )
    return NoAccount(
        fact=fact,
        reason=f"{some} {_whom_to_ask()} for access. Imports then appear here by "
        "themselves.",
    )


def _way_to_access(user: User) -> tuple[str, str]:
    """Where in the administration `user` can give themselves access, and its button."""
    if not user.is_staff:
        return "", ""
    if user.has_perms(("imports.change_account", "imports.add_accountaccess")):
        pks = list(Account.objects.order_by("pk").values_list("pk", flat=True)[:2])
        if len(pks) == 1:
            page = reverse("admin:imports_account_change", args=pks)
            return f"{page}#accesses-group", "Give a group access"
        return reverse("admin:imports_account_changelist"), "Give a group access"
    if user.has_perms(("auth.change_group", "imports.add_accountaccess")):
        return reverse("admin:auth_group_changelist"), "Give a group access"
    if user.has_perm("imports.change_user"):
        own = reverse("admin:imports_user_change", args=[user.pk])
        return own, "Choose your groups"
    return "", ""


def _whom_to_ask() -> str:
    """ "Ask an administrator (Ana Ruiz)": by full names alone, since a bare login name
    is half of a sign-in.
    """
    people = User.objects.filter(is_active=True, is_superuser=True).order_by("pk")
    names = [name for person in people[:MOST_NAMED] if (name := person.get_full_name())]
    named = f" ({' or '.join(names)})" if names else ""
    return f"Ask an administrator{named}"
