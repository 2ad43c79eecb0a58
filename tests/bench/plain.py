"""The baseline: the same questions with requests and lxml, and nothing around them.

No retries, limits, checks or records: what a script of twenty lines would do.
"""

from __future__ import annotations

from collections.abc import Iterable

import requests
from lxml import etree

from imports.marketingcloud.parse import DEFINITION_PROPERTIES, RESULT_PROPERTIES
from tests.bench.crowded_sandbox import account

API = "http://exacttarget.com/wsdl/partnerAPI"
ENVELOPE = """<?xml version="1.0" encoding="utf-8"?>
<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Header>
<fueloauth xmlns="http://exacttarget.com">{token}</fueloauth></s:Header><s:Body>
<RetrieveRequestMsg xmlns="{api}"><RetrieveRequest>
<ObjectType>{object_type}</ObjectType>{properties}{rest}
</RetrieveRequest></RetrieveRequestMsg></s:Body></s:Envelope>"""
EQUALS = """<Filter xsi:type="SimpleFilterPart"
xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><Property>TaskResultID</Property>
<SimpleOperator>equals</SimpleOperator><Value>{task}</Value></Filter>"""
HEADERS = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": "Retrieve"}


class PlainScript:
    """Asks the sandbox's first account; rows are dicts."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = requests.Session()
        self._token = self._session.post(
            f"{url}/v2/token",
            json={
                "grant_type": "client_credentials",
                "client_id": account(0).client_id,
                "client_secret": account(0).client_secret,
                "account_id": str(account(0).mid),
            },
            timeout=60,
        ).json()["access_token"]

    def definitions(self) -> list[dict[str, str | None]]:
        """Every definition of every page, by the vendor's names."""
        rows: list[dict[str, str | None]] = []
        page = ""
        while True:
            message = self._retrieve("ImportDefinition", DEFINITION_PROPERTIES, page)
            rows += _rows(message)
            if message.findtext(f"{{{API}}}OverallStatus") != "MoreDataAvailable":
                return rows
            request_id = message.findtext(f"{{{API}}}RequestID")
            page = f"<ContinueRequest>{request_id}</ContinueRequest>"

    def results_of_task(self, task: int) -> list[dict[str, str | None]]:
        """The rows of one task, which is how the vendor's SDKs follow an import."""
        where = EQUALS.format(task=task)
        return _rows(self._retrieve("ImportResultsSummary", RESULT_PROPERTIES, where))

    def _retrieve(
        self, object_type: str, properties: Iterable[str], rest: str
    ) -> etree._Element:
        names = (f"<Properties>{name}</Properties>" for name in properties)
        body = ENVELOPE.format(
            token=self._token,
            api=API,
            object_type=object_type,
            properties="".join(names),
            rest=rest,
        )
        answer = self._session.post(
            f"{self._url}/Service.asmx", data=body, headers=HEADERS, timeout=60
        )
        answer.raise_for_status()
        return etree.fromstring(answer.content)[-1][0]


def _rows(message: etree._Element) -> list[dict[str, str | None]]:
    return [_row(found) for found in message.iterfind(f"{{{API}}}Results")]


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
