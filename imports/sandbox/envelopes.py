"""Reads what a client sent: its envelope, who it is, and what it asks for.

Requests are judged as the real server does: XML without a DTD, a SOAP 1.1 envelope, a
message that fits the WSDL, a token or password that is good, filters that it knows.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from threading import Lock
from uuid import uuid4

from lxml import etree

from imports.sandbox import responses
from imports.sandbox.catalogue import Catalogue
from imports.sandbox.responses import SOAP, named_fault, tag

WSDL_TYPES = "{http://schemas.xmlsoap.org/wsdl/}types"
_SIGNING_KEY = b"a sandbox's tokens outlive its restarts"


class NotXmlError(Exception):
    """The body cannot be parsed, or carries a DTD."""


class WsdlError(Exception):
    """The WSDL cannot be read or holds no usable schema."""


class Contract:
    """The WSDL as bytes and its types as a schema; safe for many threads."""

    def __init__(self, path: Path) -> None:
        """Read the WSDL; raises WsdlError."""
        self._lock = Lock()
        try:
            self.text = path.read_bytes()
            root = etree.fromstring(self.text, etree.XMLParser(no_network=True))
            schema = root.find(f"{WSDL_TYPES}/{{{responses.XSD}}}schema")
            if schema is None:
                raise etree.LxmlError("it has no schema among its types")
            # The vendor's only import names the types of a fault, to which nothing in
            # the schema refers: leaving it out equals an empty schema of its namespace.
            for outside in schema.findall(f"{{{responses.XSD}}}import"):
                schema.remove(outside)
            self._schema = etree.XMLSchema(etree.fromstring(etree.tostring(schema)))
        except (OSError, etree.LxmlError) as exc:
            raise WsdlError(f"The WSDL {path} cannot be used: {exc}") from exc

    def check(self, element: etree._Element) -> None:
        """Raise a soap:Client fault where the message does not fit the schema."""
        try:
            with self._lock:  # a schema keeps its last errors
                self._schema.assertValid(element)
        except etree.DocumentInvalid as exc:
            raise named_fault("client", f"Invalid request: {exc}") from exc


class Envelope:
    """A request's envelope: its Header, and the one message in its Body."""

    def __init__(self, body: bytes, soap_action: str) -> None:
        """Parse; raises NotXmlError, or a Fault where it is no SOAP 1.1 envelope."""
        parser = etree.XMLParser(
            resolve_entities=False,
            no_network=True,
            remove_comments=True,
            remove_pis=True,
        )
        try:
            root = etree.fromstring(body, parser)
        except etree.XMLSyntaxError as exc:
            raise NotXmlError(str(exc)) from exc
        if root.getroottree().docinfo.internalDTD is not None:
            raise NotXmlError("a DTD is not allowed")
        if root.tag != f"{{{SOAP}}}Envelope":
            raise named_fault("version_mismatch")
        content = root.find(f"{{{SOAP}}}Body")
        if content is None or len(content) != 1:
            raise named_fault("client", "The Body must hold one message.")
        addressing = f"{{{SOAP}}}Header/{{{responses.WSA}}}"
        self.header = root.find(f"{{{SOAP}}}Header")
        self.message = content[0]
        self.action = soap_action or root.findtext(f"{addressing}Action", "").strip()
        self.message_id = root.findtext(f"{addressing}MessageID", "").strip()

    @property
    def request(self) -> etree._Element:
        """The RetrieveRequest inside a Retrieve; else the message itself."""
        inner = self.message.find(tag("RetrieveRequest"))
        return self.message if inner is None else inner

    @property
    def definitions(self) -> list[etree._Element]:
        return self.message.findall(f"{tag('Definitions')}/{tag('Definition')}")

    @property
    def named_mids(self) -> list[int]:
        """The MIDs that the request names, in its operation's own place."""
        clients = [
            *self.request.findall(tag("ClientIDs")),
            *self.request.findall(f"{tag('Options')}/{tag('Client')}"),
        ]
        texts = [text_of(c, "ID") or text_of(c, "ClientID") for c in clients]
        return [int(text) for text in texts if text and text.isdecimal()]


@dataclass
class Authenticator:
    """Issues OAuth tokens, and tells by a SOAP header which MIDs a caller reaches.

    A token carries its own signature, so that a restart forgets none.
    """

    catalogue: Catalogue
    clock: Callable[[], datetime]
    void_until: float = 0.0

    def issue(self, mid: int) -> str:
        text = f"{mid}.{self.clock().timestamp():.6f}.{uuid4().hex}"
        return f"{text}.{_signature(text)}"

    def expire_tokens(self) -> None:
        """From now on every token issued so far has expired."""
        self.void_until = self.clock().timestamp()

    def mids_of(self, header: etree._Element | None) -> tuple[int, ...]:
        """The accounts within the caller's reach; the first is meant when a request
        names none. Raises a Fault where the header doesn't say who is calling.
        """
        if header is None:
            raise named_fault("login_failed")
        # In any namespace: the real server is as lax.
        token = header.findtext(".//{*}fueloauth")
        if token is not None:
            text, _, signature = token.strip().rpartition(".")
            if not hmac.compare_digest(signature.encode(), _signature(text).encode()):
                raise named_fault("login_failed")
            mid, seconds, fraction, _ = text.split(".")
            issued = float(f"{seconds}.{fraction}")
            age = self.clock().timestamp() - issued
            if age >= responses.TOKEN_SECONDS or issued <= self.void_until:
                raise named_fault("token_expired")
            return (int(mid),)
        wsse = f"{{{responses.WSSE}}}"
        username = header.findtext(f".//{wsse}UsernameToken/{wsse}Username")
        password = header.findtext(f".//{wsse}UsernameToken/{wsse}Password")
        for user in self.catalogue.users:
            if (user.username, user.password) == (username, password):
                return user.mids
        raise named_fault("login_failed")


def _signature(text: str) -> str:
    return hmac.new(_SIGNING_KEY, text.encode(), sha256).hexdigest()[:32]


def texts_of(parent: etree._Element, name: str) -> list[str]:
    return [(child.text or "").strip() for child in parent.findall(tag(name))]


def text_of(parent: etree._Element, name: str) -> str | None:
    """The child's text; None where it is absent, empty or nil."""
    child = parent.find(tag(name))
    if child is None or child.get(responses.NIL) in ("true", "1"):
        return None
    return (child.text or "").strip() or None


def type_of(element: etree._Element) -> str:
    """The local name of its xsi:type, whatever its prefix."""
    prefix, colon, name = (element.get(responses.TYPE) or "").rpartition(":")
    namespace = element.nsmap.get(prefix if colon else None)
    return name if namespace == responses.API else f"{prefix}{colon}{name}"
