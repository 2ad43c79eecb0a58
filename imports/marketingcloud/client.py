"""MarketingCloudClient: what mcdash asks of Marketing Cloud, in its own words."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial

from imports.marketingcloud import errors, parse, records
from imports.marketingcloud.auth import OAuthSigner, Signer, TokenStore, UsernameSigner
from imports.marketingcloud.http import HttpSession, RequestHook
from imports.marketingcloud.perform import read_started
from imports.marketingcloud.redact import redacted
from imports.marketingcloud.retrieve import Retriever, Rows, joined
from imports.marketingcloud.soap import Gate, SoapService
from imports.marketingcloud.sockets import PeerCheck

logger = logging.getLogger(__name__)

_NO_LIMITS_GIVEN = records.Limits()
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
    holds a place before the claim. `on_request` is told of each request.
    """

    def __init__(
        self,
        *,
        soap_url: str,
        credentials: records.OAuthCredentials | records.UsernameCredentials,
        tokens: TokenStore,
        limits: records.Limits = _NO_LIMITS_GIVEN,
        refused_properties: Iterable[str] = (),
        takes_in: bool | None = None,
        proxy: str | None = None,
        check_peer: PeerCheck | None = None,
        gate: Gate = nullcontext,
        on_request: RequestHook | None = None,
    ) -> None:
        session = partial(
            HttpSession, proxy=proxy, check_peer=check_peer, on_request=on_request
        )
        self._http = session(limits=limits)
        mid: str | None = None  # a token is for one business unit already
        if isinstance(credentials, records.UsernameCredentials):
            self._signer: Signer = UsernameSigner(credentials)
            mid = credentials.mid
        else:
            # a session of its own: another host, and an answer that is always small
            cap = min(limits.max_answer_bytes, _MOST_TOKEN_ANSWER_BYTES)
            token_http = session(limits=replace(limits, max_answer_bytes=cap))
            self._signer = OAuthSigner(credentials, tokens, token_http)
        self._soap = SoapService(
            url=soap_url,
            http=self._http,
            signer=self._signer,
            mid=mid,
            limits=limits,
            gate=gate,
        )
        self._retriever = Retriever(
            self._soap.retrieve,
            refused=refused_properties,
            takes_in=takes_in,
            clean=self._printable,
        )

    def close(self) -> None:
        """Closes the kept connection; the client may still be used."""
        self._http.close()

    def authenticate(self) -> None:
        """Makes sure that a usable token is at hand; a user name is not tried.

        Raises AuthenticationError or UnavailableError.
        """
        with self._translated_errors():
            self._signer.header()

    def list_definitions(
        self, *, on_page: Callable[[int], None] | None = None
    ) -> records.DefinitionList:
        """All import definitions of the account, over all pages; `on_page` is told
        how many were read so far.

        Raises AuthenticationError, RequestRefusedError, UnavailableError or
        OutcomeUnknownError; asking again is harmless.
        """
        with self._translated_errors():
            found = self._retriever.rows(parse.DEFINITIONS, on_page=on_page)
        return self._definition_list(found)

    def find_definitions(
        self, wanted: Sequence[tuple[str | None, str]]
    ) -> records.DefinitionList:
        """Those that exist of the definitions with these ObjectIDs and customer keys,
        asked for by name; for what a listing lacks, which need not be gone.

        First by ObjectID; by key what has none, was not found by it, or where the
        account does not take that question. Others that answer to such a key are
        among them. Raises as `list_definitions` does.
        """
        ids = [object_id for object_id, _key in wanted if object_id]
        with self._translated_errors():
            try:
                by_id = self._retriever.rows_by(parse.DEFINITIONS, "ObjectID", ids)
            except errors.QuestionRefusedError:
                if not all(key for _id, key in wanted):
                    raise
                by_id = joined([])
            known = {row.object_id for row in by_id.rows if row.object_id}
            keys = [key for object_id, key in wanted if object_id not in known]
            by_key = self._retriever.rows_by(parse.DEFINITIONS, "CustomerKey", keys)
        return self._definition_list(joined([by_id, by_key]))

    def _definition_list(
        self, found: Rows[records.DefinitionRecord]
    ) -> records.DefinitionList:
        # A definition that moves while we turn pages comes twice; the later is fresher.
        latest = {(row.object_id, row.customer_key): row for row in found.rows}
        return records.DefinitionList(
            definitions=tuple(latest.values()),
            refused_properties=self._retriever.refused,
            is_whole=found.is_whole,
        )

    def start_definition(
        self,
        *,
        customer_key: str,
        object_id: str | None = None,
        send_before: float | None = None,
    ) -> records.StartedImport:
        """Performs "start" once, by customer key, or by ObjectID where it is empty.

        `send_before` is a `time.monotonic()` value, checked right before the bytes
        go out; too late raises UnavailableError. After OutcomeUnknownError the
        import may be running: it must not be started again.
        """
        with self._translated_errors():
            message = self._soap.perform_start(
                customer_key=customer_key, object_id=object_id, send_before=send_before
            )
            started = read_started(message, customer_key=customer_key)
        against = started.contradiction
        return replace(
            started,
            status_message=self._redacted(started.status_message),
            contradiction=against and self._redacted(against),
        )

    def results_of_tasks(self, task_ids: Sequence[str]) -> records.ImportResults:
        """The results of these tasks; a task without a row yet is simply absent."""
        return self._results("TaskResultID", task_ids)

    def results_of_definitions(
        self, customer_keys: Sequence[str]
    ) -> records.ImportResults:
        """All results that Marketing Cloud remembers of these definitions."""
        return self._results("ImportDefinitionCustomerKey", customer_keys)

    def all_results(self) -> records.ImportResults:
        """All results that Marketing Cloud remembers in this business unit, also of
        imports without a customer key, which no other question finds.
        """
        with self._translated_errors():
            return self._import_results(self._retriever.rows(parse.RESULTS))

    def _results(self, name: str, values: Sequence[str]) -> records.ImportResults:
        with self._translated_errors():
            answer = self._retriever.rows_by(parse.RESULTS, name, values)
        asked = {value.casefold() for value in values}
        field = "task_id" if name == "TaskResultID" else "customer_key"
        # another import's row must never settle a run, whatever the filter let through
        rows = [row for row in answer.rows if getattr(row, field).casefold() in asked]
        if left_out := len(answer.rows) - len(rows):
            logger.warning("Left out %d rows not asked for", left_out)
        return self._import_results(replace(answer, rows=rows))

    def _import_results(
        self, answer: Rows[records.ImportResult]
    ) -> records.ImportResults:
        return records.ImportResults(
            # without doubles: a row that moves while we turn pages comes twice
            results=tuple(dict.fromkeys(answer.rows)),
            takes_in=answer.takes_in,
            refused_properties=self._retriever.refused,
            is_whole=answer.is_whole,
        )

    def check_connection(self) -> records.ConnectionReport:
        """Asks GetSystemStatus, which proves address and credentials."""
        with self._translated_errors():
            message = self._soap.system_status()
            parse.overall_status(message)
            results = parse.child(message.element, "Results")
            result = parse.child(results, "Result")
            system_status = parse.text(result, "SystemStatus")
            if not system_status:
                raise errors.OutcomeUnknownError(
                    "Marketing Cloud's answer names no system status."
                )
            return records.ConnectionReport(
                system_status=system_status,
                system_message=self._redacted(parse.text(result, "StatusMessage")),
                soap_instance_url=self._signer.instance_url,
            )

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        """Turns every failure into a `MarketingCloudError` without secrets in it."""
        # what an earlier call sent says nothing about this one
        self._http.sent = False
        try:
            yield
        except errors.MarketingCloudError as error:
            error.message = self._printable(error.message)
            error.args = (error.message,)
            error.words = error.vendor_message = self._printable(error.vendor_message)
            error.code = error.code and self._printable(error.code)[:_MOST_CODE]
            error.request_id = error.request_id and self._printable(error.request_id)
            raise
        except Exception as exc:
            # A mistake of ours, or an answer nobody thought of. What the caller may
            # do next depends only on whether the request went out.
            logger.exception("Unforeseen failure in a call to Marketing Cloud")
            if self._http.sent:
                raise errors.OutcomeUnknownError(
                    "Marketing Cloud's answer could not be understood."
                ) from exc
            raise errors.UnavailableError(
                "The request to Marketing Cloud could not be made. Nothing was sent."
            ) from exc

    def _printable(self, words: str) -> str:
        return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", self._redacted(words))

    def _redacted(self, words: str) -> str:
        return redacted(words, self._signer.secrets())
