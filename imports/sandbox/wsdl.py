"""The contract on disk: the WSDL's schema, by which each request is judged."""

from __future__ import annotations

from pathlib import Path
from threading import Lock

from lxml import etree

from imports.sandbox.responses import FaultError, named_fault

WSDL = "http://schemas.xmlsoap.org/wsdl/"
XSD = "http://www.w3.org/2001/XMLSchema"


class WsdlError(Exception):
    """The WSDL cannot be read or holds no usable schema."""


class Contract:
    """The WSDL as bytes and its types as a schema; safe for many threads."""

    def __init__(self, path: Path) -> None:
        """Read the WSDL; raise WsdlError with a sentence where it is no good."""
        self._lock = Lock()
        try:
            self.text = path.read_bytes()
            self._schema = _schema_of(self.text)
        except (OSError, etree.LxmlError) as exc:
            raise WsdlError(f"The WSDL {path} cannot be used: {exc}") from exc

    def check(self, element: etree._Element) -> None:
        """Raise a soap:Client fault where the message does not fit the schema."""
        try:
            with self._lock:  # a schema keeps its last errors
                self._schema.assertValid(element)
        except etree.DocumentInvalid as exc:
            text = f"Invalid request: {exc}"
            raise FaultError(named_fault("client", text)) from exc


def _schema_of(text: bytes) -> etree.XMLSchema:
    """The schema with its outside imports left out.

    The vendor's only import names the types of a fault, to which nothing in the
    schema refers: leaving it out is the same as an empty schema of its namespace.
    """
    root = etree.fromstring(text, etree.XMLParser(no_network=True))
    schema = root.find(f"{{{WSDL}}}types/{{{XSD}}}schema")
    if schema is None:
        raise etree.LxmlError("it has no schema among its types")
    for outside in schema.findall(f"{{{XSD}}}import"):
        schema.remove(outside)
    return etree.XMLSchema(etree.fromstring(etree.tostring(schema)))
