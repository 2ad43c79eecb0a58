"""Builds the answers: SOAP envelopes, faults, token JSON and other HTTP answers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import uuid4

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
ENVELOPE_PREFIXES = {
    "soap": SOAP,
    "xsi": XSI,
    "xsd": XSD,
    "wsa": WSA,
    "wsse": WSSE,
    "wsu": WSU,
}
TYPE = f"{{{XSI}}}type"
NIL = f"{{{XSI}}}nil"
XML_DECLARATION = b'<?xml version="1.0" encoding="utf-8"?>'
XML = "text/xml; charset=utf-8"
TOKEN_SECONDS = 1079
ANONYMOUS = f"{WSA}/role/anonymous"


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """One HTTP answer; `summary` stands for it in the log and the list of calls."""

    status: int = 200
    body: bytes = b""
    content_type: str = XML
    headers: Mapping[str, str] = field(default_factory=dict)
    summary: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """A SOAP fault; `api_code` fills the vendor's apifault detail."""

    code: str
    text: str
    api_code: int | None = None


class FaultError(Exception):
    """The request ends in this fault."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.text)
        self.fault = fault


FAULTS: Mapping[str, Fault] = {
    "client": Fault("soap:Client", "The request could not be read."),
    "server": Fault(
        "soap:Server", "Exception occurred during [Perform] ErrorID: 1830471622", 2
    ),
    "maintenance": Fault("soap:Server", "The member is in maintenance.", 9),
    "database": Fault(
        "soap:Client",
        "Synchronous request cannot be completed at this time due to database "
        "problems. This request was not processed.",
        1,
    ),
    "login_failed": Fault("q0:Security", "Login failed"),
    "token_expired": Fault("q0:Security", "Token Expired"),
    "not_authorized": Fault("soap:Client", "User not authorized."),
    "throttled": Fault("soap:Server", "The limit of concurrent requests was exceeded."),
    "must_understand": Fault(
        "soap:MustUnderstand", "A SOAP header was not understood."
    ),
    "version_mismatch": Fault(
        "soap:VersionMismatch", "Only SOAP 1.1 envelopes are understood."
    ),
}


def tag(name: str) -> str:
    """The name in the API's namespace."""
    return f"{{{API}}}{name}"


def add(parent: etree._Element, name: str, text: object = None) -> etree._Element:
    """Append an element of the API's namespace; booleans in lower case."""
    child = etree.SubElement(parent, tag(name))
    if text is not None:
        child.text = str(text).lower() if isinstance(text, bool) else str(text)
    return child


def add_all(parent: etree._Element, **texts: object) -> None:
    """Append an element for each name and text, in that order."""
    for name, text in texts.items():
        add(parent, name, text)


def message(name: str) -> etree._Element:
    """A response message whose unprefixed names are the API's."""
    return etree.Element(tag(name), nsmap=_default(API, ENVELOPE_PREFIXES))


def _default(
    namespace: str, prefixes: Mapping[str, str] | None = None
) -> dict[str, str]:
    """A prefix map with that default namespace; lxml-stubs know no None prefix."""
    return cast("dict[str, str]", {None: namespace, **(prefixes or {})})


def retrieve_message(
    overall_status: str, request_id: str, results: Iterable[etree._Element] = ()
) -> etree._Element:
    """RetrieveResponseMsg; no Results element at all where there are no rows."""
    response = message("RetrieveResponseMsg")
    add_all(response, OverallStatus=overall_status, RequestID=request_id)
    response.extend(list(results))
    return response


def add_overall(
    response: etree._Element, status: str, words: str | None, request_id: str
) -> None:
    """The end of every response but Retrieve's; the message is there even if empty."""
    add_all(
        response,
        OverallStatus=status,
        OverallStatusMessage=words,
        RequestID=request_id,
    )


def enveloped(
    content: etree._Element, *, action: str, now: datetime, relates_to: str = ""
) -> bytes:
    """The envelope with addressing and a timestamp in its header, as recorded."""
    envelope = etree.Element(f"{{{SOAP}}}Envelope", nsmap=dict(ENVELOPE_PREFIXES))
    header = etree.SubElement(envelope, f"{{{SOAP}}}Header")
    addressing = {
        "Action": action,
        "MessageID": f"urn:uuid:{uuid4()}",
        "RelatesTo": relates_to or f"urn:uuid:{uuid4()}",
        "To": ANONYMOUS,
    }
    for name, text in addressing.items():
        etree.SubElement(header, f"{{{WSA}}}{name}").text = text
    security = etree.SubElement(header, f"{{{WSSE}}}Security")
    stamp = etree.SubElement(security, f"{{{WSU}}}Timestamp")
    stamp.set(f"{{{WSU}}}Id", f"Timestamp-{uuid4()}")
    times = {"Created": now, "Expires": now + timedelta(minutes=5)}
    for name, time in times.items():
        text = time.strftime("%Y-%m-%dT%H:%M:%SZ")
        etree.SubElement(stamp, f"{{{WSU}}}{name}").text = text
    etree.SubElement(envelope, f"{{{SOAP}}}Body").append(content)
    return XML_DECLARATION + etree.tostring(envelope, encoding="utf-8")


def soap_answer(
    content: etree._Element, *, operation: str, now: datetime, relates_to: str = ""
) -> Answer:
    """A message with HTTP 200; the summary is its OverallStatus."""
    body = enveloped(
        content, action=f"{operation}Response", now=now, relates_to=relates_to
    )
    status = content.findtext(tag("OverallStatus")) or "OK"
    return Answer(body=body, summary=status)


def fault_answer(fault: Fault, *, now: datetime, relates_to: str = "") -> Answer:
    """The fault with HTTP 500."""
    content = etree.Element(f"{{{SOAP}}}Fault", nsmap=dict(ENVELOPE_PREFIXES))
    nsmap = {"q0": WSSE} if fault.code.startswith("q0:") else None
    etree.SubElement(content, "faultcode", nsmap=nsmap).text = fault.code
    etree.SubElement(content, "faultstring").text = fault.text
    if fault.api_code is not None:
        detail = etree.SubElement(content, "detail")
        api = etree.SubElement(detail, f"{{{FAULT}}}apifault", nsmap=_default(FAULT))
        etree.SubElement(api, f"{{{FAULT}}}Code").text = str(fault.api_code)
        etree.SubElement(api, f"{{{FAULT}}}Message").text = fault.text
    body = enveloped(content, action=f"{WSA}/fault", now=now, relates_to=relates_to)
    return Answer(status=500, body=body, summary=f"fault: {fault.text}")


def named_fault(kind: str, text: str | None = None) -> Fault:
    """One of FAULTS, with another text if given."""
    fault = FAULTS[kind]
    return replace(fault, text=text) if text else fault


def bad_request() -> Answer:
    """What IIS says to XML that cannot be parsed."""
    return Answer(
        status=400,
        body=b"Bad Request",
        content_type="text/plain; charset=utf-8",
        summary="bad request",
    )


def html_answer(status: int, title: str) -> Answer:
    """A web page, such as a gateway sends in place of SOAP."""
    page = (
        f"<!DOCTYPE html>\n<html><head><title>{title}</title></head>"
        f"<body><h1>{title}</h1><p>The service is not available.</body></html>"
    )
    return Answer(
        status=status,
        body=page.encode(),
        content_type="text/html; charset=utf-8",
        summary=f"HTML {status}",
    )


def json_answer(
    content: Any,
    status: int = 200,
    summary: str = "OK",
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """JSON, as the token endpoint and the control route send it."""
    return Answer(
        status=status,
        body=json.dumps(content, ensure_ascii=False, indent=1).encode(),
        content_type="application/json; charset=utf-8",
        headers=headers or {},
        summary=summary,
    )


def token_answer(token: str, seconds: int, base_url: str) -> Answer:
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
    return json_answer(content, headers={"Cache-Control": "no-store"})


def invalid_client() -> Answer:
    """Wrong client id or secret."""
    content = {
        "error": "invalid_client",
        "error_description": "Client authentication failed. Make sure that the "
        "client ID and client secret are valid and that the package is installed "
        "and enabled.",
        "error_uri": "https://developer.salesforce.com/docs",
    }
    return json_answer(content, 401, "invalid_client")


def not_authorized() -> Answer:
    """The other shape of a refusal: right client, account out of its reach."""
    content = {
        "documentation": "https://developer.salesforce.com/docs",
        "errorcode": 0,
        "message": "Not Authorized",
    }
    return json_answer(content, 401, "Not Authorized")


def token_error(error: str, description: str) -> Answer:
    """A token request that is wrong in itself."""
    content = {"error": error, "error_description": description}
    return json_answer(content, 400, error)
