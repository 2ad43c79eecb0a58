"""Who gets what answer at which address. A new route needs a line here."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .world import PASSWORD, ROLES, World

Answers = dict[str, int]
Fields = Callable[[World], dict[str, Any]]


def answers(
    *, anonymous: int = 302, stranger: int, viewer: int, starter: int
) -> Answers:
    """By role. A superuser may all that a starter may; staff are strangers to an
    account like anybody else without a group that may see it.
    """
    by_kind = {"anonymous": anonymous, "starter": starter, "superuser": starter}
    by_kind |= dict.fromkeys(("viewer", "starter elsewhere"), viewer)
    return {role: by_kind.get(role, stranger) for role in ROLES}


def all_in(status: int, *, anonymous: int = 302) -> Answers:
    return answers(anonymous=anonymous, stranger=status, viewer=status, starter=status)


PAGE = all_in(200)  # everybody who is signed in, each their own
SEE = answers(stranger=404, viewer=200, starter=200)
ASK = answers(stranger=404, viewer=403, starter=200)
START = answers(stranger=404, viewer=403, starter=302)
NOT_SO = all_in(405)  # that method is not for this address
NOT_AT_ALL = all_in(405, anonymous=405)
ALL_DO = all_in(302)
STAFF_ONLY = all_in(403) | dict.fromkeys(("staff", "superuser"), 200)
KEEP = answers(stranger=404, viewer=302, starter=302)
STRANGERS = all_in(302, anonymous=200)

ALL_IN = tuple(role for role in ROLES if role != "anonymous")
STARTERS = ("starter", "superuser")
VIEWERS = ("viewer", "starter elsewhere", "starter", "superuser")


def nothing(_: World) -> dict[str, Any]:
    return {}


def start(world: World) -> dict[str, Any]:
    digest = world.objects["definition"].digest
    return {"request_token": uuid.uuid4(), "digest": digest}


def chosen(world: World) -> dict[str, Any]:
    return {"definition": world.objects["definition"].pk}


def start_several(world: World) -> dict[str, Any]:
    definition = world.objects["definition"]
    return {"batch": uuid.uuid4(), "chosen": f"{definition.pk}:{definition.digest}"}


def account(world: World) -> dict[str, Any]:
    return {"account": world.account.pk}


def wanted(_: World) -> dict[str, Any]:
    return {"wanted": "1"}


def task(_: World) -> dict[str, Any]:
    return {"task": "502"}


def looked(_: World) -> dict[str, Any]:
    return {"looked": "yes"}


def profile(_: World) -> dict[str, Any]:
    return {"time_zone": "Asia/Tokyo", "theme": "dark", "shortcuts_on": "on"}


def password(_: World) -> dict[str, Any]:
    new = "another long pass phrase"
    return {"old_password": PASSWORD, "new_password1": new, "new_password2": new}


def wrong_sign_in(world: World) -> dict[str, Any]:
    return {"username": world.people["starter"].username, "password": "wrong"}


@dataclass(frozen=True)
class Door:
    """An address: what GET and POST answer to each role.

    `on` names the row that stands for the id in the address; `ask` and `send` make
    what GET and POST carry; `doers` are those whose POST changes something. Strangers
    are `polite`ly told 401 where a part of a page is asked for.
    """

    get: Answers
    post: Answers
    on: str = ""
    ask: Fields = nothing
    send: Fields = nothing
    doers: tuple[str, ...] = ()
    polite: bool = True

    def url(self, route: str, world: World) -> str:
        pk = str(world.objects[self.on].pk) if self.on else ""
        return f"/{route.replace('<id:pk>', pk)}"


LOOK_AT_IT = Door(PAGE, PAGE)
EXPORT = Door(PAGE, NOT_SO)
MACHINE = Door(all_in(200, anonymous=200), NOT_AT_ALL, polite=False)

DOORS: dict[str, Door] = {
    "": LOOK_AT_IT,
    "definitions/": LOOK_AT_IT,
    "definitions/<id:pk>/": Door(SEE, SEE, on="definition"),
    "definitions/<id:pk>/strip/": Door(SEE, SEE, on="definition"),
    "definitions/<id:pk>/start/": Door(
        ASK, START, on="definition", send=start, doers=STARTERS
    ),
    "definitions/<id:pk>/favourite/": Door(
        NOT_SO, KEEP, on="definition", send=wanted, doers=VIEWERS
    ),
    "definitions/start/": Door(
        ASK, ASK, ask=chosen, send=start_several, doers=STARTERS
    ),
    "definitions/sync/": Door(NOT_SO, ALL_DO, send=account, doers=VIEWERS),
    "runs/": LOOK_AT_IT,
    "runs/export.csv": EXPORT,
    "runs/export.json": EXPORT,
    "runs/<id:pk>/": Door(SEE, SEE, on="run"),
    "runs/<id:pk>/cancel/": Door(NOT_SO, START, on="queued", doers=STARTERS),
    "runs/<id:pk>/check-again/": Door(NOT_SO, START, on="lost", doers=STARTERS),
    "runs/<id:pk>/choose/": Door(ASK, START, on="choice", send=task, doers=STARTERS),
    "runs/<id:pk>/not-started/": Door(
        ASK, START, on="traceless", send=looked, doers=STARTERS
    ),
    "accounts/": LOOK_AT_IT,
    "profile/": Door(PAGE, ALL_DO, send=profile, doers=ALL_IN),
    "profile/sign-out-everywhere/": Door(NOT_SO, ALL_DO, doers=ALL_IN),
    "session/": Door(all_in(204), NOT_SO),
    "styleguide/": Door(STAFF_ONLY, STAFF_ONLY),
    "login/": Door(
        STRANGERS, STRANGERS, send=wrong_sign_in, doers=("anonymous",), polite=False
    ),
    "logout/": Door(NOT_AT_ALL, ALL_DO, doers=ALL_IN, polite=False),
    "password_change/": Door(PAGE, ALL_DO, send=password, doers=ALL_IN, polite=False),
    "password_change/done/": Door(PAGE, NOT_SO, polite=False),
    "healthz": MACHINE,
    "healthz/worker": MACHINE,
    "metrics": Door(all_in(404, anonymous=404), NOT_AT_ALL, polite=False),
}
