"""The wire itself: answers as bytes, and connections that misbehave."""

from __future__ import annotations

import base64
import socket
import struct
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from threading import Event
from typing import Any

from imports.sandbox.calls import Call
from imports.sandbox.responses import (
    XML,
    Answer,
    fault_answer,
    html_answer,
    named_fault,
)
from imports.sandbox.switches import Rule, Switches
from imports.sandbox.world import Clock

MAX_REQUEST_BYTES = 8 * 1024 * 1024
RESET_ON_CLOSE = struct.pack("ii", 1, 0)

CarryOut = Callable[[bytes, Rule | None], Answer]
"""Carries the request out; with a rule it refuses, and nothing is done."""


class TooLongError(Exception):
    """The request's body has no length, or a silly one."""


def read_body(handler: BaseHTTPRequestHandler) -> bytes:
    """The request's body; raises TooLongError."""
    return handler.rfile.read(_length(handler))


def _length(handler: BaseHTTPRequestHandler) -> int:
    text = handler.headers.get("Content-Length") or ""
    if not text.isdecimal() or int(text) > MAX_REQUEST_BYTES:
        raise TooLongError(text)
    return int(text)


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


def spoiled(rule: Rule, now: Clock) -> Answer:
    """The answer that the rule puts in the place of the right one."""
    options = rule.options
    if rule.what == "fault":
        return fault_answer(named_fault(options["kind"], options["text"]), now=now())
    if rule.what == "html":
        return html_answer(int(options["status"]), f"Error {options['status']}")
    if rule.what == "throttled":
        return _throttled(str(options["retry_after"]))
    if rule.what == "redirect":
        headers = {"Location": str(options["location"])}
        return Answer(status=int(options["status"]), headers=headers)
    if rule.what == "broken_xml":
        return Answer(body=b'<?xml version="1.0"?><soap:Envelope><a></b>')
    if rule.what == "empty":
        return Answer()
    return _raw(options)


def _throttled(retry_after: str) -> Answer:
    return Answer(
        status=429,
        body=b'{"message":"Rate limit exceeded","errorcode":50100}',
        content_type="application/json; charset=utf-8",
        headers={"Retry-After": retry_after},
    )


def _raw(options: Any) -> Answer:
    encoded = options["body_base64"]
    body = base64.b64decode(encoded) if encoded else str(options["body"]).encode()
    headers = {str(name): str(value) for name, value in options["headers"].items()}
    content_type = headers.pop("Content-Type", XML)
    return Answer(
        status=int(options["status"]),
        body=body,
        content_type=content_type,
        headers=headers,
    )


class Exchange:
    """One call: read, carried out and answered, or spoilt on the way by a rule."""

    def __init__(
        self,
        *,
        handler: BaseHTTPRequestHandler,
        call: Call,
        switches: Switches,
        clock: Clock,
        release: Event,
        empty: Callable[[], Answer],
    ) -> None:
        self._handler = handler
        self._call = call
        self._switches = switches
        self._clock = clock
        self._release = release
        self._empty = empty

    def run(self, note: Callable[[bytes], None], carry_out: CarryOut) -> None:
        """Go through the three moments at which a rule may step in."""
        rule = self._take("before")
        if rule:
            self._handler.close_connection = True
            self._spoil(rule, self._empty())
            return
        body = read_body(self._handler)
        note(body)
        rule = self._take("instead")
        if rule:
            self._spoil(rule, self._instead(rule, body, carry_out))
            return
        answer = carry_out(body, None)
        rule = self._take("after")
        if rule:
            refused = rule.what == "refused"
            self._spoil(rule, carry_out(body, rule) if refused else answer)
            return
        self._release.wait(self._switches.latency_seconds)
        self._send(answer)

    def _instead(self, rule: Rule, body: bytes, carry_out: CarryOut) -> Answer:
        return carry_out(body, rule) if rule.what == "refused" else self._empty()

    def _take(self, when: str) -> Rule | None:
        """A rule that spoils the call; one that only delays it is waited out."""
        rule = self._switches.take(when, self._call)
        while rule and rule.what == "delay":
            self._release.wait(float(rule.options["seconds"]))
            rule = self._switches.take(when, self._call, *_SPOILING)
        return rule

    def _send(self, answer: Answer) -> None:
        self._call.status, self._call.answer = answer.status, answer.summary
        send(self._handler, answer)

    def _spoil(self, rule: Rule, answer: Answer) -> None:
        on_the_wire = {
            "reset": self._reset,
            "close": self._close,
            "hang": self._hang,
            "drip": self._drip,
            "truncated": self._truncate,
            "refused": self._say,
        }
        act = on_the_wire.get(rule.what)
        if act:
            act(rule, answer)
        else:
            self._say(rule, spoiled(rule, self._clock))
        self._call.answer = f"{rule.what} ({rule.when})"
        if rule.when == "before" and rule.what != "reset":
            self._drain()

    def _say(self, _rule: Rule, answer: Answer) -> None:
        self._send(answer)

    def _reset(self, _rule: Rule, _answer: Answer) -> None:
        """Close at once with RST; rfile holds the socket open until it is closed."""
        handler = self._handler
        handler.close_connection = True
        handler.connection.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE
        )
        handler.rfile.close()
        handler.connection.close()

    def _close(self, _rule: Rule, _answer: Answer) -> None:
        self._handler.close_connection = True
        try:
            self._handler.connection.shutdown(socket.SHUT_WR)
        except OSError as exc:
            raise ConnectionAbortedError("closed by the client") from exc

    def _hang(self, rule: Rule, answer: Answer) -> None:
        self._release.wait(float(rule.options["seconds"]))
        self._close(rule, answer)

    def _drip(self, rule: Rule, answer: Answer) -> None:
        self._handler.close_connection = True
        self._call.status = answer.status
        length, body = len(answer.body), answer.body
        send(self._handler, _without_body(answer), content_length=length)
        for place in range(length):
            self._handler.wfile.write(body[place : place + 1])
            if self._release.wait(float(rule.options["seconds"])):
                return

    def _truncate(self, rule: Rule, answer: Answer) -> None:
        self._handler.close_connection = True
        self._call.status = answer.status
        whole = len(answer.body)
        part = answer.body[: int(whole * float(rule.options["share"]))]
        length = None if rule.options["framing"] == "close" else whole
        send(self._handler, _with_body(answer, part), content_length=length)

    def _drain(self) -> None:
        """Read what was not read, lest the close becomes a reset."""
        try:
            read_body(self._handler)
        except TooLongError:
            return


_SPOILING = (
    *("reset", "close", "hang", "drip", "truncated", "broken_xml", "empty"),
    *("html", "throttled", "fault", "refused", "redirect", "raw"),
)


def _with_body(answer: Answer, body: bytes) -> Answer:
    return Answer(
        status=answer.status,
        body=body,
        content_type=answer.content_type,
        headers=answer.headers,
        summary=answer.summary,
    )


def _without_body(answer: Answer) -> Answer:
    return _with_body(answer, b"")
