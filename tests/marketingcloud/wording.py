"""Envelopes as Marketing Cloud sends them."""

from __future__ import annotations

from collections.abc import Mapping
from xml.sax.saxutils import escape

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
API = "http://exacttarget.com/wsdl/partnerAPI"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
REQUEST_ID = "bda5a2c0-6d2a-4c3c-9c1e-1f0a5a7a0001"


def envelope(body: str) -> str:
    """A SOAP 1.1 envelope with a header of the vendor's kind."""
    return (
        '<?xml version="1.0" encoding="utf-8"?>'
        f'<soap:Envelope xmlns:soap="{SOAP}" xmlns:xsi="{XSI}"><soap:Header>'
        "<Action>x</Action></soap:Header>"
        f"<soap:Body>{body}</soap:Body></soap:Envelope>"
    )


def performed(results: str, *, overall: str = "OK") -> str:
    """A PerformResponseMsg around Result elements."""
    return envelope(
        f'<PerformResponseMsg xmlns="{API}"><Results>{results}</Results>'
        f"<OverallStatus>{overall}</OverallStatus><OverallStatusMessage/>"
        f"<RequestID>{REQUEST_ID}</RequestID></PerformResponseMsg>"
    )


def started(task: str = "129159023") -> str:
    """The Result of an import that was queued."""
    return (
        "<Result><StatusCode>OK</StatusCode>"
        f"<StatusMessage>ImportDefinition performed AsyncID:{task}</StatusMessage>"
        '<Object xsi:type="ImportDefinition"><ObjectID xsi:nil="true"/>'
        "<CustomerKey>customers-daily</CustomerKey></Object>"
        "<Task><StatusCode>OK</StatusCode><StatusMessage>OK</StatusMessage>"
        f"<ID>{task}</ID><InteractionObjectID>5e1ad037</InteractionObjectID></Task>"
        "</Result>"
    )


def refused(words: str, code: str | None = "43010") -> str:
    """The Result of an import that was not queued."""
    number = f"<ErrorCode>{code}</ErrorCode>" if code is not None else ""
    return (
        "<Result><StatusCode>Error</StatusCode>"
        f"<StatusMessage>{escape(words)}</StatusMessage>{number}</Result>"
    )


def retrieved(
    *rows: str, status: str = "OK", request_id: str | None = REQUEST_ID
) -> str:
    """A RetrieveResponseMsg around Results elements."""
    number = f"<RequestID>{request_id}</RequestID>" if request_id else ""
    return envelope(
        f'<RetrieveResponseMsg xmlns="{API}">'
        f"<OverallStatus>{escape(status)}</OverallStatus>{number}{''.join(rows)}"
        "</RetrieveResponseMsg>"
    )


def definition(key: str, **more: str) -> str:
    """A Results element of an ImportDefinition, nested properties by `__`."""
    return _row("ImportDefinition", {"CustomerKey": key, "Name": f"N {key}", **more})


def result(task: str, **more: str) -> str:
    """A Results element of an ImportResultsSummary."""
    return _row("ImportResultsSummary", {"TaskResultID": task, **more})


def _row(kind: str, properties: Mapping[str, str]) -> str:
    parts = []
    for name, value in properties.items():
        outer, _, inner = name.partition("__")
        content = f"<{inner}>{escape(value)}</{inner}>" if inner else escape(value)
        parts.append(f"<{outer}>{content}</{outer}>")
    return f'<Results xsi:type="{kind}">{"".join(parts)}</Results>'


def fault(
    code: str, words: str, *, detail_code: str | None = None, detail_words: str = ""
) -> str:
    """A SOAP 1.1 fault."""
    detail = (
        '<detail><apifault xmlns="urn:fault.partner.exacttarget.com">'
        f"<Code>{detail_code}</Code><Message>{escape(detail_words)}</Message>"
        "</apifault></detail>"
        if detail_code is not None
        else ""
    )
    return envelope(
        f"<soap:Fault><faultcode>{code}</faultcode>"
        f"<faultstring>{escape(words)}</faultstring>{detail}</soap:Fault>"
    )


TOKEN_EXPIRED = fault("q0:Security", "Token Expired")
LOGIN_FAILED = fault("q0:Security", "Login failed")


def system_status(word: str = "OK", *, overall: str = "OK") -> str:
    """A SystemStatusResponseMsg."""
    return envelope(
        f'<SystemStatusResponseMsg xmlns="{API}"><Results><Result>'
        "<StatusCode>OK</StatusCode><StatusMessage>System Status Retrieved"
        f"</StatusMessage><SystemStatus>{word}</SystemStatus></Result></Results>"
        f"<OverallStatus>{overall}</OverallStatus><OverallStatusMessage/>"
        f"<RequestID>{REQUEST_ID}</RequestID></SystemStatusResponseMsg>"
    )
