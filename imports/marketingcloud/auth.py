"""Proving who we are: OAuth 2 client credentials, or WS-Security UsernameToken."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any, Protocol

from lxml import etree

from imports.marketingcloud import errors
from imports.marketingcloud.http import Answer, HttpSession
from imports.marketingcloud.records import OAuthCredentials, Token, UsernameCredentials
from imports.reasons import Reason

_FUEL = "http://exacttarget.com"
_FUEL_ONLY: Any = {None: _FUEL}  # the stubs know no default namespace
_SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
_WSS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-"
_WSSE = f"{_WSS}wssecurity-secext-1.0.xsd"
_PASSWORD_TEXT = f"{_WSS}username-token-profile-1.0#PasswordText"

_TOKEN = re.compile(r"[\x21-\x7e]{1,8000}")
_ADDRESS = re.compile(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?(/[!-~]*)?", re.ASCII)
_LONGEST_LIFE_SECONDS = 24 * 60 * 60
_CREDENTIAL_ERRORS = (
    *("access_denied", "invalid_client", "invalid_grant"),
    *("invalid_request", "invalid_scope", "unauthorized_client"),
)


class TokenStore(Protocol):
    """Keeps an account's token for all processes."""

    def current(self) -> Token | None:
        """A token that is good for a while yet, or None."""

    def renew(self, fetch: Callable[[], Token], *, refused: str | None = None) -> Token:
        """A new token: one request at a time over all processes.

        If another process has stored a token other than `refused` meanwhile, gives
        that and does not call `fetch`.
        """


class OAuthSigner:
    """Signs with an access token, fetched when the store has none that is good.

    A signer gives the SOAP header that proves who we are, what must never appear in a
    message, and the SOAP address that the last token answer named.
    """

    def __init__(
        self, credentials: OAuthCredentials, tokens: TokenStore, http: HttpSession
    ) -> None:
        self._credentials = credentials
        self._tokens = tokens
        self._http = http
        self._token: Token | None = None
        self.instance_url: str | None = None

    def header(self, *, renewed: bool = False) -> etree._Element:
        """The fueloauth header, with another token than the last one if `renewed`.

        Raises AuthenticationError or UnavailableError.
        """
        if renewed:
            refused = self._token.value if self._token else None
            self._token = self._tokens.renew(self._fetch, refused=refused)
        else:
            self._token = self._tokens.current() or self._tokens.renew(self._fetch)
        header = etree.Element(f"{{{_FUEL}}}fueloauth", nsmap=_FUEL_ONLY)
        header.text = self._token.value
        return header

    def secrets(self) -> tuple[str, ...]:
        token = (self._token.value,) if self._token else ()
        return (self._credentials.client_secret, *token)

    def _fetch(self) -> Token:
        request = {
            "grant_type": "client_credentials",
            "client_id": self._credentials.client_id,
            "client_secret": self._credentials.client_secret,
        }
        # without one the token is for the business unit that owns the package
        if self._credentials.mid:
            request["account_id"] = self._credentials.mid
        try:
            answer = self._http.post(
                f"{self._credentials.auth_url.rstrip('/')}/v2/token",
                json.dumps(request).encode(),
                {"Content-Type": "application/json", "Accept": "application/json"},
                operation="token",
            )
        except errors.MarketingCloudError as exc:
            raise _no_token(str(exc), exc.vendor_message) from exc
        finally:
            # the next token is many minutes away: no connection is kept for it
            self._http.close()
        token = read_token(answer)
        self.instance_url = token.soap_instance_url
        return token


class UsernameSigner:
    """Signs with user name and password in every request."""

    instance_url = None

    def __init__(self, credentials: UsernameCredentials) -> None:
        self._credentials = credentials

    def header(self, *, renewed: bool = False) -> etree._Element:
        """The wsse:Security header; raises AuthenticationError if `renewed`."""
        if renewed:
            raise errors.AuthenticationError(
                "Marketing Cloud says that the token has expired, but this account"
                " signs in with a user name."
            )
        header = etree.Element(f"{{{_WSSE}}}Security", nsmap={"wsse": _WSSE})
        header.set(f"{{{_SOAP}}}mustUnderstand", "1")
        token = etree.SubElement(header, f"{{{_WSSE}}}UsernameToken")
        username = etree.SubElement(token, f"{{{_WSSE}}}Username")
        username.text = self._credentials.username
        password = etree.SubElement(token, f"{{{_WSSE}}}Password", Type=_PASSWORD_TEXT)
        password.text = self._credentials.password
        return header

    def secrets(self) -> tuple[str, ...]:
        return (self._credentials.password,)


Signer = OAuthSigner | UsernameSigner


def read_token(answer: Answer) -> Token:
    """The token in the token endpoint's answer (vendor: "Access Token for
    Server-to-Server Integrations").

    Raises AuthenticationError where the credentials were refused, UnavailableError
    for everything else: without a token nothing was asked of the SOAP service.
    """
    try:
        content = json.loads(answer.body)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        content = {}  # told apart by the status and by what is missing
    texts = {name: value for name, value in content.items() if isinstance(value, str)}
    error, message = texts.get("error", ""), texts.get("message", "")
    words = texts.get("error_description") or message or error

    def said(sentence: str) -> str:
        return errors.ending_with(words, sentence) if words else f"{sentence}."

    # a 400 or 403 may also come from what stands before the endpoint, which knows
    # nothing of credentials: only these words say that they are wrong
    names_credentials = answer.status in (400, 403) and (
        error in _CREDENTIAL_ERRORS or message.casefold() == "not authorized"
    )
    if answer.status == 401 or names_credentials:
        raise errors.AuthenticationError(
            said("Marketing Cloud refused the client ID or client secret"),
            vendor_message=words,
            code=error or str(content.get("errorcode", "")) or None,
        )
    if answer.broken is not None:
        raise _no_token(str(answer.broken)) from answer.broken
    if answer.status != 200:
        status = f"The token address answered with HTTP {answer.status}"
        raise _no_token(said(status), words)
    value, life = texts.get("access_token", ""), content.get("expires_in")
    if (
        _TOKEN.fullmatch(value) is None
        or isinstance(life, bool)
        or not isinstance(life, int | float)
        or not 0 < life < math.inf
    ):
        raise _no_token("The token address gave an answer that is not a token.")
    address = texts.get("soap_instance_url", "")
    is_address = len(address) <= 500 and _ADDRESS.fullmatch(address)
    return Token(
        value=value,
        expires_in_seconds=float(min(life, _LONGEST_LIFE_SECONDS)),
        soap_instance_url=address if is_address else None,
    )


def _no_token(why: str, vendor_message: str = "") -> errors.UnavailableError:
    return errors.UnavailableError(
        f"Marketing Cloud gave no access token. {why}",
        reason=Reason.NO_TOKEN,
        vendor_message=vendor_message,
    )
