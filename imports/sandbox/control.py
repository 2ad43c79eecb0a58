"""The control route: switches by JSON, on loopback only.

`GET /control` shows rules, latency, counts and calls; `DELETE /control` resets
them (not the world). `POST /control` takes one JSON object with any of

    {"rule": {...}}  {"rules": [{...}, ...]}          see switches.py
    {"latency_ms": 300}
    {"system_status": "InMaintenance"}
    {"expire_tokens": true}
    {"start_outside": {"account": "Nordlicht DE", "customer_key": "customers-daily"}}

and answers with what it did. `GET /journal` lists the Performs that were done;
`GET /journal?origin=outside` those started outside, `?origin=all` both.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs

from imports.sandbox.calls import Calls
from imports.sandbox.responses import Answer, json_answer
from imports.sandbox.security import Doorkeeper
from imports.sandbox.switches import RuleError, Switches
from imports.sandbox.world import UnknownDefinitionError, World

SYSTEM_STATUSES = ("OK", "InMaintenance", "UnplannedOutage")
ORDERS = (
    "rule",
    "rules",
    "latency_ms",
    "system_status",
    "expire_tokens",
    "start_outside",
)


class OrderError(Exception):
    """An order that cannot be obeyed; the text says why."""


class Control:
    """Obeys the control route."""

    def __init__(
        self, world: World, switches: Switches, calls: Calls, doorkeeper: Doorkeeper
    ) -> None:
        self._world = world
        self._switches = switches
        self._calls = calls
        self._doorkeeper = doorkeeper

    def state(self) -> Answer:
        """GET /control."""
        return json_answer({**self._switches.state(), **self._calls.state()})

    def journal(self, query: str) -> Answer:
        """GET /journal."""
        origin = parse_qs(query).get("origin", ["perform"])[0]
        return json_answer(self._world.performed(None if origin == "all" else origin))

    def reset(self) -> Answer:
        """DELETE /control."""
        self._switches.reset()
        self._calls.reset()
        return self.state()

    def obey(self, body: bytes) -> Answer:
        """POST /control; HTTP 400 with a sentence where it makes no sense."""
        try:
            return json_answer(self._obey(_orders(body)))
        except (OrderError, RuleError, UnknownDefinitionError) as exc:
            return json_answer({"error": str(exc)}, 400, "refused")

    def _obey(self, orders: dict[str, Any]) -> dict[str, Any]:
        for rule in [*_rules(orders)]:
            self._switches.add(**rule)
        if "latency_ms" in orders:
            self._switches.latency_seconds = _milliseconds(orders["latency_ms"]) / 1000
        if "system_status" in orders:
            self._switches.system_status = _system_status(orders["system_status"])
        if orders.get("expire_tokens"):
            self._doorkeeper.expire_tokens()
        done = self._switches.state()
        if "start_outside" in orders:
            done["task_id"] = self._start_outside(orders["start_outside"])
        return done

    def _start_outside(self, order: Any) -> int:
        if not isinstance(order, dict):
            raise OrderError("start_outside needs an account and a customer_key.")
        task = self._world.start_outside(
            str(order.get("account")), str(order.get("customer_key"))
        )
        return task.task_id


def _orders(body: bytes) -> dict[str, Any]:
    try:
        orders = json.loads(body)
    except ValueError as exc:
        raise OrderError(f"This is not JSON: {exc}.") from exc
    if not isinstance(orders, dict) or not orders:
        raise OrderError("One JSON object is needed.")
    unknown = set(orders) - set(ORDERS)
    if unknown:
        raise OrderError(f"Unknown: {', '.join(sorted(unknown))}.")
    return orders


def _rules(orders: dict[str, Any]) -> list[dict[str, Any]]:
    rules = orders.get("rules", [])
    if not isinstance(rules, list):
        raise OrderError("rules needs a list.")
    rules = [*rules, *([orders["rule"]] if "rule" in orders else [])]
    if not all(isinstance(rule, dict) for rule in rules):
        raise OrderError("A rule is a JSON object.")
    return rules


def _milliseconds(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or value < 0:
        raise OrderError(f"latency_ms: {value!r} is not a number of milliseconds.")
    return value


def _system_status(value: Any) -> str:
    if value not in SYSTEM_STATUSES:
        raise OrderError(f"system_status is one of {', '.join(SYSTEM_STATUSES)}.")
    return str(value)
