"""zeep's part: typed requests from our own WSDL, sent over our own HTTP.

zeep builds the envelope and hands it to `Transport`; the answer comes back raw and
is read by `parse.py`. zeep's own reading loses data (ADR 0002).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import zeep
from lxml import etree
from zeep import xsd
from zeep.wsdl import Document

from imports.marketingcloud.auth import Signer
from imports.marketingcloud.errors import (
    RequestRefusedError,
    TokenExpiredError,
)
from imports.marketingcloud.http import Answer, HttpSession, retry_read
from imports.marketingcloud.parse import Message, read_message
from imports.marketingcloud.records import Limits
from imports.marketingcloud.retrieve import Where
from imports.reasons import Reason

WSDL_PATH = Path(__file__).with_name("marketingcloud.wsdl")
NAMESPACE = "http://exacttarget.com/wsdl/partnerAPI"
_BINDING = f"{{{NAMESPACE}}}SoapBinding"
_SETTINGS = zeep.Settings(raw_response=True, forbid_dtd=True)

# At DEBUG zeep's transport would print whole envelopes, secrets included.
logging.getLogger("zeep.transports").setLevel(logging.INFO)


Gate = Callable[[], AbstractContextManager[None]]


class Transport:
    """What zeep sends through. `send_before`, `fresh` and `operation` are the next
    request's.
    """

    def __init__(self, http: HttpSession) -> None:
        self._http = http
        self.send_before: float | None = None
        self.fresh = False
        self.operation = ""

    def post_xml(
        self, address: str, envelope: etree._Element, headers: Mapping[str, str]
    ) -> Answer:
        """Sends an envelope; zeep gives the answer back untouched."""
        return self._http.post(
            address,
            etree.tostring(envelope, xml_declaration=True, encoding="utf-8"),
            headers,
            send_before=self.send_before,
            fresh=self.fresh,
            operation=self.operation,
        )


class _Disk:
    """Loads nothing but our own WSDL: no request is ever made for a document."""

    def load(self, url: str) -> bytes:
        if Path(url) != WSDL_PATH:
            raise ValueError(f"{url} is not our WSDL")
        return WSDL_PATH.read_bytes()


# Parsing it is slow, and threads that begin together would each do it.
_document_lock = threading.Lock()
_documents: list[Document] = []


def document() -> Document:
    """Our WSDL, parsed once in a process."""
    with _document_lock:
        if not _documents:
            disk: Any = _Disk()
            _documents.append(Document(str(WSDL_PATH), disk, settings=_SETTINGS))
        return _documents[0]


class SoapService:
    """Marketing Cloud's SOAP service at one address, with one set of credentials.

    `mid` is the business unit to name in requests, None where the token does. Each
    read waits at `gate`; a Perform's caller has passed one before its claim.
    """

    def __init__(
        self,
        *,
        url: str,
        http: HttpSession,
        signer: Signer,
        mid: str | None,
        limits: Limits,
        gate: Gate = nullcontext,
    ) -> None:
        self._transport = Transport(http)
        self._signer = signer
        self._mid = mid
        self._gate = gate
        self._limits = limits
        client = zeep.Client(document(), transport=self._transport, settings=_SETTINGS)
        self._types = client.type_factory(NAMESPACE)
        self._operations = client.create_service(_BINDING, url)

    def retrieve(
        self,
        *,
        object_type: str,
        properties: Sequence[str],
        where: Where | None,
        continue_request: str | None,
    ) -> Message:
        """One page of a Retrieve."""
        request = self._types.RetrieveRequest(
            ClientIDs=[self._client()] if self._mid else None,
            ObjectType=object_type,
            Properties=list(properties),
            Filter=where
            and self._types.SimpleFilterPart(
                Property=where.name,
                SimpleOperator="IN" if len(where.values) > 1 else "equals",
                # a list: zeep would send a tuple as the text "('a', 'b')"
                Value=list(where.values),
            ),
            ContinueRequest=continue_request,
        )
        return self._call("Retrieve", "RetrieveResponseMsg", RetrieveRequest=request)

    def perform_start(
        self, *, customer_key: str, object_id: str | None, send_before: float | None
    ) -> Message:
        """Perform's start for one definition, over a connection of its own.

        A kept connection may be dead without our knowing; a Perform lost in one
        would be a run whose outcome is unknown.
        """
        if customer_key:  # the nil ObjectID beside it as in the vendor's sample
            name = {"ObjectID": xsd.Nil, "CustomerKey": customer_key}
        elif object_id:
            name = {"ObjectID": object_id}
        else:
            raise RequestRefusedError(
                "The import definition has neither a customer key nor an ObjectID,"
                " so it cannot be started. Nothing was sent.",
                reason=Reason.NOT_FOUND,
            )
        options = (
            self._types.PerformOptions(Client=self._client()) if self._mid else None
        )
        return self._call(
            "Perform",
            "PerformResponseMsg",
            send_before=send_before,
            is_start=True,
            Options=options,
            Action="start",
            Definitions={"Definition": [self._types.ImportDefinition(**name)]},
        )

    def system_status(self) -> Message:
        """GetSystemStatus's answer."""
        return self._call("GetSystemStatus", "SystemStatusResponseMsg")

    def _client(self) -> Any:
        if self._mid is None or not (self._mid.isascii() and self._mid.isdecimal()):
            raise RequestRefusedError(
                "The account's MID is not a number. Nothing was sent.",
                reason=Reason.WRONG_MID,
            )
        return self._types.ClientID(ID=int(self._mid))

    def _call(
        self,
        operation: str,
        answers_with: str,
        *,
        send_before: float | None = None,
        is_start: bool = False,
        **arguments: Any,
    ) -> Message:
        self._transport.send_before, self._transport.fresh = send_before, is_start
        self._transport.operation = operation

        send_operation: Callable[..., Answer] = self._operations[operation]

        def send_and_read(header: etree._Element) -> Message:
            def send() -> Answer:
                with nullcontext() if is_start else self._gate():
                    return send_operation(_soapheaders=[header], **arguments)

            # A Perform may have started an import: it is never tried again here.
            answer = send() if is_start else retry_read(send, self._limits)
            return read_message(answer, answers_with)

        header = self._signer.header()
        try:
            return send_and_read(header)
        except TokenExpiredError:
            # The one answer after which a Perform is sent again: it proves that
            # nothing was performed. A second one is an AuthenticationError.
            header = self._signer.renewed_header()
        return send_and_read(header)
