"""What can go wrong with a Perform, when, and the state that its run ends in.

`docs/failures.md` is drawn from this table: `python -m tests.at_most_once.failures`
prints it, and a test holds them together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parents[2] / "docs" / "failures.md"
MOMENTS = ("before", "instead", "after")


@dataclass(frozen=True, kw_only=True)
class Ending:
    """What a run becomes: at first, in the end, and how often it was done.

    `performed` counts the tasks that Marketing Cloud made of the one run.
    """

    first: str
    end: str
    performed: int
    words: str


STARTED = Ending(
    first="running", end="completed", performed=1, words="Running → Completed"
)
REFUSED = Ending(
    first="not_started",
    end="not_started",
    performed=0,
    words="Not started",
)
NO_CREDENTIALS = Ending(
    first="not_started",
    end="not_started",
    performed=0,
    words="Not started; the account's credentials count as refused",
)
NO_TRACE = Ending(
    first="unknown",
    end="not_started",
    performed=0,
    words="Unknown → Not started (no trace)",
)
FOUND = Ending(
    first="unknown",
    end="completed",
    performed=1,
    words="Unknown → Completed (found)",
)
# An answer that proves that nothing was done, after it was done: nobody can see
# through that, but the task is not lost.
LIE = Ending(
    first="not_started",
    end="not_started",
    performed=1,
    words="Not started; the task enters the history as outside",
)


@dataclass(frozen=True, kw_only=True)
class Failure:
    """One switch of the sandbox, why a start fails by it, and the ending at each
    moment; None: not played.
    """

    name: str
    what: str
    reason: str = ""
    endings: tuple[Ending | None, Ending | None, Ending | None]
    options: dict[str, Any] = field(default_factory=dict)

    def cases(self) -> Iterator[tuple[str, Ending]]:
        for when, ending in zip(MOMENTS, self.endings, strict=True):
            if ending:
                yield when, ending


CUT = (NO_TRACE, NO_TRACE, FOUND)
WELL = (STARTED, STARTED, STARTED)
PROVES_NOTHING_DONE = (REFUSED, REFUSED, LIE)
LOGIN = (NO_CREDENTIALS, NO_CREDENTIALS, LIE)


def _cut(
    name: str, what: str = "", reason: str = "no_answer", **options: Any
) -> Failure:
    return Failure(
        name=name, what=what or name, reason=reason, endings=CUT, options=options
    )


def _fault(kind: str, reason: str, endings: Any) -> Failure:
    return Failure(
        name=f"fault: {kind.replace('_', ' ')}",
        what="fault",
        reason=reason,
        endings=endings,
        options={"kind": kind},
    )


FAILURES = (
    _cut("reset"),
    _cut("close"),
    _cut("hang", reason="timeout"),
    _cut("drip", reason="timeout"),
    Failure(name="delay", what="delay", endings=WELL, options={"seconds": 0.05}),
    _cut("truncated", framing="length"),
    _cut("truncated, no length", "truncated", framing="close"),
    _cut("broken XML", "broken_xml"),
    _cut("empty answer", "empty"),
    _cut("HTML with 200", "html", status=200),
    _cut("HTML with 500", "html", "outage", status=500),
    _cut("HTML with 503", "html", "outage", status=503),
    Failure(
        name="HTTP 429",
        what="throttled",
        reason="throttled",
        endings=PROVES_NOTHING_DONE,
    ),
    Failure(
        name="redirect 302",
        what="redirect",
        reason="wrong_address",
        endings=PROVES_NOTHING_DONE,
        options={"status": 302},
    ),
    Failure(
        name="redirect 307",
        what="redirect",
        reason="wrong_address",
        endings=PROVES_NOTHING_DONE,
        options={"status": 307, "location": "/Service.asmx"},
    ),
    Failure(
        name="refused (43060)",
        what="refused",
        reason="not_valid",
        endings=(None, REFUSED, LIE),
    ),
    _fault("client", "refused", PROVES_NOTHING_DONE),
    _fault("server", "outage", CUT),
    _fault("maintenance", "maintenance", PROVES_NOTHING_DONE),
    _fault("database", "not_processed", PROVES_NOTHING_DONE),
    _fault("throttled", "outage", CUT),
    _fault("not_authorized", "permission_missing", PROVES_NOTHING_DONE),
    _fault("must_understand", "refused", PROVES_NOTHING_DONE),
    _fault("version_mismatch", "refused", PROVES_NOTHING_DONE),
    _fault("login_failed", "credentials_refused", LOGIN),
    _fault("token_expired", "", (STARTED, STARTED, None)),
    Failure(
        name="fault: token expired, twice",
        what="fault",
        reason="credentials_refused",
        endings=(NO_CREDENTIALS, NO_CREDENTIALS, None),
        options={"kind": "token_expired", "times": 2},
    ),
    Failure(
        name="OK without a task id",
        what="no_task_id",
        reason="no_answer",
        endings=(None, FOUND, None),
    ),
    Failure(
        name="rows come late",
        what="rows_late",
        endings=(None, STARTED, None),
        options={"seconds": 0.2},
    ),
    Failure(name="IN refused", what="in_refused", endings=(None, STARTED, None)),
    Failure(
        name="property refused",
        what="property_refused",
        endings=(None, STARTED, None),
        options={"property": "TotalRows"},
    ),
)
CASES = [
    (failure, when, ending) for failure in FAILURES for when, ending in failure.cases()
]

HEAD = """# What can go wrong with a start, and how it ends

Drawn from `tests/at_most_once/failures.py`, whose cases `test_failures.py` beside it
plays over real HTTP against the sandbox.

*Before*: the request is not read. *Instead*: it is read and not carried out. *After*:
it is carried out, and then the answer is spoilt. In no case is a Perform sent a second
time, but for the one fault "Token Expired", which proves that nothing was performed.

*Reason*: what the run keeps of why it is not started, or unknown.

| what goes wrong | reason | before | instead | after |
|---|---|---|---|---|
"""
TAIL = """
"–": cannot happen, or means nothing there. An answer that proves "nothing was done"
although it was done cannot be seen through: the run says "not started", and adoption
enters the task as started outside, so that it is not lost. "Token Expired" after the
work was done would be such a lie too, and would be sent again; the vendor looks at the
token before anything else.

Without any answer: a worker that is killed or stands still after its claim leaves the
run to its lease, and it becomes *unknown*. A row that is found then is taken; absence
after the grace period and three looks means *not started (no trace)*, and a row that
turns up within 24 hours after that is still taken. A name that cannot be looked up, a
refused connection, a failed handshake or a token that was not given prove that nothing
was sent: *not started*. A run whose row never comes is *lost* after 24 hours
in which mcdash looked; time in which nobody could look does not count.
"""


def drawn() -> str:
    """The page `docs/failures.md`."""
    lines = [
        f"| {failure.name} | {_code(failure.reason)} | "
        f"{' | '.join(map(_words, failure.endings))} |\n"
        for failure in FAILURES
    ]
    return HEAD + "".join(lines) + TAIL


def _code(reason: str) -> str:
    return f"`{reason}`" if reason else ""


def _words(ending: Ending | None) -> str:
    return ending.words if ending else "–"


if __name__ == "__main__":
    DOCS.write_text(drawn())
