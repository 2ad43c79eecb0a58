"""Carries out what the sandbox can do: token, Retrieve, Perform, GetSystemStatus."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from lxml import etree

from imports.sandbox import envelopes, responses, retrieve
from imports.sandbox.catalogue import Account, Behaviour, Facts
from imports.sandbox.control import Call, Rule, Switches
from imports.sandbox.envelopes import Envelope, text_of, texts_of, type_of
from imports.sandbox.responses import Answer, Fault, message, named_fault, tag
from imports.sandbox.retrieve import RetrieveError
from imports.sandbox.tasks import summary_at
from imports.sandbox.world import World

MESSAGES: Mapping[str, str] = {
    "Retrieve": "RetrieveRequestMsg",
    "Perform": "PerformRequestMsg",
    "GetSystemStatus": "SystemStatusRequestMsg",
}
PAGE_SIZE = 2500
RESTS_REMEMBERED = 500
NO_ACCESS, WRONG_TYPE = 4, 5
NO_KEY, NOT_FOUND, NOT_VALID = 43000, 43010, 43060
KEY_FILTERS = ("CustomerKey", "ImportDefinitionCustomerKey")

Mids = tuple[int, ...]
Rest = tuple[str, list[str], list[Facts]]  # object type, properties, rows


class RefusedError(Exception):
    """One definition is not started: the vendor's ErrorCode and words."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(kw_only=True)
class Service:
    """The token endpoint and the SOAP service, without HTTP."""

    world: World
    contract: envelopes.Contract
    switches: Switches
    authenticator: envelopes.Authenticator
    page_size: int = PAGE_SIZE

    def __post_init__(self) -> None:
        # By RequestID, what ContinueRequest with it still fetches.
        self._rests: dict[str, Rest] = {}

    def token(
        self, base_url: str, _call: Call, body: bytes, refusal: Rule | None = None
    ) -> Answer:
        """Answer POST /v2/token; with `refusal` as if the client were unknown."""
        request, error = _json_object(body), responses.token_error
        if not refusal and request is None:
            return error("invalid_request", "The body is not a JSON object.")
        request = request or {}
        account = self._account_of_client(request)
        if not refusal and request.get("grant_type") != "client_credentials":
            return error("unsupported_grant_type", "Use client_credentials.")
        secret = request.get("client_secret")
        if refusal or not account or account.client_secret != secret:
            return error(
                "invalid_client",
                "Client authentication failed. Make sure that the client ID and client "
                "secret are valid and that the package is installed and enabled.",
                401,
                error_uri="https://developer.salesforce.com/docs",
            )
        if str(request.get("account_id") or account.mid) != str(account.mid):
            # The other shape of a refusal: right client, account out of its reach.
            content = {
                "documentation": "https://developer.salesforce.com/docs",
                "errorcode": 0,
                "message": "Not Authorized",
            }
            return responses.json_answer(content, 401, "Not Authorized")
        return responses.token_answer(self.authenticator.issue(account.mid), base_url)

    def note_token(self, call: Call, body: bytes) -> None:
        """Enter the call's account as far as it can be known."""
        if account := self._account_of_client(_json_object(body) or {}):
            call.account, call.mid = account.name, account.mid

    def _account_of_client(self, request: Mapping[str, Any]) -> Account | None:
        client_id = request.get("client_id")
        accounts = self.world.catalogue.accounts
        return next((a for a in accounts if a.client_id == client_id), None)

    def note_soap(self, soap_action: str, call: Call, body: bytes) -> None:
        """Enter the call's operation, account and object as far as they are known."""
        try:
            envelope = Envelope(body, soap_action)
            call.operation = envelope.action or call.operation
            kinds = [type_of(definition) for definition in envelope.definitions]
            kind = text_of(envelope.request, "ObjectType")
            call.object_type = kind or (kinds[0] if kinds else None)
            keys = [text_of(each, "CustomerKey") for each in envelope.definitions]
            part = envelope.request.find(tag("Filter"))
            if part is not None:
                call.filter_operator = text_of(part, "SimpleOperator")
                if text_of(part, "Property") in KEY_FILTERS:
                    keys += texts_of(part, "Value")
            call.customer_keys = [key for key in keys if key]
            mids, _ = self._scope(envelope)
        except (envelopes.NotXmlError, Fault):
            return  # carrying it out will say what is wrong
        if account := self.world.catalogue.account_named(mids[0]):
            call.account, call.mid = account.name, account.mid

    def soap(
        self, soap_action: str, call: Call, body: bytes, refusal: Rule | None = None
    ) -> Answer:
        """Answer POST /Service.asmx; with `refusal` nothing is carried out."""
        relates_to = ""
        try:
            envelope = Envelope(body, soap_action)
            relates_to = envelope.message_id
            content = self._carry_out(call, envelope, refusal)
        except envelopes.NotXmlError:
            # What IIS says to XML that cannot be parsed.
            plain = "text/plain; charset=utf-8"
            return Answer(400, b"Bad Request", plain, summary="bad request")
        except Fault as fault:
            now = self.world.clock()
            return responses.fault_answer(fault, now=now, relates_to=relates_to)
        return responses.soap_answer(
            content,
            action=f"{envelope.action}Response",
            now=self.world.clock(),
            relates_to=relates_to,
        )

    def _carry_out(
        self, call: Call, envelope: Envelope, refusal: Rule | None
    ) -> etree._Element:
        expected = MESSAGES.get(envelope.action)
        if expected is None:
            text = "Server did not recognize the value of HTTP Header SOAPAction: "
            raise named_fault("client", f"{text}{envelope.action}.")
        if envelope.message.tag != tag(expected):
            raise named_fault("client", f"{expected} was expected.")
        self.contract.check(envelope.message)
        mids, foreign = self._scope(envelope)
        call.request_id = request_id = str(uuid4())
        options = refusal.options if refusal else {}
        if envelope.action == "GetSystemStatus":
            result = {
                "StatusCode": "OK",
                "StatusMessage": "System Status Retrieved",
                "SystemStatus": self.switches.system_status,
            }
            content = {"Results": {"Result": result}, **_overall("OK", "", request_id)}
            return message("SystemStatusResponseMsg", content)
        if envelope.action == "Perform":
            refused: RefusedError | None = None
            if foreign:
                refused = RefusedError(NO_ACCESS, f"No access to account {mids[0]}.")
            elif refusal:
                refused = RefusedError(options["code"], options["text"])
            return self._perform(call, envelope, mids[0], refused)
        try:
            if refusal:
                raise RetrieveError(f"Error: {options['text']}")
            if foreign:
                raise RetrieveError(
                    f"Error: API Permission Failed. MID {foreign[0]} is not within "
                    "reach of this user."
                )
            return self._page(call, envelope.request, mids)
        except RetrieveError as exc:
            content = {"OverallStatus": exc, "RequestID": request_id}
            return message("RetrieveResponseMsg", content)

    def _scope(self, envelope: Envelope) -> tuple[Mids, Mids]:
        """The accounts that a request is about, and those of them out of reach."""
        reach = self.authenticator.mids_of(envelope.header)
        if text_of(envelope.request, "QueryAllAccounts") in ("true", "1"):
            return reach, ()
        named = tuple(envelope.named_mids)
        return named or reach[:1], tuple(mid for mid in named if mid not in reach)

    def _page(self, call: Call, request: etree._Element, mids: Mids) -> etree._Element:
        """RetrieveResponseMsg with one page; raises RetrieveError."""
        if continued := text_of(request, "ContinueRequest"):
            if continued not in self._rests:
                raise RetrieveError(f"Error: ContinueRequest {continued} is not known.")
            object_type, properties, rows = self._rests[continued]
        else:
            object_type = text_of(request, "ObjectType") or ""
            properties = texts_of(request, "Properties")
            rules = self.switches.options_of("property_refused", call)
            retrieve.check_properties(
                object_type, properties, [rule["property"] for rule in rules]
            )
            rows = list(self._rows(call, request, mids))
        size = self.page_size
        batch_size = request.findtext(f"{tag('Options')}/{tag('BatchSize')}")
        if batch_size and int(batch_size) > 0:
            size = min(int(batch_size), size)
        has_more = len(rows) > size
        if has_more:
            self._rests[str(call.request_id)] = object_type, properties, rows[size:]
            if len(self._rests) > RESTS_REMEMBERED:
                del self._rests[next(iter(self._rests))]  # the oldest
        content = {
            "OverallStatus": "MoreDataAvailable" if has_more else "OK",
            "RequestID": call.request_id,
            # no element at all where there are no rows
            "Results": [
                retrieve.row_content(object_type, row, properties)
                for row in rows[:size]
            ],
        }
        return message("RetrieveResponseMsg", content)

    def _rows(self, call: Call, request: etree._Element, mids: Mids) -> Iterator[Facts]:
        """The properties of all rows that the filter lets pass."""
        part, object_type = request.find(tag("Filter")), text_of(request, "ObjectType")
        has_in = part is not None and text_of(part, "SimpleOperator") == "IN"
        is_refused = has_in and self.switches.take("within", call, "in_refused")
        operators = ("equals",) if is_refused else ("equals", "IN")
        wanted = retrieve.read_filter(part, object_type or "", operators)
        if object_type == "ImportDefinition":
            rules = [] if wanted else self.switches.options_of("not_listed", call)
            unlisted = {rule["key"] for rule in rules}
            for definition in self.world.definitions(mids):
                facts = definition.facts
                is_wanted = wanted is None or facts[wanted[0]] in wanted[1]
                if is_wanted and definition.customer_key not in unlisted:
                    yield facts
            return
        now = self.world.clock()
        for task in self.world.tasks(mids):
            key = task.definition.customer_key
            if wanted:
                value = str(task.task_id) if wanted[0] == "TaskResultID" else key
                if value not in wanted[1]:
                    continue
            if row := summary_at(task, now):
                # A rule matches the row's definition, whichever was asked about.
                about = replace(call, customer_keys=[key] if key else [])
                for options in self.switches.options_of("rows_say", about):
                    row = {**row, **options["properties"]}
                yield row

    def _perform(
        self, call: Call, envelope: Envelope, mid: int, refused: RefusedError | None
    ) -> etree._Element:
        """PerformResponseMsg; each definition is started, or refused in words."""
        action = text_of(envelope.message, "Action") or ""
        results = []
        for element in envelope.definitions:
            try:
                if refused:
                    raise refused
                result = self._start(call, element, action, mid)
            except RefusedError as exc:
                texts = {"StatusCode": "Error", "StatusMessage": exc}
                texts["ErrorCode"] = exc.code
                result = {**texts, "Task": texts}
            named = {
                "@type": type_of(element),
                "PartnerKey": None,
                "ObjectID": text_of(element, "ObjectID"),
                "CustomerKey": text_of(element, "CustomerKey"),
                "IsPlatformObject": False,
            }
            task = result.pop("Task", None)  # comes last in the schema
            results.append({**result, "Object": named, "Task": task})
        codes = {result["StatusCode"] for result in results}
        status = "Has Errors" if "OK" in codes else "Error"
        if codes == {"OK"}:
            status = "OK"
        words = "" if results else "No definitions were given."
        content = {
            "Results": {"Result": results} if results else None,
            **_overall(status, words, call.request_id),
        }
        return message("PerformResponseMsg", content)

    def _start(
        self, call: Call, element: etree._Element, action: str, mid: int
    ) -> dict[str, object]:
        """Start one definition; its Result. Raises RefusedError."""
        kind = type_of(element)
        if kind != "ImportDefinition" or action.lower() != "start":
            text = f"Cannot perform {action} on objects of type {kind}."
            raise RefusedError(WRONG_TYPE, text)
        key, object_id = text_of(element, "CustomerKey"), text_of(element, "ObjectID")
        if not key and not object_id:
            raise RefusedError(NO_KEY, "ImportDefinition CustomerKey not specified.")
        definition = self.world.find(mid, customer_key=key, object_id=object_id)
        if definition is None:
            text = f"ImportDefinition not found: {key or object_id}."
            raise RefusedError(NOT_FOUND, text)
        if definition.behaviour is Behaviour.REFUSED:
            text = (
                "ImportDefinition validation error: the file location "
                '"Outlet SFTP" is no longer active.'
            )
            raise RefusedError(NOT_VALID, text)
        row_delay_seconds: float | None = self.world.row_delay_seconds
        if rule := self.switches.take("within", call, "rows_late", "rows_never"):
            late = rule.what == "rows_late"
            row_delay_seconds = float(rule.options["seconds"]) if late else None
        task = self.world.start(
            definition,
            "perform",
            row_delay_seconds,
            identified_by="CustomerKey" if key else "ObjectID",
            connection=call.connection,
            request_id=call.request_id,
        )
        words = "ImportDefinition performed"
        if self.switches.take("within", call, "no_task_id"):
            return {"StatusCode": "OK", "StatusMessage": words}
        return {
            "StatusCode": "OK",
            "StatusMessage": f"{words} AsyncID:{task.task_id}",
            "Task": {
                "StatusCode": "OK",
                "StatusMessage": "OK",
                "ID": task.task_id,
                "InteractionObjectID": uuid4(),
            },
        }

    def empty_answer(self, operation: str) -> Answer:
        """An OK with nothing in it, to be spoilt when nothing was done."""
        if operation == "token":
            return responses.token_answer("nothing", "http://127.0.0.1", 0)
        content = _overall("OK", "", str(uuid4()))
        return responses.soap_answer(
            message(f"{operation}ResponseMsg", content),
            action=f"{operation}Response",
            now=self.world.clock(),
        )


def _json_object(body: bytes) -> dict[str, Any] | None:
    try:
        document = json.loads(body)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _overall(status: str, words: str, request_id: str | None) -> dict[str, object]:
    """The end of every response but Retrieve's; the words are there even if empty."""
    return {
        "OverallStatus": status,
        "OverallStatusMessage": words,
        "RequestID": request_id,
    }
