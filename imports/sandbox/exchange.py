"""One HTTP exchange: a call is read, carried out and answered, or spoilt by a rule."""

from __future__ import annotations

import base64
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler
from threading import Event
from typing import Any

from imports.sandbox.control import SPOILING_KINDS, Call, Rule, Switches
from imports.sandbox.responses import (
    XML,
    Answer,
    fault_answer,
    html_answer,
    named_fault,
)
from imports.sandbox.world import Clock

MAX_REQUEST_BYTES = 8 * 1024 * 1024
RESET_ON_CLOSE = struct.pack("ii", 1, 0)

CarryOut = Callable[[bytes, Rule | None], Answer]
"""Carries the request out; with a rule it refuses, and nothing is done."""


class TooLongError(Exception):
    """The request's body has no length, or a silly one."""


def read_body(handler: BaseHTTPRequestHandler) -> bytes:
    """The request's body; raises TooLongError."""
    text = handler.headers.get("Content-Length") or ""
    if not text.isdecimal() or int(text) > MAX_REQUEST_BYTES:
        raise TooLongError(text)
    return handler.rfile.read(int(text))


def send(
    handler: BaseHTTPRequestHandler, answer: Answer, *, content_length: int | None = -1
) -> None:
    """Send it whole; `content_length` overrides the header, None leaves it out."""
    length = len(answer.body) if content_length == -1 else content_length
    handler.send_response(answer.status)
    handler.send_header("Content-Type", answer.content_type)
    for name, value in answer.headers.items():
        handler.send_header(name, value)
    if length is not None:
        handler.send_header("Content-Length", str(length))
    if handler.close_connection or length is None:
        handler.send_header("Connection", "close")
    handler.end_headers()
    handler.wfile.write(answer.body)


@dataclass(kw_only=True)
class Exchange:
    """One call, with the three times at which a rule may step in.

    `release` ends all waiting; `empty` builds an OK with nothing in it, to be spoilt
    where nothing was carried out.
    """

    handler: BaseHTTPRequestHandler
    call: Call
    switches: Switches
    clock: Clock
    release: Event
    empty: Callable[[], Answer]

    def run(self, identify: Callable[[bytes], None], carry_out: CarryOut) -> None:
        """Read the request, carry it out and answer, as far as the rules let it."""
        rule = self._take("before")
        if rule:
            self.handler.close_connection = True
            self._spoil(rule, self.empty())
            return
        body = read_body(self.handler)
        identify(body)
        rule = self._take("instead")
        if rule:
            is_refusal = rule.what == "refused"
            self._spoil(rule, carry_out(body, rule) if is_refusal else self.empty())
            return
        answer = carry_out(body, None)
        rule = self._take("after")
        if rule:
            is_refusal = rule.what == "refused"
            self._spoil(rule, carry_out(body, rule) if is_refusal else answer)
            return
        self.release.wait(self.switches.latency_seconds)
        self._send(answer)

    def _take(self, when: str) -> Rule | None:
        """A rule that spoils the call; one that only delays it is waited out."""
        rule = self.switches.take(when, self.call)
        while rule and rule.what == "delay":
            self.release.wait(float(rule.options["seconds"]))
            rule = self.switches.take(when, self.call, *SPOILING_KINDS)
        return rule

    def _send(self, answer: Answer) -> None:
        self.call.status, self.call.answer = answer.status, answer.summary
        send(self.handler, answer)

    def _spoil(self, rule: Rule, answer: Answer) -> None:
        match rule.what:
            case "reset":
                self._reset()
            case "close":
                self._close()
            case "hang":
                self.release.wait(float(rule.options["seconds"]))
                self._close()
            case "drip":
                self._drip(answer, float(rule.options["seconds"]))
            case "truncated":
                self._truncate(answer, **rule.options)
            case "refused":
                self._send(answer)
            case _:
                self._send(_spoiled(rule, self.clock))
        self.call.answer = f"{rule.what} ({rule.when})"
        if rule.when == "before" and rule.what != "reset":
            # Read what was not read, or the close becomes a reset.
            try:
                read_body(self.handler)
            except TooLongError:
                return

    def _reset(self) -> None:
        """Close at once with RST; rfile holds the socket open until it is closed."""
        self.handler.close_connection = True
        self.handler.connection.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE
        )
        self.handler.rfile.close()
        self.handler.connection.close()

    def _close(self) -> None:
        self.handler.close_connection = True
        try:
            self.handler.connection.shutdown(socket.SHUT_WR)
        except OSError as exc:
            raise ConnectionAbortedError("closed by the client") from exc

    def _drip(self, answer: Answer, seconds: float) -> None:
        self.handler.close_connection = True
        self.call.status = answer.status
        headers_only = replace(answer, body=b"")
        send(self.handler, headers_only, content_length=len(answer.body))
        for place in range(len(answer.body)):
            self.handler.wfile.write(answer.body[place : place + 1])
            if self.release.wait(seconds):
                return

    def _truncate(self, answer: Answer, share: float, framing: str) -> None:
        self.handler.close_connection = True
        self.call.status = answer.status
        length = len(answer.body)
        part = replace(answer, body=answer.body[: int(length * float(share))])
        send(self.handler, part, content_length=None if framing == "close" else length)


def _spoiled(rule: Rule, clock: Clock) -> Answer:
    """The answer that the rule puts in the place of the right one."""
    options = rule.options
    match rule.what:
        case "fault":
            fault = named_fault(options["kind"], options["text"])
            return fault_answer(fault, now=clock())
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
    return _raw(**options)


def _raw(status: Any, headers: Any, body: Any, body_base64: Any) -> Answer:
    texts = {str(name): str(value) for name, value in headers.items()}
    return Answer(
        status=int(status),
        content_type=texts.pop("Content-Type", XML),
        headers=texts,
        body=base64.b64decode(body_base64) if body_base64 else str(body).encode(),
    )
