"""HTTP on 127.0.0.1: the sandbox as a server, in a thread or as a process.

`/v2/token`, `/Service.asmx` and `/etframework.wsdl` are Marketing Cloud's;
`/control` and `/journal` are for tests (control.py). Addresses are matched without
regard to case, as the real server does.
"""

from __future__ import annotations

import base64
import itertools
import logging
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any, Self
from urllib.parse import parse_qs

from imports.sandbox import control, responses
from imports.sandbox.control import Call, Rule
from imports.sandbox.envelopes import Authenticator, Contract
from imports.sandbox.operations import PAGE_SIZE, Service
from imports.sandbox.responses import Answer
from imports.sandbox.world import UnknownDefinitionError, World

HOST = "127.0.0.1"
MAX_REQUEST_BYTES = 8 * 1024 * 1024
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
NOT_FOUND = responses.html_answer(404, "Not found")
logger = logging.getLogger("imports.sandbox")

Note = Callable[[Call, bytes], None]
CarryOut = Callable[..., Answer]
"""Carries out a Call's body; given a rule as well, it refuses."""


class TooLongError(Exception):
    """The request's body has no length, or a silly one."""


class PortTakenError(Exception):
    """Another program listens on the port."""


class SandboxServer:
    """A small Marketing Cloud, which serves while its context is open.

    `wsdl` is the contract by which requests are judged; `port` 0 takes a free one.
    Raises WsdlError and PortTakenError.
    """

    def __init__(
        self,
        wsdl: Path,
        *,
        world: World | None = None,
        port: int = 0,
        page_size: int = PAGE_SIZE,
    ) -> None:
        self.world = world or World()
        self.switches = control.Switches()
        self.calls = control.Calls()
        self.contract = Contract(wsdl)
        self.service = Service(
            world=self.world,
            contract=self.contract,
            switches=self.switches,
            authenticator=Authenticator(self.world.catalogue, self.world.clock),
            page_size=page_size,
        )
        self.release = Event()
        try:
            self._http = _Http(self, port)
        except OSError as exc:
            raise PortTakenError(
                f"Port {port} of {HOST} cannot be used: {exc.strerror}."
            ) from exc
        self._thread = Thread(target=self._http.serve_forever, args=(0.02,))

    @property
    def url(self) -> str:
        """The base address, without a slash: what `--auth-url` takes."""
        return f"http://{HOST}:{self._http.server_port}"

    @property
    def soap_url(self) -> str:
        """The full address of the service: what `--soap-url` takes."""
        return f"{self.url}/Service.asmx"

    def stop(self) -> None:
        """End everything, hanging connections included, and wait for it."""
        if self._thread.is_alive():
            self._http.shutdown()
            self._thread.join()
        self.release.set()
        self._http.cut_connections()
        self._http.server_close()

    def misbehave(self, what: str, **given: Any) -> Rule:
        """Put a rule of control.py in force; raises control.RuleError."""
        return self.switches.add(what=what, **given)

    def state(self) -> Answer:
        """GET /control: everything that is set, and what was asked."""
        return responses.json_answer({**self.switches.state(), **self.calls.state()})

    def reset(self) -> Answer:
        """Remove all rules, set counts to zero and release calls that hang."""
        self.switches.reset()
        self.calls.reset()
        hanging, self.release = self.release, Event()
        hanging.set()
        return self.state()

    def control(self, body: bytes) -> Answer:
        """POST /control; HTTP 400 with a sentence where it makes no sense."""
        try:
            orders = control.read_orders(body)
            for rule in orders["rules"]:
                self.switches.add(**rule)
            self.switches.change(orders)
            if orders.get("expire_tokens"):
                self.service.authenticator.expire_tokens()
            done = self.switches.state()
            if "start_outside" in orders:
                start = orders["start_outside"]
                account, key = str(start.get("account")), str(start.get("customer_key"))
                done["task_id"] = self.world.start_outside(account, key).task_id
        except (control.RuleError, UnknownDefinitionError) as exc:
            return responses.json_answer({"error": str(exc)}, 400, "refused")
        return responses.json_answer(done)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class _Http(ThreadingHTTPServer):
    """Knows its open connections, so that it can end them."""

    daemon_threads = False
    request_queue_size = 128

    def __init__(self, sandbox: SandboxServer, port: int) -> None:
        self.sandbox = sandbox
        self.numbers = itertools.count(1)
        self.open: dict[int, socket.socket] = {}
        super().__init__((HOST, port), _Handler)

    def cut_connections(self) -> None:
        """Wake every thread that waits for a client."""
        for connection in list(self.open.values()):
            with suppress(OSError):  # it may be gone already
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, _request: Any, client_address: Any) -> None:
        """An error of the sandbox itself: with its traceback, on the logger."""
        logger.exception("The sandbox could not serve %s", client_address)


class _Handler(BaseHTTPRequestHandler):
    """One connection: each call is read, carried out and answered, or spoilt."""

    protocol_version = "HTTP/1.1"
    server_version = "Sandbox"
    disable_nagle_algorithm = True
    server: _Http

    def setup(self) -> None:
        super().setup()
        self.sandbox = self.server.sandbox
        self.number = next(self.server.numbers)
        self.server.open[self.number] = self.connection

    def finish(self) -> None:
        del self.server.open[self.number]
        super().finish()

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError as exc:
            logger.info("connection %d: the client went away (%s)", self.number, exc)

    def log_message(self, *args: Any) -> None:
        """Nothing: `_exchange` writes one line a call."""

    def do_GET(self) -> None:
        route, _, query = self.path.partition("?")
        if route.lower() == "/etframework.wsdl":
            self._send(Answer(body=self.sandbox.contract.text))
        elif route == "/control":
            self._send(self.sandbox.state())
        elif route == "/journal":
            origin = parse_qs(query).get("origin", ["perform"])[0]
            lines = self.sandbox.world.performed(None if origin == "all" else origin)
            self._send(responses.json_answer(lines))
        elif route.lower() == "/service.asmx":
            self._send(responses.html_answer(200, "PartnerAPI"))
        else:
            self._send(NOT_FOUND)

    def do_DELETE(self) -> None:
        is_control = self.path == "/control"
        self._send(self.sandbox.reset() if is_control else NOT_FOUND)

    def do_POST(self) -> None:
        route, service = self.path.partition("?")[0], self.sandbox.service
        try:
            if route.lower() == "/v2/token":
                carry_out = partial(service.token, self.sandbox.url)
                self._exchange("token", service.note_token, carry_out)
            elif route.lower() == "/service.asmx":
                action = (self.headers.get("SOAPAction") or "").strip().strip('"')
                note, carry_out = service.note_soap, partial(service.soap, action)
                self._exchange(action or "unknown", partial(note, action), carry_out)
            else:
                body = self._body()
                # A page in a browser can't send JSON without being asked first (CORS).
                content_type = self.headers.get("Content-Type") or ""
                answer = NOT_FOUND
                if route == "/control" and content_type.startswith("application/json"):
                    answer = self.sandbox.control(body)
                elif route == "/control":
                    error = {"error": "Send JSON with Content-Type application/json."}
                    answer = responses.json_answer(error, 415, "refused")
                self._send(answer)
        except TooLongError:
            self.close_connection = True
            self._send(responses.html_answer(411, "Length required"))

    def _exchange(self, operation: str, note: Note, carry_out: CarryOut) -> None:
        """Serve a call, counted and with a line in the log."""
        sandbox, self.release = self.sandbox, self.sandbox.release
        call = self.call = Call(operation, self.number, sandbox.world.clock())
        sandbox.calls.begin(call)
        try:
            self._serve(note, carry_out)
        finally:
            sandbox.calls.end(call)
            logger.info(
                "connection %d: %s %s %s -> %s",
                call.connection,
                call.operation,
                call.account or "-",
                " ".join(filter(None, [call.object_type, *call.customer_keys])),
                call.answer,
            )

    def _serve(self, note: Note, carry_out: CarryOut) -> None:
        """Read, carry out and answer, as far as the rules of the three times let it."""
        sandbox, call = self.sandbox, self.call
        if rule := self._take("before"):
            self.close_connection = True
            self._spoil(rule, sandbox.service.empty_answer(call.operation))
            if rule.what != "reset":
                # Read what was not read, or the close becomes a reset.
                with suppress(TooLongError):
                    self._body()
            return
        body = self._body()
        note(call, body)
        sandbox.calls.identified(call)
        if rule := self._take("instead"):
            answer = sandbox.service.empty_answer(call.operation)
        else:
            answer = carry_out(call, body)
            rule = self._take("after")
        if rule and rule.what == "refused":
            answer = carry_out(call, body, rule)
        if rule:
            self._spoil(rule, answer)
            return
        self.release.wait(sandbox.switches.latency_seconds)
        call.status, call.answer = answer.status, answer.summary
        self._send(answer)

    def _take(self, when: str) -> Rule | None:
        """A rule that spoils the call; one that only delays it is waited out."""
        rule = self.sandbox.switches.take(when, self.call)
        while rule and rule.what == "delay":
            self.release.wait(float(rule.options["seconds"]))
            rule = self.sandbox.switches.take(when, self.call, *control.SPOILING_KINDS)
        return rule

    def _body(self) -> bytes:
        text = self.headers.get("Content-Length") or ""
        if not text.isdecimal() or int(text) > MAX_REQUEST_BYTES:
            raise TooLongError(text)
        return self.rfile.read(int(text))

    def _send(self, answer: Answer, *, content_length: int | None = -1) -> None:
        """Send it whole; `content_length` overrides the header, None leaves it out."""
        length = len(answer.body) if content_length == -1 else content_length
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if length is not None:
            self.send_header("Content-Length", str(length))
        if self.close_connection or length is None:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(answer.body)

    def _spoil(self, rule: Rule, answer: Answer) -> None:
        """Do to the connection or the answer what the rule says."""
        options, length = rule.options, len(answer.body)
        if rule.what in ("reset", "close", "hang", "drip", "truncated"):
            self.close_connection = True
        match rule.what:
            case "reset":
                linger = (socket.SOL_SOCKET, socket.SO_LINGER)
                self.connection.setsockopt(*linger, RESET_ON_CLOSE)
                self.rfile.close()  # it holds the socket open until it is closed
                self.connection.close()
            case "close" | "hang":
                self.release.wait(float(options.get("seconds", 0)))
                try:
                    self.connection.shutdown(socket.SHUT_WR)
                except OSError as exc:
                    raise ConnectionAbortedError("closed by the client") from exc
            case "drip":
                self.call.status = answer.status
                self._send(replace(answer, body=b""), content_length=length)
                for place in range(length):
                    self.wfile.write(answer.body[place : place + 1])
                    if self.release.wait(float(options["seconds"])):
                        break
            case "truncated":
                self.call.status = answer.status
                part = answer.body[: int(length * float(options["share"]))]
                is_open = options["framing"] == "close"
                promised = None if is_open else length
                self._send(replace(answer, body=part), content_length=promised)
            case _:
                if rule.what != "refused":
                    answer = _wrong_answer(rule, self.sandbox.world)
                self.call.status = answer.status
                self._send(answer)
        self.call.answer = f"{rule.what} ({rule.when})"


def _wrong_answer(rule: Rule, world: World) -> Answer:
    """The answer that the rule puts in the place of the right one."""
    options = rule.options
    match rule.what:
        case "fault":
            fault = responses.named_fault(options["kind"], options["text"])
            return responses.fault_answer(fault, now=world.clock())
        case "html":
            status = int(options["status"])
            return responses.html_answer(status, f"Error {status}")
        case "throttled":
            content = {"message": "Rate limit exceeded", "errorcode": 50100}
            headers = {"Retry-After": str(options["retry_after"])}
            return replace(responses.json_answer(content, 429), headers=headers)
        case "redirect":
            headers = {"Location": str(options["location"])}
            return Answer(status=int(options["status"]), headers=headers)
        case "broken_xml":
            return Answer(body=b'<?xml version="1.0"?><soap:Envelope><a></b>')
        case "empty":
            return Answer()
    encoded = options["body_base64"]  # raw
    headers = {str(name): str(value) for name, value in options["headers"].items()}
    return Answer(
        status=int(options["status"]),
        content_type=headers.pop("Content-Type", responses.XML),
        headers=headers,
        body=base64.b64decode(encoded) if encoded else str(options["body"]).encode(),
    )
