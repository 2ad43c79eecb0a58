"""The control route: misbehaviour on demand, and what the sandbox was asked.

`GET /control` shows rules, latency, counts and calls; `DELETE /control` resets
them (not the world). `POST /control` takes one JSON object with any of

    {"rule": {...}}  {"rules": [{...}, ...]}
    {"latency_ms": 300}
    {"system_status": "InMaintenance"}
    {"expire_tokens": true}
    {"start_outside": {"account": "Nordlicht DE", "customer_key": "customers-daily"}}

and answers with what it did. `GET /journal` lists the Performs that were done;
`GET /journal?origin=outside` those started outside, `?origin=all` both.

A rule says what goes wrong, when and how often, for example

    {"what": "reset", "when": "after", "operation": "Perform", "times": 1}

`when` is `before` (the request is not read), `instead` (read, not carried out) or
`after` (carried out, and then the answer is spoilt). What can go wrong, and with which
parameters, is in `DEFAULTS`. A rule matches by `operation` (`token`, `Perform`,
`Retrieve`, `GetSystemStatus`), `account` (name or MID), `object_type` and
`customer_key`; the first `skip` matches pass, then it works `times` times (null is
always). `before` knows the operation only.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from threading import Lock
from typing import Any

from imports.sandbox.responses import FAULTS

CALLS_REMEMBERED = 5000
WHENS = ("before", "instead", "after")
WITHIN = "within"  # `when` of rules that change how a request is carried out

DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "reset": {},  # TCP reset
    "close": {},  # closed without an answer
    "hang": {"seconds": 3600},  # no answer until they are over or rules are reset
    "delay": {"seconds": 1},  # the answer comes late, otherwise all is well
    "drip": {"seconds": 0.5},  # the answer comes byte by byte, so far apart
    "truncated": {"share": 0.6, "framing": "length"},  # stops short; or "close"
    "broken_xml": {},  # HTTP 200, XML that is not well-formed
    "empty": {},  # HTTP 200 with no body
    "html": {"status": 503},  # a web page
    "throttled": {"retry_after": 5},  # HTTP 429
    "fault": {"kind": "server", "text": None},  # a key of FAULTS, with HTTP 500
    # Result, OverallStatus or token refused:
    "refused": {"code": 43060, "text": "The import was refused."},
    "redirect": {"status": 302, "location": "/elsewhere"},
    "raw": {"status": 200, "headers": {}, "body": "", "body_base64": None},  # anything
    "no_task_id": {},  # Perform says OK and names no task
    "rows_late": {"seconds": 10},  # a started task's row appears late
    "rows_never": {},  # a started task's row never appears
    "in_refused": {},  # filters with IN are refused
    "property_refused": {"property": ""},  # a property cannot be retrieved
    "not_listed": {"key": ""},  # a definition exists, but in no list without a filter
    "rows_say": {"properties": {}},  # rows of results say else; null leaves out
}
LASTING_KINDS = ("in_refused", "property_refused", "not_listed", "rows_say")
WITHIN_KINDS = ("no_task_id", "rows_late", "rows_never", *LASTING_KINDS)
SPOILING_KINDS = tuple(set(DEFAULTS) - {"delay", *WITHIN_KINDS})
MATCHES = ("operation", "account", "object_type", "customer_key")
SYSTEM_STATUSES = ("OK", "InMaintenance", "UnplannedOutage")
OTHER_ORDERS = ("latency_ms", "system_status", "expire_tokens", "start_outside")


class RuleError(Exception):
    """A rule or an order that makes no sense; the text says why."""


@dataclass(slots=True, eq=False)
class Call:
    """One request, whose `operation` is `token` or the SOAP action; None is not known.

    `answer` says in a word or two what was answered or done to the connection.
    """

    operation: str
    connection: int
    at: datetime
    account: str | None = None
    mid: int | None = None
    object_type: str | None = None
    customer_keys: list[str] = field(default_factory=list)
    filter_operator: str | None = None
    request_id: str | None = None
    status: int | None = None
    answer: str | None = None


class Calls:
    """The calls since the last reset: counts, most at once; safe for many threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._open: list[Call] = []
        self.reset()

    def reset(self) -> None:
        """Forget all counts; calls that are not answered yet stay open."""
        with self._lock:
            self._recent: deque[Call] = deque(maxlen=CALLS_REMEMBERED)
            self._counts: Counter[str] = Counter()
            self._most: Counter[str] = Counter()

    def begin(self, call: Call) -> None:
        with self._lock:
            self._open.append(call)
            self._recent.append(call)
            self._counts[call.operation] += 1
            self._most["all"] = max(self._most["all"], len(self._open))

    def identified(self, call: Call) -> None:
        """The call's account is known now."""
        if name := call.account:
            with self._lock:
                at_once = sum(each.account == name for each in self._open)
                self._most[name] = max(self._most[name], at_once)

    def end(self, call: Call) -> None:
        with self._lock:
            self._open.remove(call)

    def count(self, operation: str) -> int:
        return self._counts[operation]

    def state(self) -> dict[str, Any]:
        """Counts by operation, the most at once, and the calls themselves."""
        with self._lock:
            return {
                "counts": dict(self._counts),
                "under_way": len(self._open),
                "most_at_once": dict(self._most),
                "calls": [
                    {**asdict(call), "at": call.at.isoformat()} for call in self._recent
                ],
            }


@dataclass(kw_only=True, slots=True)
class Rule:
    """One thing that goes wrong; `times` None means always."""

    what: str
    when: str
    times: int | None
    skip: int = 0
    operation: str | None = None
    account: str | None = None
    object_type: str | None = None
    customer_key: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def fits(self, call: Call) -> bool:
        return (
            self.operation in (None, call.operation)
            and self.account in (None, call.account, str(call.mid))
            and self.object_type in (None, call.object_type)
            and (self.customer_key is None or self.customer_key in call.customer_keys)
        )


def read_rule(given: Mapping[str, Any]) -> Rule:
    """A rule from JSON; raises RuleError with a sentence."""
    what, when = str(given.get("what")), given.get("when")
    if what not in DEFAULTS:
        raise RuleError(f"what: {what!r} is none of {', '.join(DEFAULTS)}.")
    defaults = DEFAULTS[what]
    names = {"what", "when", "times", "skip", *MATCHES, *defaults}
    if unknown := set(given) - names:
        raise RuleError(f"{what} knows no {', '.join(sorted(unknown))}.")
    options = {name: given.get(name, default) for name, default in defaults.items()}
    if what == "fault" and options["kind"] not in FAULTS:
        raise RuleError(f"kind: {options['kind']!r} is none of {', '.join(FAULTS)}.")
    if not isinstance(options.get("properties", {}), dict):
        raise RuleError("properties: an object of names and texts is needed.")
    matches = {n: str(given[n]) for n in MATCHES if given.get(n) is not None}
    if what in WITHIN_KINDS:
        when = WITHIN
    elif when not in (None, *WHENS):
        raise RuleError(f"when: {when!r} is none of {', '.join(WHENS)}.")
    elif when == "before" and set(matches) - {"operation"}:
        raise RuleError("before knows the operation only: nothing was read yet.")
    return Rule(
        what=what,
        when=str(when or "instead"),
        times=_number(given, "times", None if what in LASTING_KINDS else 1),
        skip=_number(given, "skip", 0) or 0,
        options=options,
        **matches,
    )


def _number(given: Mapping[str, Any], name: str, default: int | None) -> int | None:
    number = given.get(name, default)
    if number is not None and (not isinstance(number, int) or number < 0):
        raise RuleError(f"{name}: {number!r} is not a whole number.")
    return number


class Switches:
    """The rules in force, the latency of all answers, the system's status."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.reset()

    def reset(self) -> None:
        """Remove all rules and the latency; the system's status is OK again."""
        self._rules: list[Rule] = []
        self.latency_seconds = 0.0
        self.system_status = "OK"

    def change(self, orders: Mapping[str, Any]) -> None:
        """Set latency and system's status where they are among the orders."""
        if "latency_ms" in orders:
            latency = orders["latency_ms"]
            if type(latency) not in (int, float) or latency < 0:  # True is an int too
                text = f"latency_ms: {latency!r} is not a number of milliseconds."
                raise RuleError(text)
            self.latency_seconds = latency / 1000
        status = orders.get("system_status", self.system_status)
        if status not in SYSTEM_STATUSES:
            raise RuleError(f"system_status is one of {', '.join(SYSTEM_STATUSES)}.")
        self.system_status = status

    def add(self, **given: Any) -> Rule:
        """Put a rule in force; raises RuleError."""
        rule = read_rule(given)
        self._rules.append(rule)
        return rule

    def take(self, when: str, call: Call, *kinds: str) -> Rule | None:
        """The first rule for this call at this time, used up by one.

        A rule that still skips this call leaves it to the next rule.
        """
        with self._lock:
            for rule in self._rules:
                is_meant = rule.when == when and (not kinds or rule.what in kinds)
                if not is_meant or not rule.fits(call):
                    continue
                if rule.skip:
                    rule.skip -= 1
                elif rule.times != 0:
                    if rule.times:
                        rule.times -= 1
                    return rule
        return None

    def options_of(self, what: str, call: Call) -> list[Mapping[str, Any]]:
        """The options of all lasting rules of that kind for this call."""
        rules = [rule for rule in self._rules if rule.what == what]
        return [rule.options for rule in rules if rule.fits(call)]

    def state(self) -> dict[str, Any]:
        return {
            "rules": [asdict(rule) for rule in self._rules],
            "latency_ms": round(self.latency_seconds * 1000),
            "system_status": self.system_status,
        }


def read_orders(body: bytes) -> dict[str, Any]:
    """The request's JSON object, `rule` among its `rules`; raises RuleError."""
    try:
        orders = json.loads(body)
    except ValueError as exc:
        raise RuleError(f"This is not JSON: {exc}.") from exc
    if not isinstance(orders, dict) or not orders:
        raise RuleError("One JSON object is needed.")
    if unknown := set(orders) - {"rule", "rules", *OTHER_ORDERS}:
        raise RuleError(f"Unknown: {', '.join(sorted(unknown))}.")
    rules = orders.get("rules", [])
    if not isinstance(rules, list):
        raise RuleError("rules needs a list.")
    rules = [*rules, *([orders["rule"]] if "rule" in orders else [])]
    if not all(isinstance(rule, dict) for rule in rules):
        raise RuleError("A rule is a JSON object.")
    if not isinstance(orders.get("start_outside", {}), dict):
        raise RuleError("start_outside needs an account and a customer_key.")
    return {**orders, "rules": rules}
