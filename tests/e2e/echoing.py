"""A sandbox that says in its faults what it was sent, as some servers do."""

from __future__ import annotations

from dataclasses import dataclass, field

from imports.sandbox.control import Call, Rule
from imports.sandbox.responses import Answer, fault_answer, json_answer, named_fault
from imports.sandbox.server import SandboxServer


@dataclass
class Echo:
    """Wraps a server. `kind` is the fault that every SOAP call ends in, or `token`
    for a refusal of the client; empty is the sandbox as it is. `tokens` are all that
    were handed out.
    """

    server: SandboxServer
    tokens: list[str] = field(default_factory=list)
    kind: str = ""

    def __post_init__(self) -> None:
        service = self.server.service
        authenticator = service.authenticator
        self.issue = authenticator.issue
        self.soap, self.token = service.soap, service.token
        vars(authenticator)["issue"] = self._issue
        vars(service)["soap"] = self._soap
        vars(service)["token"] = self._token

    def _issue(self, mid: int) -> str:
        self.tokens.append(self.issue(mid))
        return self.tokens[-1]

    def _soap(
        self, action: str, call: Call, body: bytes, refusal: Rule | None = None
    ) -> Answer:
        if not self.kind or self.kind == "token":
            return self.soap(action, call, body, refusal)
        fault = named_fault(self.kind)
        fault = named_fault(self.kind, f"{fault.text}: you sent {body.decode()}")
        return fault_answer(fault, now=self.server.world.clock(), relates_to="")

    def _token(
        self, base_url: str, call: Call, body: bytes, refusal: Rule | None = None
    ) -> Answer:
        if self.kind != "token":
            return self.token(base_url, call, body, refusal)
        said = f"You sent {body.decode()}"
        content = {"error": "invalid_client", "error_description": said}
        return json_answer(content, 401, "echoed")
