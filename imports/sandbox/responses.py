"""Builds the answers: SOAP envelopes, faults, token JSON and other HTTP answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import uuid4
from xml.sax.saxutils import escape

from lxml import etree

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
API = "http://exacttarget.com/wsdl/partnerAPI"
FAULT = "urn:fault.partner.exacttarget.com"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
XSD = "http://www.w3.org/2001/XMLSchema"
WSA = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
_OASIS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity"
WSSE = f"{_OASIS}-secext-1.0.xsd"
WSU = f"{_OASIS}-utility-1.0.xsd"
TYPE = f"{{{XSI}}}type"
NIL = f"{{{XSI}}}nil"
XML_DECLARATION = b'<?xml version="1.0" encoding="utf-8"?>'
XML = "text/xml; charset=utf-8"
TOKEN_SECONDS = 1079
Content = Mapping[str, object]
# what real answers have as nil elements where it is unknown or not asked for
NIL_KEYS = ("PartnerKey", "ObjectID")
ENVELOPE = f"""\
<soap:Envelope xmlns:soap="{SOAP}" xmlns:xsi="{XSI}" xmlns:xsd="{XSD}" \
xmlns:wsa="{WSA}" xmlns:wsse="{WSSE}" xmlns:wsu="{WSU}"><soap:Header>\
<wsa:Action>{{action}}</wsa:Action><wsa:MessageID>urn:uuid:{{message_id}}</wsa:MessageID>\
<wsa:RelatesTo>{{relates_to}}</wsa:RelatesTo><wsa:To>{WSA}/role/anonymous</wsa:To>\
<wsse:Security><wsu:Timestamp wsu:Id="Timestamp-{{stamp_id}}">\
<wsu:Created>{{created}}</wsu:Created><wsu:Expires>{{expires}}</wsu:Expires>\
</wsu:Timestamp></wsse:Security></soap:Header></soap:Envelope>"""


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer; `summary` stands for it in the log and the list of calls."""

    status: int = 200
    body: bytes = b""
    content_type: str = XML
    headers: Mapping[str, str] = field(default_factory=dict)
    summary: str = ""


@dataclass(eq=False)
class Fault(Exception):  # noqa: N818 - the word of SOAP
    """A SOAP fault; `api_code` fills the vendor's apifault detail."""

    code: str
    text: str
    api_code: int | None = None


# fmt: off
FAULTS: Mapping[str, Fault] = {
    "client": Fault("soap:Client", "The request could not be read."),
    "server": Fault(
        "soap:Server", "Exception occurred during [Perform] ErrorID: 1830471622", 2),
    "maintenance": Fault("soap:Server", "The member is in maintenance.", 9),
    "database": Fault(
        "soap:Client", "Synchronous request cannot be completed at this time due to "
        "database problems. This request was not processed.", 1),
    "login_failed": Fault("q0:Security", "Login failed"),
    "token_expired": Fault("q0:Security", "Token Expired"),
    "not_authorized": Fault("soap:Client", "User not authorized."),
    "throttled": Fault("soap:Server", "The limit of concurrent requests was exceeded."),
    "must_understand": Fault(
        "soap:MustUnderstand", "A SOAP header was not understood."),
    "version_mismatch": Fault(
        "soap:VersionMismatch", "Only SOAP 1.1 envelopes are understood."),
}
# fmt: on


def tag(name: str) -> str:
    return f"{{{API}}}{name}"


def message(name: str, content: Content) -> etree._Element:
    """A response message whose unprefixed names are the API's."""
    # lxml-stubs know no None prefix
    nsmap = cast("dict[str, str]", {None: API})
    return _fill(etree.Element(tag(name), nsmap=nsmap), content)


def _fill(parent: etree._Element, content: Content) -> etree._Element:
    """Append an element for each name, with its text or content; a list is several.

    `@type` is the parent's xsi:type. What is None is left out, but for NIL_KEYS.
    """
    for name, value in content.items():
        if name == "@type" and value is not None:
            parent.set(TYPE, str(value))
        elif isinstance(value, list | dict):
            for part in value if isinstance(value, list) else [value]:
                _fill(etree.SubElement(parent, tag(name)), part)
        elif value is not None:
            text = str(value).lower() if isinstance(value, bool) else str(value)
            etree.SubElement(parent, tag(name)).text = text
        elif name in NIL_KEYS:
            etree.SubElement(parent, tag(name)).set(NIL, "true")
    return parent


def soap_answer(
    content: etree._Element,
    *,
    action: str,
    now: datetime,
    relates_to: str = "",
    status: int = 200,
    summary: str = "",
) -> Answer:
    """The message in an envelope whose header is like recorded ones. The summary is its
    OverallStatus, unless one is given.
    """
    envelope = etree.fromstring(
        ENVELOPE.format(
            action=escape(action),
            relates_to=escape(relates_to) or f"urn:uuid:{uuid4()}",
            created=f"{now:%Y-%m-%dT%H:%M:%SZ}",
            expires=f"{now + timedelta(minutes=5):%Y-%m-%dT%H:%M:%SZ}",
            message_id=uuid4(),
            stamp_id=uuid4(),
        )
    )
    etree.SubElement(envelope, f"{{{SOAP}}}Body").append(content)
    return Answer(
        status=status,
        body=XML_DECLARATION + etree.tostring(envelope, encoding="utf-8"),
        summary=summary or content.findtext(tag("OverallStatus")) or "OK",
    )


def fault_answer(fault: Fault, *, now: datetime, relates_to: str = "") -> Answer:
    """The fault with HTTP 500."""
    content = etree.Element(f"{{{SOAP}}}Fault")
    nsmap = {"q0": WSSE} if fault.code.startswith("q0:") else None
    etree.SubElement(content, "faultcode", nsmap=nsmap).text = fault.code
    etree.SubElement(content, "faultstring").text = fault.text
    if fault.api_code is not None:
        nsmap = cast("dict[str, str]", {None: FAULT})
        detail = etree.SubElement(content, "detail")
        api = etree.SubElement(detail, f"{{{FAULT}}}apifault", nsmap=nsmap)
        etree.SubElement(api, f"{{{FAULT}}}Code").text = str(fault.api_code)
        etree.SubElement(api, f"{{{FAULT}}}Message").text = fault.text
    return soap_answer(
        content,
        action=f"{WSA}/fault",
        now=now,
        relates_to=relates_to,
        status=500,
        summary=f"fault: {fault.text}",
    )


def named_fault(kind: str, text: str | None = None) -> Fault:
    """A copy of one of FAULTS, with another text if given."""
    return replace(FAULTS[kind], text=text or FAULTS[kind].text)


def html_answer(status: int, title: str) -> Answer:
    """A web page, such as a gateway sends in place of SOAP."""
    page = (
        f"<!DOCTYPE html>\n<html><head><title>{title}</title></head>"
        f"<body><h1>{title}</h1><p>The service is not available.</body></html>"
    )
    kind, summary = "text/html; charset=utf-8", f"HTML {status}"
    return Answer(status, page.encode(), kind, summary=summary)


def json_answer(content: Any, status: int = 200, summary: str = "OK") -> Answer:
    """JSON, as the token endpoint and the control route send it."""
    body = json.dumps(content, ensure_ascii=False, indent=1).encode()
    return Answer(status, body, "application/json; charset=utf-8", summary=summary)


def token_error(error: str, words: str, status: int = 400, **more: str) -> Answer:
    content = {"error": error, "error_description": words, **more}
    return json_answer(content, status, error)


def token_answer(token: str, base_url: str, seconds: int = TOKEN_SECONDS) -> Answer:
    """A token with the addresses at which it works."""
    content = {
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": seconds,
        "scope": "data_extensions_read data_extensions_write "
        "list_and_subscribers_read list_and_subscribers_write "
        "automations_read automations_execute file_locations_read",
        "soap_instance_url": f"{base_url}/",
        "rest_instance_url": f"{base_url}/",
    }
    return replace(json_answer(content), headers={"Cache-Control": "no-store"})
