"""Who is calling: OAuth tokens and WS-Security UsernameTokens."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from uuid import uuid4

from lxml import etree

from imports.sandbox.catalogue import Catalogue
from imports.sandbox.responses import (
    TOKEN_SECONDS,
    WSSE,
    FaultError,
    named_fault,
)

_SIGNING_KEY = b"a sandbox's tokens outlive its restarts"


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """Who asks: the accounts within reach, and the one meant when none is named."""

    mids: tuple[int, ...]

    @property
    def home(self) -> int:
        """The MID of a request that names none."""
        return self.mids[0]


class Doorkeeper:
    """Gives tokens and knows callers; nothing is kept, so a restart forgets none."""

    def __init__(
        self,
        catalogue: Catalogue,
        clock: Callable[[], datetime],
        token_seconds: int = TOKEN_SECONDS,
    ) -> None:
        self.catalogue = catalogue
        self.clock = clock
        self.token_seconds = token_seconds
        self._void_until = 0.0

    def issue(self, mid: int) -> str:
        """A new token of that account."""
        text = f"{mid}.{self.clock().timestamp():.6f}.{uuid4().hex}"
        return f"{text}.{_signature(text)}"

    def expire_tokens(self) -> None:
        """From now on every token given so far has expired."""
        self._void_until = self.clock().timestamp()

    def caller(self, header: etree._Element | None) -> Caller:
        """Who the SOAP header says is calling; FaultError where it does not."""
        if header is None:
            raise FaultError(named_fault("login_failed"))
        token = _first(header, "fueloauth")
        if token is not None:
            return self._bearer((token.text or "").strip())
        return self._user(header)

    def _bearer(self, token: str) -> Caller:
        text, _, signature = token.rpartition(".")
        if not hmac.compare_digest(signature.encode(), _signature(text).encode()):
            raise FaultError(named_fault("login_failed"))
        mid, issued = int(text.split(".")[0]), float(".".join(text.split(".")[1:3]))
        age = self.clock().timestamp() - issued
        if age >= self.token_seconds or issued <= self._void_until:
            raise FaultError(named_fault("token_expired"))
        return Caller(mids=(mid,))

    def _user(self, header: etree._Element) -> Caller:
        username = header.findtext(f".//{{{WSSE}}}UsernameToken/{{{WSSE}}}Username")
        password = header.findtext(f".//{{{WSSE}}}UsernameToken/{{{WSSE}}}Password")
        for user in self.catalogue.users:
            if (user.username, user.password) == (username, password):
                return Caller(mids=user.mids)
        raise FaultError(named_fault("login_failed"))


def _signature(text: str) -> str:
    return hmac.new(_SIGNING_KEY, text.encode(), sha256).hexdigest()[:32]


def _first(header: etree._Element, local_name: str) -> etree._Element | None:
    """The first such element in any namespace: the real server is as lax."""
    for element in header.iter():
        if isinstance(element.tag, str) and (
            etree.QName(element).localname == local_name
        ):
            return element
    return None
