"""Misbehaviour on demand: rules that say what goes wrong, when and how often.

A rule is JSON, for example

    {"what": "reset", "when": "after", "operation": "Perform", "times": 1}

`when` is `before` (the request is not read), `instead` (read, not carried out) or
`after` (carried out, and then the answer is spoilt). What can go wrong:

| what | meaning | parameters (default) |
|---|---|---|
| reset | TCP reset | |
| close | closed without an answer | |
| hang | no answer until `seconds` are over or switches are reset | seconds (3600) |
| delay | the answer comes late, otherwise all is well | seconds (1) |
| drip | the answer comes byte by byte | seconds between bytes (0.5) |
| truncated | the answer stops short | share (0.6), framing `length`/`close` |
| broken_xml | HTTP 200, XML that is not well-formed | |
| empty | HTTP 200 with no body | |
| html | a web page | status (503) |
| throttled | HTTP 429 | retry_after (5) |
| fault | a SOAP fault; on `token` HTTP 500 | kind (server), text |
| refused | Result, OverallStatus or token refused | code (43060), text |
| redirect | HTTP redirect | status (302), location (/elsewhere) |
| raw | anything | status, headers, body or body_base64 |
| no_task_id | Perform says OK and names no task | |
| rows_late | a started task's row appears late | seconds (10) |
| rows_never | a started task's row never appears | |
| in_refused | filters with IN are refused | |
| property_refused | a property cannot be retrieved | property |
| not_listed | a definition is there, but in no list without a filter | key |
| rows_say | rows of results say else, null is left out | properties ({name: text}) |

Fault kinds are the keys of `responses.FAULTS`. A rule matches by `operation`
(`token`, `Perform`, `Retrieve`, `GetSystemStatus`), `account` (name or MID),
`object_type` and `customer_key`; the first `skip` matches pass, then it works
`times` times (null is always). `before` knows the operation only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from threading import Lock
from typing import Any

from imports.sandbox.calls import Call
from imports.sandbox.responses import FAULTS

MOMENTS = ("before", "instead", "after")
WITHIN = "within"
"""The moment of those that change how a request is carried out."""

DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "reset": {},
    "close": {},
    "hang": {"seconds": 3600},
    "delay": {"seconds": 1},
    "drip": {"seconds": 0.5},
    "truncated": {"share": 0.6, "framing": "length"},
    "broken_xml": {},
    "empty": {},
    "html": {"status": 503},
    "throttled": {"retry_after": 5},
    "fault": {"kind": "server", "text": None},
    "refused": {"code": 43060, "text": "The import was refused."},
    "redirect": {"status": 302, "location": "/elsewhere"},
    "raw": {"status": 200, "headers": {}, "body": "", "body_base64": None},
    "no_task_id": {},
    "rows_late": {"seconds": 10},
    "rows_never": {},
    "in_refused": {},
    "property_refused": {"property": ""},
    "not_listed": {"key": ""},
    "rows_say": {"properties": {}},
}
WITHIN_KINDS = (
    *("no_task_id", "rows_late", "rows_never"),
    *("in_refused", "property_refused", "not_listed", "rows_say"),
)
LASTING_KINDS = ("in_refused", "property_refused", "not_listed", "rows_say")
MATCHES = ("operation", "account", "object_type", "customer_key")
PLAIN = ("what", "when", "times", "skip", *MATCHES)


class RuleError(Exception):
    """A rule that cannot be understood; the text says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
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
        """Is this call one of those that it is meant for?"""
        return (
            self.operation in (None, call.operation)
            and self.account in (None, call.account, str(call.mid))
            and self.object_type in (None, call.object_type)
            and (self.customer_key is None or self.customer_key in call.customer_keys)
        )


def read_rule(given: Mapping[str, Any]) -> Rule:
    """A rule from JSON; raises RuleError with a sentence."""
    what = str(given.get("what"))
    if what not in DEFAULTS:
        raise RuleError(f"what: {what!r} is none of {', '.join(DEFAULTS)}.")
    unknown = set(given) - set(PLAIN) - set(DEFAULTS[what])
    if unknown:
        raise RuleError(f"{what} knows no {', '.join(sorted(unknown))}.")
    chosen = {name: given.get(name, usual) for name, usual in DEFAULTS[what].items()}
    if what == "fault" and chosen["kind"] not in FAULTS:
        raise RuleError(f"kind: {chosen['kind']!r} is none of {', '.join(FAULTS)}.")
    if not isinstance(chosen.get("properties", {}), dict):
        raise RuleError("properties: an object of names and texts is needed.")
    matches = {n: str(given[n]) for n in MATCHES if given.get(n) is not None}
    return Rule(
        what=what,
        when=_moment(what, given.get("when"), matches),
        times=_number(given, "times", None if what in LASTING_KINDS else 1),
        skip=_number(given, "skip", 0) or 0,
        options=chosen,
        **matches,
    )


def _moment(what: str, when: Any, matches: Mapping[str, str]) -> str:
    if what in WITHIN_KINDS:
        return WITHIN
    if when not in (None, *MOMENTS):
        raise RuleError(f"when: {when!r} is none of {', '.join(MOMENTS)}.")
    if when == "before" and set(matches) - {"operation"}:
        raise RuleError("before knows the operation only: nothing was read yet.")
    return str(when or "instead")


def _number(given: Mapping[str, Any], name: str, usual: int | None) -> int | None:
    number = given.get(name, usual)
    if number is not None and (not isinstance(number, int) or number < 0):
        raise RuleError(f"{name}: {number!r} is not a whole number.")
    return number


class Switches:
    """The rules in force, the latency of all answers, the system's status."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.reset()

    def reset(self) -> None:
        """All is well again."""
        with self._lock:
            self._rules: list[Rule] = []
            self.latency_seconds = 0.0
            self.system_status = "OK"

    def add(self, **given: Any) -> Rule:
        """Put a rule in force; raises RuleError."""
        rule = read_rule(given)
        with self._lock:
            self._rules.append(rule)
        return rule

    def take(self, when: str, call: Call, *kinds: str) -> Rule | None:
        """The first rule for this call at this moment, used up by one.

        A rule that still lets calls pass lets this one pass to the next rule.
        """
        with self._lock:
            for place, rule in enumerate(self._rules):
                if rule.when != when or (kinds and rule.what not in kinds):
                    continue
                if rule.fits(call) and self._use(place, rule):
                    return rule
        return None

    def _use(self, place: int, rule: Rule) -> bool:
        if rule.skip:
            self._rules[place] = replace(rule, skip=rule.skip - 1)
            return False
        if rule.times is None:
            return True
        if rule.times == 0:
            return False
        self._rules[place] = replace(rule, times=rule.times - 1)
        return True

    def refused_properties(self, call: Call) -> set[str]:
        """The properties that this call may not ask for."""
        return self._lasting(call, "property_refused", "property")

    def unlisted(self, call: Call) -> set[str]:
        """The customer keys of definitions that this call does not list."""
        return self._lasting(call, "not_listed", "key")

    def _lasting(self, call: Call, what: str, option: str) -> set[str]:
        with self._lock:
            return {
                rule.options[option]
                for rule in self._rules
                if rule.what == what and rule.fits(call)
            }

    def row_says(self, call: Call, customer_key: str | None) -> dict[str, str | None]:
        """What a row of that definition says otherwise, whoever was asked about."""
        about = replace(call, customer_keys=[customer_key] if customer_key else [])
        with self._lock:
            rules = [rule for rule in self._rules if rule.what == "rows_say"]
            says = [rule.options["properties"] for rule in rules if rule.fits(about)]
        return {name: text for properties in says for name, text in properties.items()}

    def state(self) -> dict[str, Any]:
        """All of it as JSON."""
        with self._lock:
            return {
                "rules": [asdict(rule) for rule in self._rules],
                "latency_ms": round(self.latency_seconds * 1000),
                "system_status": self.system_status,
            }
