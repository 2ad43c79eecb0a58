"""HTTP on 127.0.0.1: the sandbox as a server, in a thread or as a process.

`/v2/token`, `/Service.asmx` and `/etframework.wsdl` are Marketing Cloud's;
`/control` and `/journal` are for tests (control.py). Addresses are matched without
regard to case, as the real server does.
"""

from __future__ import annotations

import base64
import logging
import socket
import struct
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any, Self

from imports.sandbox.control import (
    SPOILING_KINDS,
    Call,
    Calls,
    Control,
    Rule,
    Switches,
)
from imports.sandbox.envelopes import Authenticator, Contract
from imports.sandbox.operations import Service
from imports.sandbox.responses import (
    TOKEN_SECONDS,
    XML,
    Answer,
    fault_answer,
    html_answer,
    invalid_client,
    json_answer,
    named_fault,
)
from imports.sandbox.retrieve import PAGE_SIZE
from imports.sandbox.world import World

HOST = "127.0.0.1"
MAX_REQUEST_BYTES = 8 * 1024 * 1024
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
logger = logging.getLogger("imports.sandbox")

CarryOut = Callable[[bytes, Rule | None], Answer]
"""Carries the request out; with a rule it refuses, and nothing is done."""


class TooLongError(Exception):
    """The request's body has no length, or a silly one."""


class PortTakenError(Exception):
    """Another program listens on the port."""


class SandboxServer:
    """A small Marketing Cloud on loopback.

    Use it as a context manager, or `start()` and `stop()`. `wsdl` is the contract by
    which requests are judged; `port` 0 takes a free one. Raises WsdlError and
    PortTakenError.
    """

    def __init__(
        self,
        wsdl: Path,
        *,
        world: World | None = None,
        port: int = 0,
        page_size: int = PAGE_SIZE,
        token_seconds: int = TOKEN_SECONDS,
    ) -> None:
        self.world = world or World()
        self.switches = Switches()
        self.calls = Calls()
        self.contract = Contract(wsdl)
        authenticator = Authenticator(
            catalogue=self.world.catalogue,
            clock=self.world.clock,
            token_seconds=token_seconds,
        )
        self.service = Service(
            world=self.world,
            contract=self.contract,
            switches=self.switches,
            authenticator=authenticator,
            page_size=page_size,
        )
        self.control = Control(
            world=self.world,
            switches=self.switches,
            calls=self.calls,
            authenticator=authenticator,
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

    def start(self) -> Self:
        """Serve in a thread of its own."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """End everything, hanging connections included, and wait for it."""
        if self._thread.is_alive():
            self._http.shutdown()
            self._thread.join()
        self.release.set()
        self._http.cut_connections()
        self._http.server_close()

    def misbehave(self, what: str, **given: Any) -> Rule:
        """Put a rule of control.py in force; raises RuleError."""
        return self.switches.add(what=what, **given)

    def reset(self) -> Answer:
        """Remove all rules, set counts to zero and release calls that hang."""
        answer = self.control.reset()
        hanging, self.release = self.release, Event()
        hanging.set()
        return answer

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


class _Http(ThreadingHTTPServer):
    """Knows its open connections, so that it can end them."""

    daemon_threads = False
    request_queue_size = 128

    def __init__(self, sandbox: SandboxServer, port: int) -> None:
        self.sandbox = sandbox
        self._lock = Lock()
        self._open: dict[int, socket.socket] = {}
        self._connections = 0
        super().__init__((HOST, port), _Handler)

    def opened(self, connection: socket.socket) -> int:
        """The number of a new connection."""
        with self._lock:
            self._connections += 1
            self._open[self._connections] = connection
            return self._connections

    def closed(self, number: int) -> None:
        with self._lock:
            self._open.pop(number, None)

    def cut_connections(self) -> None:
        """Wake every thread that waits for a client."""
        with self._lock:
            waiting = list(self._open.values())
        for connection in waiting:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                logger.debug("A connection was already gone.")

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
        self.number = self.server.opened(self.connection)
        self.sandbox = self.server.sandbox

    def finish(self) -> None:
        self.server.closed(self.number)
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
            self._send(self.sandbox.control.state())
        elif route == "/journal":
            self._send(self.sandbox.control.journal(query))
        elif route.lower() == "/service.asmx":
            self._send(html_answer(200, "PartnerAPI"))
        else:
            self._send(html_answer(404, "Not found"))

    def do_DELETE(self) -> None:
        is_control = self.path == "/control"
        answer = self.sandbox.reset() if is_control else html_answer(404, "Not found")
        self._send(answer)

    def do_POST(self) -> None:
        route = self.path.partition("?")[0]
        try:
            if route.lower() == "/v2/token":
                self._token()
            elif route.lower() == "/service.asmx":
                self._soap()
            elif route == "/control":
                body = self._body()
                # A page in a browser cannot send JSON without being asked first (CORS).
                content_type = self.headers.get("Content-Type") or ""
                if content_type.startswith("application/json"):
                    self._send(self.sandbox.control.post(body))
                else:
                    error = {"error": "Send JSON with Content-Type application/json."}
                    self._send(json_answer(error, 415, "refused"))
            else:
                self._body()
                self._send(html_answer(404, "Not found"))
        except TooLongError:
            self.close_connection = True
            self._send(html_answer(411, "Length required"))

    def _token(self) -> None:
        service, call = self.sandbox.service, self._call("token")

        def carry_out(body: bytes, refusal: Rule | None) -> Answer:
            if refusal:
                return invalid_client()
            return service.token(body, self.sandbox.url)

        self._exchange(call, lambda body: service.note_token(call, body), carry_out)

    def _soap(self) -> None:
        service = self.sandbox.service
        action: str = (self.headers.get("SOAPAction") or "").strip().strip('"')
        call = self._call(action or "unknown")
        self._exchange(
            call,
            lambda body: service.note_soap(call, body, action),
            lambda body, refusal: service.soap(call, body, action, refusal),
        )

    def _call(self, operation: str) -> Call:
        now = self.sandbox.world.clock()
        return Call(operation=operation, connection=self.number, at=now)

    def _exchange(
        self, call: Call, note: Callable[[bytes], None], carry_out: CarryOut
    ) -> None:
        """Serve the call, counted and with a line in the log."""
        self.call, self.release = call, self.sandbox.release
        self.sandbox.calls.begin(call)
        try:
            self._serve(note, carry_out)
        finally:
            self.sandbox.calls.end(call)
            logger.info(
                "connection %d: %s %s %s -> %s",
                call.connection,
                call.operation,
                call.account or "-",
                " ".join(filter(None, [call.object_type, *call.customer_keys])),
                call.answer,
            )

    def _serve(self, note: Callable[[bytes], None], carry_out: CarryOut) -> None:
        """Read, carry out and answer, as far as the rules of the three times let it."""
        rule = self._take("before")
        if rule:
            self.close_connection = True
            self._spoil(rule, self._empty())
            return
        body = self._body()
        note(body)
        self.sandbox.calls.identified(self.call)
        rule = self._take("instead")
        answer = self._empty() if rule else carry_out(body, None)
        rule = rule or self._take("after")
        if rule:
            if rule.what == "refused":
                answer = carry_out(body, rule)
            self._spoil(rule, answer)
            return
        self.release.wait(self.sandbox.switches.latency_seconds)
        self._answer(answer)

    def _take(self, when: str) -> Rule | None:
        """A rule that spoils the call; one that only delays it is waited out."""
        rule = self.sandbox.switches.take(when, self.call)
        while rule and rule.what == "delay":
            self.release.wait(float(rule.options["seconds"]))
            rule = self.sandbox.switches.take(when, self.call, *SPOILING_KINDS)
        return rule

    def _empty(self) -> Answer:
        """What is spoilt where nothing was carried out."""
        return self.sandbox.service.empty_answer(self.call.operation)

    def _body(self) -> bytes:
        """The request's body; raises TooLongError."""
        text = self.headers.get("Content-Length") or ""
        if not text.isdecimal() or int(text) > MAX_REQUEST_BYTES:
            raise TooLongError(text)
        return self.rfile.read(int(text))

    def _answer(self, answer: Answer) -> None:
        self.call.status, self.call.answer = answer.status, answer.summary
        self._send(answer)

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
        match rule.what:
            case "reset":
                self.close_connection = True
                linger = (socket.SOL_SOCKET, socket.SO_LINGER)
                self.connection.setsockopt(*linger, RESET_ON_CLOSE)
                self.rfile.close()  # it holds the socket open until it is closed
                self.connection.close()
            case "close":
                self._close()
            case "hang":
                self.release.wait(float(rule.options["seconds"]))
                self._close()
            case "drip":
                self._drip(answer, float(rule.options["seconds"]))
            case "truncated":
                self.close_connection = True
                self.call.status = answer.status
                length = len(answer.body)
                end = int(length * float(rule.options["share"]))
                is_open = rule.options["framing"] == "close"
                part = replace(answer, body=answer.body[:end])
                self._send(part, content_length=None if is_open else length)
            case "refused":
                self._answer(answer)
            case _:
                self._answer(_wrong_answer(rule, self.sandbox.world))
        self.call.answer = f"{rule.what} ({rule.when})"
        if rule.when == "before" and rule.what != "reset":
            # Read what was not read, or the close becomes a reset.
            try:
                self._body()
            except TooLongError:
                return

    def _close(self) -> None:
        self.close_connection = True
        try:
            self.connection.shutdown(socket.SHUT_WR)
        except OSError as exc:
            raise ConnectionAbortedError("closed by the client") from exc

    def _drip(self, answer: Answer, seconds: float) -> None:
        self.close_connection = True
        self.call.status = answer.status
        self._send(replace(answer, body=b""), content_length=len(answer.body))
        for place in range(len(answer.body)):
            self.wfile.write(answer.body[place : place + 1])
            if self.release.wait(seconds):
                return


def _wrong_answer(rule: Rule, world: World) -> Answer:
    """The answer that the rule puts in the place of the right one."""
    options = rule.options
    match rule.what:
        case "fault":
            fault = named_fault(options["kind"], options["text"])
            return fault_answer(fault, now=world.clock())
        case "html":
            return html_answer(int(options["status"]), f"Error {options['status']}")
        case "throttled":
            return Answer(
                status=429,
                body=b'{"message":"Rate limit exceeded","errorcode":50100}',
                content_type="application/json; charset=utf-8",
                headers={"Retry-After": str(options["retry_after"])},
            )
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
        content_type=headers.pop("Content-Type", XML),
        headers=headers,
        body=base64.b64decode(encoded) if encoded else str(options["body"]).encode(),
    )
