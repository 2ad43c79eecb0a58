"""Why a run did not start, or why nobody knows how it went, and by what Marketing Cloud
says so: one row a reason, one row a vendor code, for all who know or tell it.

It imports nothing, because the wall and the models, which know nothing of each other,
both need it. A new reason is a row here and one in `wording/causes.py`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Reason(StrEnum):
    """Why a run did not go well, set where that is known: by the errors of
    `marketingcloud` and `gateway`, and by the use cases. The labels are what commands
    and exports print.
    """

    label: str

    def __new__(cls, value: str, label: str = "") -> Reason:
        member = str.__new__(cls, value)
        member._value_, member.label = value, label
        return member

    NONE = "", "–"
    # Marketing Cloud answered, and its answer proves that it did nothing
    CREDENTIALS_REFUSED = (
        "credentials_refused",
        "Marketing Cloud refused the account’s credentials",
    )
    NOT_FOUND = "not_found", "Marketing Cloud does not know the definition"
    PERMISSION_MISSING = (
        "permission_missing",
        "Marketing Cloud says that a permission is missing",
    )
    MAINTENANCE = "maintenance", "Marketing Cloud is in maintenance"
    THROTTLED = "throttled", "Marketing Cloud had too many requests"
    ALREADY_RUNNING = (
        "already_running",
        "Marketing Cloud says that it is already running",
    )
    NOT_PROCESSED = "not_processed", "Marketing Cloud could not process it just then"
    WRONG_KIND = (
        "wrong_kind",
        "Marketing Cloud cannot start this kind of definition",
    )
    NOT_VALID = "not_valid", "Marketing Cloud says that the definition is not valid"
    WRONG_ADDRESS = "wrong_address", "The account’s address leads elsewhere"
    REFUSED = "refused", "Marketing Cloud refused the start"
    # mcdash gave up before anything was sent
    WRONG_MID = "wrong_mid", "The account’s MID is not a number"
    SECRET_UNREADABLE = (
        "secret_unreadable",
        "The account’s stored secret cannot be read",
    )
    ADDRESS_REFUSED = "address_refused", "The account’s address is not allowed"
    NO_TOKEN = "no_token", "Marketing Cloud gave no access token"
    ACCOUNT_BUSY = "account_busy", "The account was busy with other calls"
    UNREACHABLE = "unreachable", "Marketing Cloud could not be reached"
    EXPIRED = "expired", "It waited too long in the queue; nothing was sent"
    HELD_UP = "held_up", "The worker stalled before sending; nothing was sent"
    STOPPED = "stopped", "The worker was stopped before sending; nothing was sent"
    DISABLED = "disabled", "The account is disabled; nothing was sent"
    PAUSED = "paused", "Starts are paused in this account; nothing was sent"
    DOUBLED = "doubled", "Its business unit is two accounts here; nothing was sent"
    RUNNING_ELSEWHERE = (
        "running_elsewhere",
        "The same import is running in another account of this business unit; nothing "
        "was sent",
    )
    NOT_ANSWERING = "not_answering", "The account does not answer; nothing was sent"
    # it was sent, looked for, and given up
    NO_TRACE = "no_trace", "Marketing Cloud showed no trace of it"
    DECLARED = "declared", "A person looked for it and said that it did not start"
    # it was sent, and what came of it is not known
    NO_ANSWER = "no_answer", "No readable answer came; it may be running"
    TIMEOUT = "timeout", "Marketing Cloud did not answer in time; it may be running"
    OUTAGE = "outage", "Marketing Cloud reported an error of its own; it may be running"
    WORKER_VANISHED = (
        "worker_vanished",
        "The worker vanished while it sent the start; it may be running",
    )
    # it was accepted, and then never seen to end
    TOO_OLD = "too_old", "No final phase for 24 hours"


def reasons() -> list[tuple[str, str]]:
    """The choices of `ImportRun.reason`: a function, so that none needs a migration."""
    return [(reason.value, reason.label) for reason in Reason]


class VendorCode(NamedTuple):
    meaning: str
    reason: Reason | None  # None where the code alone proves nothing


R = Reason
# Vendor: "API Error Codes".
VENDOR_CODES = {
    "2": VendorCode("something broke on its side", None),
    "4": VendorCode("no access to the account", R.PERMISSION_MISSING),
    "5": VendorCode("not possible for this kind of object", R.WRONG_KIND),
    "8": VendorCode("not possible for this kind of object", R.WRONG_KIND),
    "9": VendorCode("in maintenance", R.MAINTENANCE),
    "11": VendorCode("not authorized", R.PERMISSION_MISSING),
    "43000": VendorCode("no customer key was given", R.NOT_FOUND),
    "43010": VendorCode("definition not found", R.NOT_FOUND),
    "43020": VendorCode("not possible for this kind of object", R.WRONG_KIND),
    "43030": VendorCode("it exists already", R.NOT_VALID),
    "43040": VendorCode("it could not be added", R.NOT_VALID),
    "43050": VendorCode("it could not be changed", R.NOT_VALID),
    "43060": VendorCode("the definition is not valid", R.NOT_VALID),
    "50100": VendorCode("too many requests", R.THROTTLED),
    "50200": VendorCode("too many requests", R.THROTTLED),
}
# By what words its refusals say so, where they give none of these codes.
VENDOR_WORDS = {
    R.NOT_FOUND: ("not found", "not specified"),
    R.PERMISSION_MISSING: ("permission", "not authorized", "no access to"),
    R.MAINTENANCE: ("maintenance",),
    R.THROTTLED: ("throttl", "rate limit", "too many", "temporarily blocked"),
    R.ALREADY_RUNNING: (
        "already running",
        "already in progress",
        "is in progress",
        "is busy",
    ),
    R.NOT_PROCESSED: ("not processed", "database problems"),
    R.WRONG_KIND: ("object not supported", "cannot perform"),
    R.NOT_VALID: ("validation",),
}


def refusal_reason(code: str, words: str) -> Reason:
    """Why Marketing Cloud refused, by its code or else by its words."""
    if (known := VENDOR_CODES.get(code)) and known.reason:
        return known.reason
    said = words.casefold()
    fits = (
        reason
        for reason, parts in VENDOR_WORDS.items()
        if any(p in said for p in parts)
    )
    return next(fits, Reason.REFUSED)
