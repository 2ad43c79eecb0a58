"""HTTP on 127.0.0.1: the sandbox as a server, in a thread or as a process.

`/v2/token`, `/Service.asmx` and `/etframework.wsdl` are Marketing Cloud's;
`/control` and `/journal` are for tests (control.py). Addresses are matched without
regard to case, as the real server does.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any, Self

from imports.sandbox.control import Call, Calls, Control, Rule, Switches
from imports.sandbox.envelopes import Authenticator, Contract
from imports.sandbox.exchange import CarryOut, Exchange, TooLongError, read_body, send
from imports.sandbox.operations import Service
from imports.sandbox.responses import (
    TOKEN_SECONDS,
    Answer,
    html_answer,
    invalid_client,
    json_answer,
)
from imports.sandbox.retrieve import PAGE_SIZE
from imports.sandbox.world import World

HOST = "127.0.0.1"
logger = logging.getLogger("imports.sandbox")


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
            self.world.catalogue, self.world.clock, token_seconds
        )
        self.service = Service(
            world=self.world,
            contract=self.contract,
            switches=self.switches,
            authenticator=authenticator,
            page_size=page_size,
        )
        self.control = Control(self.world, self.switches, self.calls, authenticator)
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
        """All is well again, counts are zero, calls that hang are let go."""
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
        """Number a new connection."""
        with self._lock:
            self._connections += 1
            self._open[self._connections] = connection
            return self._connections

    def closed(self, number: int) -> None:
        """A connection has ended."""
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
    """One connection."""

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

    def do_GET(self) -> None:
        route, _, query = self.path.partition("?")
        if route.lower() == "/etframework.wsdl":
            send(self, Answer(body=self.sandbox.contract.text))
        elif route == "/control":
            send(self, self.sandbox.control.state())
        elif route == "/journal":
            send(self, self.sandbox.control.journal(query))
        elif route.lower() == "/service.asmx":
            send(self, html_answer(200, "PartnerAPI"))
        else:
            send(self, html_answer(404, "Not found"))

    def do_DELETE(self) -> None:
        is_control = self.path == "/control"
        send(
            self, self.sandbox.reset() if is_control else html_answer(404, "Not found")
        )

    def do_POST(self) -> None:
        route = self.path.partition("?")[0]
        try:
            if route.lower() == "/v2/token":
                self._token()
            elif route.lower() == "/service.asmx":
                self._soap()
            elif route == "/control":
                self._control(read_body(self))
            else:
                read_body(self)
                send(self, html_answer(404, "Not found"))
        except TooLongError:
            self.close_connection = True
            send(self, html_answer(411, "Length required"))

    def _control(self, body: bytes) -> None:
        # A page in a browser cannot send JSON without being asked first (CORS).
        content_type: str = self.headers.get("Content-Type") or ""
        if content_type.startswith("application/json"):
            send(self, self.sandbox.control.post(body))
        else:
            error = {"error": "Send JSON with Content-Type application/json."}
            send(self, json_answer(error, 415, "refused"))

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
        """Read, carry out and answer the call, counted and with a line in the log."""
        sandbox = self.sandbox
        exchange = Exchange(
            handler=self,
            call=call,
            switches=sandbox.switches,
            clock=sandbox.world.clock,
            release=sandbox.release,
            empty=lambda: sandbox.service.empty_answer(call.operation),
        )

        def identify(body: bytes) -> None:
            note(body)
            sandbox.calls.identified(call)

        sandbox.calls.begin(call)
        try:
            exchange.run(identify, carry_out)
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

    def log_message(self, *args: Any) -> None:
        """Nothing: `_exchange` writes one line a call."""
