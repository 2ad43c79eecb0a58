"""A sandbox on a free port, a clock to turn, a client that speaks plain HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pytest
import requests
from lxml import etree

from imports.sandbox.server import SandboxServer
from imports.sandbox.world import World

ROOT = Path(__file__).resolve().parents[2]
OUR_WSDL = ROOT / "imports" / "marketingcloud" / "marketingcloud.wsdl"
SHARED = ROOT.parent / "shared"
VENDOR_WSDL = SHARED / "marketing-cloud" / "etframework.wsdl"
API = "http://exacttarget.com/wsdl/partnerAPI"
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
WSSE = (
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
)
NOON = datetime(2026, 3, 18, 12, 0, tzinfo=UTC)
SUMMARY = [
    *("ImportDefinitionCustomerKey", "TaskResultID", "ImportStatus", "ImportType"),
    *("StartDate", "EndDate", "DestinationID", "ObjectID", "ID", "TotalRows"),
    *("NumberSuccessful", "NumberDuplicated", "NumberErrors"),
]


class TurnedClock:
    """A clock that stands still until it is turned."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def turn(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class Reply:
    """An HTTP answer with its XML."""

    status: int
    text: str
    headers: Any

    @property
    def root(self) -> etree._Element:
        return etree.fromstring(self.text.encode())

    def find(self, name: str) -> str | None:
        """The text of the first element of that local name; None if absent."""
        found = self.root.find(f".//{{*}}{name}")
        return None if found is None else found.text or ""

    @property
    def rows(self) -> list[dict[str, str | None]]:
        """Each Results element as local name: text."""
        return [
            {etree.QName(child).localname: child.text for child in row}
            for row in self.root.findall(f".//{{{API}}}Results")
        ]


class Caller:
    """Speaks to the sandbox as a client of one account would."""

    def __init__(self, server: SandboxServer, client: str = "de") -> None:
        self.server = server
        self.client = client
        self.header = ""

    def ask_token(self, **changes: str) -> requests.Response:
        asked = {
            "grant_type": "client_credentials",
            "client_id": f"nordlicht-{self.client}",
            "client_secret": f"sandbox-secret-{self.client}",
        }
        url = f"{self.server.url}/v2/token"
        return requests.post(url, json={**asked, **changes}, timeout=10)

    def with_token(self) -> Caller:
        token = self.ask_token().json()["access_token"]
        self.header = f'<fueloauth xmlns="http://exacttarget.com">{token}</fueloauth>'
        return self

    def with_password(self, password: str = "sandbox-password") -> Caller:
        self.header = (
            f'<w:Security xmlns:w="{WSSE}"><w:UsernameToken>'
            f"<w:Username>nordlicht-api</w:Username>"
            f"<w:Password>{password}</w:Password></w:UsernameToken></w:Security>"
        )
        return self

    def soap(self, action: str, body: str) -> Reply:
        envelope = (
            f'<s:Envelope xmlns:s="{SOAP}" xmlns:xsi="{XSI}"><s:Header>{self.header}'
            f"</s:Header><s:Body>{body}</s:Body></s:Envelope>"
        )
        return self.send(envelope, action)

    def send(self, envelope: str, action: str | None = None) -> Reply:
        headers = {"Content-Type": "text/xml; charset=utf-8"}
        if action is not None:
            headers["SOAPAction"] = f'"{action}"'
        got = requests.post(
            self.server.soap_url,
            data=envelope.encode(),
            headers=headers,
            timeout=10,
            allow_redirects=False,
        )
        return Reply(got.status_code, got.content.decode(), got.headers)

    def perform(
        self,
        key: str | None = None,
        *,
        object_id: str | None = None,
        mid: int | None = None,
        action: str = "start",
    ) -> Reply:
        ids = f"<ObjectID>{object_id}</ObjectID>" if object_id else ""
        ids += f"<CustomerKey>{escape(key)}</CustomerKey>" if key else ""
        client = f"<Options><Client><ID>{mid}</ID></Client></Options>" if mid else ""
        return self.soap(
            "Perform",
            f'<PerformRequestMsg xmlns="{API}">{client}<Action>{action}</Action>'
            f'<Definitions><Definition xsi:type="ImportDefinition">{ids}</Definition>'
            "</Definitions></PerformRequestMsg>",
        )

    def start(self, key: str) -> str:
        task_id = self.perform(key).root.findtext(f".//{{{API}}}Task/{{{API}}}ID")
        assert task_id is not None
        return task_id

    def retrieve(
        self,
        object_type: str,
        properties: list[str],
        *,
        where: tuple[str, str, list[str]] | None = None,
        mid: int | None = None,
        after: str | None = None,
        rest: str = "",
    ) -> Reply:
        client = f"<ClientIDs><ID>{mid}</ID></ClientIDs>" if mid else ""
        asked = "".join(f"<Properties>{name}</Properties>" for name in properties)
        more = f"<ContinueRequest>{after}</ContinueRequest>" if after else ""
        return self.soap(
            "Retrieve",
            f'<RetrieveRequestMsg xmlns="{API}"><RetrieveRequest>{client}'
            f"<ObjectType>{object_type}</ObjectType>{asked}{_filter(where)}{more}"
            f"{rest}</RetrieveRequest></RetrieveRequestMsg>",
        )

    def results(self, *task_ids: str) -> list[dict[str, str | None]]:
        where = ("TaskResultID", "IN", list(task_ids))
        return self.retrieve("ImportResultsSummary", SUMMARY, where=where).rows


def _filter(where: tuple[str, str, list[str]] | None) -> str:
    if where is None:
        return ""
    name, operator, values = where
    texts = "".join(f"<Value>{escape(value)}</Value>" for value in values)
    return (
        f'<Filter xsi:type="SimpleFilterPart"><Property>{name}</Property>'
        f"<SimpleOperator>{operator}</SimpleOperator>{texts}</Filter>"
    )


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture
def server(clock: TurnedClock) -> Iterator[SandboxServer]:
    world = World(clock=clock, pace_seconds=10)
    with SandboxServer(OUR_WSDL, world=world) as server:
        yield server


@pytest.fixture
def caller(server: SandboxServer) -> Caller:
    """Nordlicht DE with a token."""
    return Caller(server).with_token()
