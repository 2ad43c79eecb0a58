"""MarketingCloudClient: what mcdash asks of Marketing Cloud, in its own words."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace

from lxml import etree

from imports.marketingcloud.auth import (
    OAuthSigner,
    Signer,
    TokenStore,
    UsernameSigner,
)
from imports.marketingcloud.errors import (
    MarketingCloudError,
    OutcomeUnknownError,
    QuestionRefusedError,
    UnavailableError,
    overall_error,
)
from imports.marketingcloud.http import Observer, Wire, unobserved
from imports.marketingcloud.parse import (
    DEFINITIONS,
    RESULTS,
    Message,
    child,
    refuse_contradiction,
    text,
)
from imports.marketingcloud.perform import read_started
from imports.marketingcloud.records import (
    ConnectionReport,
    DefinitionList,
    DefinitionRecord,
    ImportResults,
    Limits,
    OAuthCredentials,
    StartedImport,
    UsernameCredentials,
)
from imports.marketingcloud.redact import scrubbed
from imports.marketingcloud.retrieve import Retriever, Rows
from imports.marketingcloud.soap import Gate, SoapService
from imports.marketingcloud.sockets import PeerCheck

logger = logging.getLogger(__name__)

_NO_LIMITS_GIVEN = Limits()
_MOST_TOKEN_ANSWER_BYTES = 1024 * 1024
_MOST_CODE = 100
# What no database, log or terminal should be given: control characters, and halves
# of characters, which JSON can carry and UTF-8 cannot.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]")


class MarketingCloudClient:
    """One account's Marketing Cloud; used by one thread at a time.

    Every verb raises a `MarketingCloudError` and nothing else. `soap_url` is the
    full address of the service. `refused_properties` ("ObjectType:Property") and
    `takes_in` are what earlier clients learned about the account. `check_peer` is
    called with the IP address of each new connection before anything is sent and
    may raise a `MarketingCloudError`. Each read is sent inside `gate()`, which
    may wait and may raise a `MarketingCloudError`; a start is not, its caller
    holds a place before the claim. `observe` is told of each request on the wire.
    """

    def __init__(
        self,
        *,
        soap_url: str,
        credentials: OAuthCredentials | UsernameCredentials,
        tokens: TokenStore,
        limits: Limits = _NO_LIMITS_GIVEN,
        refused_properties: Iterable[str] = (),
        takes_in: bool | None = None,
        proxy: str | None = None,
        check_peer: PeerCheck | None = None,
        gate: Gate = nullcontext,
        observe: Observer = unobserved,
    ) -> None:
        self._wire = Wire(
            limits=limits, proxy=proxy, check_peer=check_peer, observe=observe
        )
        token_wire = Wire(
            limits=_token_limits(limits),
            proxy=proxy,
            check_peer=check_peer,
            observe=observe,
        )
        self._signer = _signer(credentials, tokens, token_wire)
        self._soap = SoapService(
            url=soap_url,
            wire=self._wire,
            signer=self._signer,
            mid=credentials.mid
            if isinstance(credentials, UsernameCredentials)
            else None,
            limits=limits,
            gate=gate,
        )
        self._retriever = Retriever(
            self._soap.retrieve, refused=refused_properties, takes_in=takes_in
        )

    def close(self) -> None:
        """Closes the kept connection; the client may still be used."""
        self._wire.close()

    def authenticate(self) -> None:
        """Makes sure that a usable token is at hand.

        Does nothing for a user name, which is only tried with a request. Raises
        AuthenticationError or UnavailableError.
        """
        with self._speaking_plainly():
            self._signer.header()

    def list_definitions(
        self, *, on_page: Callable[[int], None] | None = None
    ) -> DefinitionList:
        """All import definitions of the account, over all pages; `on_page` is told
        how many were read so far.

        Raises AuthenticationError, RequestRefusedError, UnavailableError or
        OutcomeUnknownError; asking again is harmless.
        """
        with self._speaking_plainly():
            found = self._retriever.rows(DEFINITIONS, on_page=on_page)
        return self._definition_list(found)

    def find_definitions(
        self, wanted: Sequence[tuple[str | None, str]]
    ) -> DefinitionList:
        """Those that exist of the definitions with these ObjectIDs and customer keys,
        asked for by name; for what a listing lacks, which need not be gone.

        First by ObjectID; by key what has none, was not found by it, or where the
        account does not take that question. Others that answer to such a key are
        among them. Raises as `list_definitions` does.
        """
        ids = [object_id for object_id, _key in wanted if object_id]
        with self._speaking_plainly():
            try:
                by_id = self._retriever.rows_by(DEFINITIONS, "ObjectID", ids)
            except QuestionRefusedError:
                if not all(key for _id, key in wanted):
                    raise
                by_id = Rows(rows=[], is_whole=True)
            known = {row.object_id for row in by_id.rows if row.object_id}
            keys = [key for object_id, key in wanted if object_id not in known]
            by_key = self._retriever.rows_by(DEFINITIONS, "CustomerKey", keys)
        return self._definition_list(
            Rows(
                rows=[*by_id.rows, *by_key.rows],
                is_whole=by_id.is_whole and by_key.is_whole,
            )
        )

    def _definition_list(self, found: Rows[DefinitionRecord]) -> DefinitionList:
        return DefinitionList(
            definitions=_without_repeats(found.rows),
            refused_properties=self._retriever.refused,
            is_whole=found.is_whole,
        )

    def start_definition(
        self,
        *,
        customer_key: str,
        object_id: str | None = None,
        send_before: float | None = None,
    ) -> StartedImport:
        """Performs "start" once, by customer key, or by ObjectID where it is empty.

        `send_before` is a `time.monotonic()` value, checked right before the bytes
        go out; too late raises UnavailableError. After OutcomeUnknownError the
        import may be running: it must not be started again.
        """
        with self._speaking_plainly():
            message = self._soap.perform_start(
                customer_key=customer_key,
                object_id=object_id,
                send_before=send_before,
            )
            started = read_started(message, customer_key=customer_key)
        return replace(
            started,
            status_message=self._scrubbed(started.status_message),
            contradiction=started.contradiction
            and self._scrubbed(started.contradiction),
        )

    def results_of_tasks(self, task_ids: Sequence[str]) -> ImportResults:
        """The results of these tasks; a task without a row yet is simply absent."""
        return self._results("TaskResultID", task_ids)

    def results_of_definitions(self, customer_keys: Sequence[str]) -> ImportResults:
        """All results that Marketing Cloud remembers of these definitions."""
        return self._results("ImportDefinitionCustomerKey", customer_keys)

    def all_results(self) -> ImportResults:
        """All results that Marketing Cloud remembers in this business unit, also of
        imports without a customer key, which no other question finds.
        """
        with self._speaking_plainly():
            found = self._retriever.rows(RESULTS)
        return ImportResults(
            results=tuple(dict.fromkeys(found.rows)),
            takes_in=None,
            refused_properties=self._retriever.refused,
            is_whole=found.is_whole,
        )

    def check_connection(self) -> ConnectionReport:
        """Asks GetSystemStatus, which proves address and credentials."""
        with self._speaking_plainly():
            result = _system_status(self._soap.system_status())
            return ConnectionReport(
                system_status=text(result, "SystemStatus"),
                system_message=self._scrubbed(text(result, "StatusMessage")),
                soap_instance_url=self._signer.instance_url(),
            )

    def _results(self, name: str, values: Sequence[str]) -> ImportResults:
        with self._speaking_plainly():
            found = self._retriever.rows_by(RESULTS, name, values)
        asked = {value.casefold() for value in values}
        mine = "task_id" if name == "TaskResultID" else "customer_key"
        wanted = [row for row in found.rows if getattr(row, mine).casefold() in asked]
        if left_out := len(found.rows) - len(wanted):
            logger.warning("Left out %d rows not asked for", left_out)
        return ImportResults(
            results=tuple(dict.fromkeys(wanted)),
            takes_in=self._retriever.learned_in,
            refused_properties=self._retriever.refused,
            is_whole=found.is_whole,
        )

    @contextmanager
    def _speaking_plainly(self) -> Iterator[None]:
        """Lets nothing but our errors out, and no secret with them."""
        self._wire.sent = False
        try:
            yield
        except MarketingCloudError as error:
            error.message = self._told(error.message)
            error.args = (error.message,)
            error.code = error.code and self._told(error.code)[:_MOST_CODE]
            error.request_id = error.request_id and self._told(error.request_id)
            raise
        except Exception as exc:
            logger.exception("Unforeseen failure in a call to Marketing Cloud")
            raise self._unforeseen() from exc

    def _unforeseen(self) -> MarketingCloudError:
        if self._wire.sent:
            return OutcomeUnknownError(
                "Marketing Cloud's answer could not be understood."
            )
        return UnavailableError(
            "The request to Marketing Cloud could not be made. Nothing was sent."
        )

    def _told(self, words: str) -> str:
        return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", self._scrubbed(words))

    def _scrubbed(self, words: str) -> str:
        return scrubbed(words, self._signer.secrets())


def _token_limits(limits: Limits) -> Limits:
    cap = min(limits.max_answer_bytes, _MOST_TOKEN_ANSWER_BYTES)
    return replace(limits, max_answer_bytes=cap)


def _signer(
    credentials: OAuthCredentials | UsernameCredentials, tokens: TokenStore, wire: Wire
) -> Signer:
    if isinstance(credentials, OAuthCredentials):
        return OAuthSigner(credentials, tokens, wire)
    return UsernameSigner(credentials)


def _without_repeats(
    found: Iterable[DefinitionRecord],
) -> tuple[DefinitionRecord, ...]:
    # A definition that moves while we turn pages comes twice; the later is fresher.
    return tuple({(one.object_id, one.customer_key): one for one in found}.values())


def _system_status(message: Message) -> etree._Element:
    refuse_contradiction(message)
    element = message.element
    overall = text(element, "OverallStatus")
    result = child(child(element, "Results"), "Result")
    if overall.casefold() != "ok":
        raise overall_error(
            overall, text(element, "OverallStatusMessage"), text(element, "RequestID")
        )
    if result is None or not text(result, "SystemStatus"):
        raise OutcomeUnknownError("Marketing Cloud's answer names no system status.")
    return result
