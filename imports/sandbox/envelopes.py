"""Reading what a client sent: the envelope, its operation and what it asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lxml import etree

from imports.sandbox.responses import (
    API,
    NIL,
    SOAP,
    TYPE,
    WSA,
    FaultError,
    named_fault,
    tag,
)

MESSAGES: Mapping[str, str] = {
    "Retrieve": "RetrieveRequestMsg",
    "Perform": "PerformRequestMsg",
    "GetSystemStatus": "SystemStatusRequestMsg",
}
Values = Callable[[str], str | None]


class NotXmlError(Exception):
    """The body cannot be parsed, or carries a DTD."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Envelope:
    """A parsed SOAP 1.1 envelope."""

    header: etree._Element | None
    message: etree._Element
    action: str
    message_id: str

    @property
    def request(self) -> etree._Element:
        """The RetrieveRequest inside a Retrieve; else the message itself."""
        inner = self.message.find(tag("RetrieveRequest"))
        return self.message if inner is None else inner


def read_envelope(body: bytes, soap_action: str) -> Envelope:
    """Parse; raises NotXmlError, or FaultError where it is no SOAP 1.1 envelope."""
    root = _parse(body)
    if root.tag != f"{{{SOAP}}}Envelope":
        raise FaultError(named_fault("version_mismatch"))
    content = root.find(f"{{{SOAP}}}Body")
    if content is None or len(content) != 1:
        raise FaultError(named_fault("client", "The Body must hold one message."))
    header = root.find(f"{{{SOAP}}}Header")
    return Envelope(
        header=header,
        message=content[0],
        action=soap_action or _addressed(header, "Action"),
        message_id=_addressed(header, "MessageID"),
    )


def _parse(body: bytes) -> etree._Element:
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(body, parser)
    except etree.XMLSyntaxError as exc:
        raise NotXmlError(str(exc)) from exc
    if root.getroottree().docinfo.internalDTD is not None:
        raise NotXmlError("a DTD is not allowed")
    return root


def _addressed(header: etree._Element | None, name: str) -> str:
    found = None if header is None else header.findtext(f"{{{WSA}}}{name}")
    return (found or "").strip()


def check_action(envelope: Envelope) -> None:
    """Raise FaultError unless action and message belong together."""
    expected = MESSAGES.get(envelope.action)
    if expected is None:
        raise FaultError(
            named_fault(
                "client",
                "Server did not recognize the value of HTTP Header SOAPAction: "
                f"{envelope.action}.",
            )
        )
    if envelope.message.tag != tag(expected):
        raise FaultError(named_fault("client", f"{expected} was expected."))


def named_mids(envelope: Envelope) -> list[int]:
    """The MIDs that the request names, in its operation's own place."""
    places = ("ClientIDs", "Options/Client")
    paths = ["/".join(map(tag, place.split("/"))) for place in places]
    clients = [one for path in paths for one in envelope.request.findall(path)]
    texts = [
        one.findtext(tag("ID")) or one.findtext(tag("ClientID")) for one in clients
    ]
    return [int(text) for text in texts if text and text.strip().isdecimal()]


def texts_of(parent: etree._Element, name: str) -> list[str]:
    """The texts of all children of that name."""
    return [(child.text or "").strip() for child in parent.findall(tag(name))]


def text_of(parent: etree._Element, name: str) -> str | None:
    """The child's text; None where it is absent, empty or nil."""
    child = parent.find(tag(name))
    if child is None or child.get(NIL) in ("true", "1"):
        return None
    return (child.text or "").strip() or None


def type_of(element: etree._Element) -> str:
    """The local name of its xsi:type, whatever its prefix."""
    prefix, colon, name = (element.get(TYPE) or "").rpartition(":")
    namespace = element.nsmap.get(prefix if colon else None)
    return name if namespace == API else f"{prefix}{colon}{name}"


class FilterError(Exception):
    """A filter that the server refuses in OverallStatus."""


def wants(
    part: etree._Element | None,
    values: Values,
    filterable: tuple[str, ...],
    refused: frozenset[str] = frozenset(),
) -> bool:
    """Does a row with these values pass the filter? FilterError if not allowed."""
    if part is None:
        return True
    if type_of(part) == "SimpleFilterPart":
        return _simple(part, values, filterable, refused)
    if type_of(part) == "ComplexFilterPart":
        return _complex(part, values, filterable, refused)
    raise FilterError("Error: The filter has no usable type.")


def _simple(
    part: etree._Element,
    values: Values,
    filterable: tuple[str, ...],
    refused: frozenset[str],
) -> bool:
    name, operator = text_of(part, "Property") or "", text_of(part, "SimpleOperator")
    if name not in filterable:
        raise FilterError(f"Error: Invalid column name '{name}'.")
    if operator not in ("equals", "IN") or operator in refused:
        raise FilterError(f"Error: The operator {operator} is not supported here.")
    wanted = texts_of(part, "Value")
    if not wanted or (operator == "equals" and len(wanted) != 1):
        raise FilterError(f"Error: The operator {operator} has a wrong value.")
    return values(name) in wanted


def _complex(
    part: etree._Element,
    values: Values,
    filterable: tuple[str, ...],
    refused: frozenset[str],
) -> bool:
    operands = [
        *part.findall(tag("LeftOperand")),
        *part.findall(tag("RightOperand")),
        *part.findall(f"{tag('AdditionalOperands')}/{tag('Operand')}"),
    ]
    passed = [wants(one, values, filterable, refused) for one in operands]
    return all(passed) if text_of(part, "LogicalOperator") == "AND" else any(passed)
