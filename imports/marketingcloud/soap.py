"""zeep's part: typed requests from our own WSDL, sent over our own HTTP.

zeep builds the envelope; we send it, and `parse.py` reads the answer. zeep's own
reading loses data (ADR 0002).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import zeep
from lxml import etree
from zeep import xsd
from zeep.wsdl import Document

from imports.marketingcloud import errors
from imports.marketingcloud.auth import Signer
from imports.marketingcloud.http import Answer, HttpSession, retry_read
from imports.marketingcloud.parse import Message, read_message
from imports.marketingcloud.records import Limits
from imports.marketingcloud.retrieve import Where
from imports.reasons import Reason

WSDL_PATH = Path(__file__).with_name("marketingcloud.wsdl")
NAMESPACE = "http://exacttarget.com/wsdl/partnerAPI"
_SETTINGS = zeep.Settings(forbid_dtd=True)

# At DEBUG zeep's transport would print whole envelopes, secrets included.
logging.getLogger("zeep.transports").setLevel(logging.INFO)

Gate = Callable[[], AbstractContextManager[None]]


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


@dataclass(kw_only=True)
class SoapService:
    """Marketing Cloud's SOAP service at one address, with one set of credentials.

    `mid` is the business unit to name in requests, None where the token does. Each
    read waits at `gate`; a Perform's caller has passed one before its claim.
    """

    url: str
    http: HttpSession
    signer: Signer
    mid: str | None
    limits: Limits
    gate: Gate = nullcontext

    def __post_init__(self) -> None:
        # zeep only builds envelopes here: what is given as its transport sends nothing
        self._zeep = zeep.Client(document(), transport=self.http, settings=_SETTINGS)
        self._types = self._zeep.type_factory(NAMESPACE)

    def retrieve(
        self,
        object_type: str,
        properties: Sequence[str],
        where: Where | None,
        continue_request: str | None,
    ) -> Message:
        client = self._client()
        request = self._types.RetrieveRequest(
            ClientIDs=[client] if client else None,
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
            raise errors.RequestRefusedError(
                "The import definition has neither a customer key nor an ObjectID,"
                " so it cannot be started. Nothing was sent.",
                reason=Reason.NOT_FOUND,
            )
        client = self._client()
        return self._call(
            "Perform",
            "PerformResponseMsg",
            send_before=send_before,
            is_start=True,
            Options=self._types.PerformOptions(Client=client) if client else None,
            Action="start",
            Definitions={"Definition": [self._types.ImportDefinition(**name)]},
        )

    def system_status(self) -> Message:
        return self._call("GetSystemStatus", "SystemStatusResponseMsg")

    def _client(self) -> Any:
        if not self.mid:
            return None
        if not (self.mid.isascii() and self.mid.isdecimal()):
            raise errors.RequestRefusedError(
                "The account's MID is not a number. Nothing was sent.",
                reason=Reason.WRONG_MID,
            )
        return self._types.ClientID(ID=int(self.mid))

    def _call(
        self,
        operation: str,
        answers_with: str,
        *,
        send_before: float | None = None,
        is_start: bool = False,
        **arguments: Any,
    ) -> Message:
        def send_and_read(header: etree._Element) -> Message:
            envelope = self._zeep.create_message(
                self._zeep.service, operation, _soapheaders=[header], **arguments
            )
            post = partial(
                self.http.post,
                self.url,
                etree.tostring(envelope, xml_declaration=True, encoding="utf-8"),
                {
                    "SOAPAction": f'"{operation}"',
                    "Content-Type": "text/xml; charset=utf-8",
                },
                send_before=send_before,
                fresh=is_start,
                operation=operation,
            )

            def read() -> Answer:
                with self.gate():
                    return post()

            # A Perform may have started an import: it is never tried again here.
            answer = post() if is_start else retry_read(read, self.limits)
            return read_message(answer, answers_with)

        # "Token Expired" is the one answer after which a Perform is sent again: it
        # proves that nothing was performed. A second one is an AuthenticationError.
        with suppress(errors.TokenExpiredError):
            return send_and_read(self.signer.header())
        return send_and_read(self.signer.header(renewed=True))
