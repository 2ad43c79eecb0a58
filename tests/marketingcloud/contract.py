"""Reads out of a WSDL the facts that a SOAP caller depends on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lxml import etree

WSDL = "{http://schemas.xmlsoap.org/wsdl/}"
SOAP = "{http://schemas.xmlsoap.org/wsdl/soap/}"
XSD = "{http://www.w3.org/2001/XMLSchema}"

Facts = dict[str, Any]


def facts_of(path: Path) -> Facts:
    """Namespace, operations and types of the WSDL at `path`."""
    root = etree.parse(str(path)).getroot()
    schema = root.find(f"{WSDL}types/{XSD}schema")
    assert schema is not None
    return {
        "target_namespace": schema.get("targetNamespace"),
        "element_form_default": schema.get("elementFormDefault"),
        "service": _service(root),
        "operations": _operations(root),
        "messages": _named(schema, "element"),
        "complex_types": _named(schema, "complexType"),
        "simple_types": {
            str(node.get("name")): _simple(node)
            for node in schema.findall(f"{XSD}simpleType")
        },
    }


def _service(root: etree._Element) -> Facts:
    service = _one(root, f"{WSDL}service")
    port = _one(service, f"{WSDL}port")
    binding = _one(_one(root, f"{WSDL}binding"), f"{SOAP}binding")
    return {
        "service": service.get("name"),
        "port": port.get("name"),
        "binding": _local(port.get("binding")),
        "style": binding.get("style"),
        "transport": binding.get("transport"),
        "address": _one(port, f"{SOAP}address").get("location"),
    }


def _operations(root: etree._Element) -> Facts:
    parts = {
        node.get("name"): _local(_one(node, f"{WSDL}part").get("element"))
        for node in root.findall(f"{WSDL}message")
    }
    found: Facts = {}
    for node in _one(root, f"{WSDL}portType").findall(f"{WSDL}operation"):
        name = str(node.get("name"))
        found[name] = {
            "request": parts[_local(_one(node, f"{WSDL}input").get("message"))],
            "response": parts[_local(_one(node, f"{WSDL}output").get("message"))],
            **_bound(root, name),
        }
    return found


def _bound(root: etree._Element, name: str) -> Facts:
    node = _one(root, f"{WSDL}binding/{WSDL}operation[@name='{name}']")
    return {
        "soap_action": _one(node, f"{SOAP}operation").get("soapAction"),
        "use": _one(node, f"{WSDL}input/{SOAP}body").get("use"),
    }


def _named(schema: etree._Element, kind: str) -> Facts:
    return {
        str(node.get("name")): _complex(node) for node in schema.findall(f"{XSD}{kind}")
    }


def _complex(node: etree._Element) -> Facts:
    extension = node.find(f".//{XSD}extension")
    own = node if node.tag == f"{XSD}complexType" else node.find(f"{XSD}complexType")
    holder = own if own is not None and extension is None else extension
    return {
        "base": _type(extension.get("base")) if extension is not None else None,
        "abstract": node.get("abstract") == "true",
        "elements": [] if holder is None else _elements(holder),
    }


def _elements(holder: etree._Element) -> list[Facts]:
    found: list[Facts] = []
    for group in holder:
        if group.tag in (f"{XSD}sequence", f"{XSD}choice"):
            for node in group:
                found.extend(_particle(node, _kind(group)))
    return found


def _particle(node: etree._Element, group: str) -> list[Facts]:
    if node.tag in (f"{XSD}sequence", f"{XSD}choice"):
        kind = "choice" if "choice" in (group, _kind(node)) else "sequence"
        return [fact for child in node for fact in _particle(child, kind)]
    return [_element(node, group)] if node.tag == f"{XSD}element" else []


def _element(node: etree._Element, group: str) -> Facts:
    inner = node.find(f"{XSD}complexType")
    fact: Facts = {
        "name": node.get("name"),
        "type": _type(node.get("type")),
        "min": int(node.get("minOccurs", "1")),
        "max": node.get("maxOccurs", "1"),
        "nillable": node.get("nillable") == "true",
    }
    if group == "choice":
        fact["choice"] = True
    if inner is not None:
        fact["elements"] = _elements(inner)
    return fact


def _simple(node: etree._Element) -> Facts:
    restriction = _one(node, f"{XSD}restriction")
    return {
        "base": _type(restriction.get("base")),
        "values": [n.get("value") for n in restriction.findall(f"{XSD}enumeration")],
        "patterns": [n.get("value") for n in restriction.findall(f"{XSD}pattern")],
    }


def _type(name: str | None) -> str | None:
    """A type's name: the vendor writes both `string` and `xsd:string`."""
    if name is None:
        return None
    return _local(name) if name.startswith("tns:") else f"xsd:{_local(name)}"


def _kind(node: etree._Element) -> str:
    return _local(etree.QName(node).localname)


def _local(name: str | None) -> str:
    return (name or "").rpartition(":")[2]


def _one(node: etree._Element, path: str) -> etree._Element:
    found = node.find(path)
    assert found is not None, path
    return found
