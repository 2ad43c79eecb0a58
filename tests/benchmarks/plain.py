"""The baseline: the same pages with requests and lxml, and nothing around them.

No retries, limits, checks or records: what a script of twenty lines would do.
"""

from __future__ import annotations

import requests
from lxml import etree

from imports.marketingcloud.rows import DEFINITION_PROPERTIES
from imports.sandbox.nordlicht import DE

API = "http://exacttarget.com/wsdl/partnerAPI"
ENVELOPE = """<?xml version="1.0" encoding="utf-8"?>
<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Header>
<fueloauth xmlns="http://exacttarget.com">{token}</fueloauth></s:Header><s:Body>
<RetrieveRequestMsg xmlns="{api}"><RetrieveRequest>
<ObjectType>ImportDefinition</ObjectType>{properties}{page}
</RetrieveRequest></RetrieveRequestMsg></s:Body></s:Envelope>"""
HEADERS = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": "Retrieve"}


class PlainScript:
    """Fetches all definitions as a list of dicts."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = requests.Session()
        self._token = self._session.post(
            f"{url}/v2/token",
            json={
                "grant_type": "client_credentials",
                "client_id": DE.client_id,
                "client_secret": DE.client_secret,
                "account_id": str(DE.mid),
            },
            timeout=60,
        ).json()["access_token"]

    def definitions(self) -> list[dict[str, str | None]]:
        """Every definition of every page, by the vendor's names."""
        rows: list[dict[str, str | None]] = []
        page = ""
        while True:
            message = self._page(page)
            rows += [_row(found) for found in message.iterfind(f"{{{API}}}Results")]
            if message.findtext(f"{{{API}}}OverallStatus") != "MoreDataAvailable":
                return rows
            page = message.findtext(f"{{{API}}}RequestID") or ""

    def _page(self, page: str) -> etree._Element:
        more = f"<ContinueRequest>{page}</ContinueRequest>" if page else ""
        names = (f"<Properties>{name}</Properties>" for name in DEFINITION_PROPERTIES)
        body = ENVELOPE.format(
            token=self._token, api=API, properties="".join(names), page=more
        )
        answer = self._session.post(
            f"{self._url}/Service.asmx", data=body, headers=HEADERS, timeout=60
        )
        answer.raise_for_status()
        return etree.fromstring(answer.content)[-1][0]


def _row(found: etree._Element) -> dict[str, str | None]:
    row: dict[str, str | None] = {}
    for child in found:
        name = child.tag.rpartition("}")[2]
        if len(child):
            for inner in child:
                row[f"{name}.{inner.tag.rpartition('}')[2]}"] = inner.text
        else:
            row[name] = child.text
    return row
