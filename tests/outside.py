"""Texts that somebody outside might write, and a world in which all says them."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import quote

from django.test import Client

from imports.models import AccessLevel, Account, ImportDefinition, ImportRun
from tests.factories import (
    AccountFactory,
    ImportDefinitionFactory,
    ImportRunFactory,
    RunEventFactory,
    UserFactory,
    grant,
)

NASTY = {
    "markup": "<b>bold</b><img src=x onerror=alert(1)></title></head></script>"
    "<script>alert(1)</script></textarea></option></svg><svg/onload=alert(1)>",
    "comment": "<!-- --!> ]]> {# {% comment %}",
    "attribute": "\" autofocus onfocus=alert(1) x=' onmouseover='alert(1)' `${1}`",
    "template": "{{ request.user.password }}{% load static %}{% csrf_token %}",
    "python format": "{0.__class__} %(name)s %s %n",
    "address": "javascript:alert(document.domain)//",
    "entity": "&lt;script&gt; &#x202e; &amp;amp;",
    "right to left": "safe\u202egpj.exe\u2067\u2066x\u2069\u2069",
    "zero width": "cust\u200bom\ufeffers\u00ad\u2060daily",
    "control": "a\x01b\x07c\x08d\x7fe\x85f\x9b31mg",
    "escape sequence": "\x1b[2J\x1b]0;owned\x07\x1b[31mred",
    "lines": "one\r\nSet-Cookie: evil=1\r\n\r\n2026-01-01 ERROR forged: line\u2028x",
    "formula": '=cmd|"/C calc"!A0',
    "astral": "👩\u200d💻 𝒞ustomers 🇸🇪 \U000e0041",
    "long": "k" * 10_000,
    "header": 'x"; filename="evil.html',
}
# An account's name holds 200 letters, a person's 150.
LONGEST_NAME = 150


@dataclass(kw_only=True)
class World:
    """What one person sees: everything that comes from outside says `text`."""

    text: str
    account: Account = field(init=False)
    definition: ImportDefinition = field(init=False)
    runs: dict[str, ImportRun] = field(init=False)
    client: Client = field(init=False)

    def __post_init__(self) -> None:
        text = self.text
        name = text[:LONGEST_NAME]
        person = UserFactory.create(first_name=name, is_active=True)
        self.account = AccountFactory.create(name=name)
        grant(person, self.account, AccessLevel.START)
        self.definition = self._definition()
        words = dict.fromkeys(
            ("message", "error_code", "request_id", "started_by_name"), text
        )
        self.runs = {
            status: self._run(status, **words)
            for status in ("failed", "not_started", "unknown", "running")
        }
        RunEventFactory.create(
            run=self.runs["running"],
            kind="phase",
            actor_name=text,
            details={"to": text},
        )
        self.client = Client()
        self.client.force_login(person)

    def _event(self, run: ImportRun) -> None:
        details = {"from": self.text, "to": self.text}
        RunEventFactory.create(
            run=run, kind="phase", actor_name=self.text, details=details
        )

    def _definition(self) -> ImportDefinition:
        text = self.text
        made: ImportDefinition = ImportDefinitionFactory.create(
            account=self.account,
            name=text,
            customer_key=text,
            file_spec=text,
            description=text,
            destination=text,
            update_type=text,
            facts={"Name": text, "Notification.Email": text, text[:40]: text},
        )
        return made

    def _run(self, status: str, **words: str) -> ImportRun:
        text = self.text
        seen = {"phase": text, "start_text": text, "import_type": text}
        if status in ("failed", "running"):
            words |= seen | {"end_text": text, "destination_id": text}
        made: ImportRun = ImportRunFactory.create(
            **{status: True},
            definition=self.definition
            if status == "unknown"
            else self._definition_of(),
            **words,
        )
        return made

    def _definition_of(self) -> ImportDefinition:
        made: ImportDefinition = ImportDefinitionFactory.create(
            account=self.account, name=self.text, customer_key=self.text
        )
        return made

    def paths(self) -> dict[str, str]:
        """Every page that shows these texts."""
        part = quote(self.text[:100])
        start = f"/definitions/{self.runs['failed'].definition_id}/start/"
        several = "&".join(
            f"definition={run.definition_id}" for run in self.runs.values()
        )
        return {
            "dashboard": "/",
            "definitions": "/definitions/",
            "found": f"/definitions/?q={part}",
            "definition": f"/definitions/{self.definition.pk}/",
            "start": start,
            "start several": f"/definitions/start/?{several}",
            "history": "/runs/",
            "searched": f"/runs/?q={part}&person={part}",
            "chips": f"/runs/?definition={self.definition.pk}",
            **{f"run {name}": f"/runs/{run.pk}/" for name, run in self.runs.items()},
            "choose": f"/runs/{self.runs['unknown'].pk}/choose/",
            "accounts": "/accounts/",
            "profile": "/profile/",
        }


def harmless(text: str) -> str:
    """As long as `text`, cut at the same places, and of the same lengths."""
    return "".join("x" if not char.isspace() else " " for char in text).replace(
        " ", "x"
    )
