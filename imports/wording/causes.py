"""Why a run stands as it does: the table that pages explain runs from.

A row says when it applies, what is known then, and what a person should check, the
likeliest first. The two are never mixed. The first row that fits is taken.

The API gives no row-level reasons, no file name and no user, so what to check says
where else to look. A sentence with a {name} whose value is not known is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

from imports.models import ErrorKind, RunStatus


@dataclass(frozen=True, kw_only=True, slots=True)
class Cause:
    """A row of the table. It applies where all that it names fits; of `codes` and
    `words` one is enough.

    `codes` are Marketing Cloud's, `words` are looked for in the run's message, in
    small letters, `traits` are what counts and definition tell. `says_words`: the one
    line of the dashboard ends with Marketing Cloud's own words, where there are any.
    """

    name: str
    status: RunStatus
    kind: ErrorKind | None = None
    codes: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    traits: tuple[str, ...] = ()
    headline: str
    known: tuple[str, ...] = ()
    check: tuple[str, ...]
    says_words: bool = False


def refused(name: str, headline: str, *check: str, **match: tuple[str, ...]) -> Cause:
    """A start that Marketing Cloud answered with a refusal."""
    return Cause(
        name=name,
        status=RunStatus.NOT_STARTED,
        kind=ErrorKind.REFUSED,
        headline=headline,
        known=("{message}", NOTHING_RAN),
        check=(*check, AGAIN),
        says_words=True,
        **match,
    )


def unsent(
    name: str, kind: ErrorKind, headline: str, *check: str, words: tuple[str, ...] = ()
) -> Cause:
    """A start that was given up before anything was sent."""
    return Cause(
        name=name,
        status=RunStatus.NOT_STARTED,
        kind=kind,
        words=words,
        headline=headline,
        known=("{message}", NOTHING_SENT),
        check=check,
    )


def unknown(
    name: str,
    headline: str,
    *check: str,
    kind: ErrorKind | None = None,
    known: tuple[str, ...] = (),
    words: tuple[str, ...] = (),
    traits: tuple[str, ...] = (),
) -> Cause:
    """A start that was sent and got no readable answer."""
    return Cause(
        name=name,
        status=RunStatus.UNKNOWN,
        kind=kind,
        words=words,
        traits=traits,
        headline=headline,
        known=("{message}", *known, NEVER_AGAIN, "{last_look}"),
        check=check,
    )


NOTHING_RAN = "Nothing ran in Marketing Cloud: no row was loaded or replaced."
NOTHING_SENT = "Nothing was sent to Marketing Cloud: no row was loaded or replaced."
NEVER_AGAIN = (
    "It is never sent a second time, and its definition cannot be started here until "
    "this is settled."
)
AGAIN = "Then start it again."
WAIT = (
    "Wait: mcdash looks for it in Marketing Cloud and settles it by itself, at the "
    "earliest at {settles_at}.{by_itself}"
)
STILL = (
    "mcdash goes on looking, and settles it once Marketing Cloud answers.{overdue}"
    "{by_itself}"
)
SEE_THERE = (
    "Look in Marketing Cloud whether it runs or ran: in Automation Studio’s activity "
    "and in what it loads into."
)
SAY_SO = (
    "Once you have looked there and it did not start, press “Mark as not started…” "
    "above.{may_say}"
)
DEFINITION_THERE = (
    "Open the definition in Marketing Cloud: was it deleted, or moved to another "
    "business unit?"
)
ASK_FOR_CREDENTIALS = (
    "Ask an administrator to correct the account’s credentials and to press “Test "
    "connection”."
)
K = ErrorKind
# Causes that somebody must put right before another start can do any better.
MEND_FIRST = frozenset(
    {
        *("credentials", "not_found", "permission", "wrong_kind", "not_valid"),
        *("wrong_address", "wrong_mid", "secret_unreadable", "address_refused"),
        *("no_rows", "all_rows_refused", "failed_all_rows"),
    }
)

STARTS = (
    Cause(
        name="credentials",
        status=RunStatus.NOT_STARTED,
        kind=K.CREDENTIALS_REFUSED,
        headline="Marketing Cloud refused the account’s credentials.",
        known=("{message}", NOTHING_RAN, "Until then no import of it can be started."),
        check=(
            ASK_FOR_CREDENTIALS,
            "In Marketing Cloud: is the package still installed and enabled, or the "
            "API user active and its password not expired?",
            AGAIN,
        ),
    ),
    refused(
        "not_found",
        "Marketing Cloud does not know the definition.",
        DEFINITION_THERE,
        "Press “Sync now” under Definitions, so that mcdash knows what is there.",
        codes=("43000", "43010"),
        words=("not found", "neither a customer key", "not specified"),
    ),
    refused(
        "permission",
        "Marketing Cloud says that a permission is missing.",
        "Ask an administrator whether the package or API user may run imports, in "
        "this business unit.",
        "Was a right or a business unit taken from it lately?",
        codes=("4", "11"),
        words=("permission", "not authorized", "no access to"),
    ),
    refused(
        "maintenance",
        "Marketing Cloud is in maintenance.",
        "See Salesforce’s Trust page for your stack, and wait until it is over.",
        codes=("9",),
        words=("maintenance",),
    ),
    refused(
        "throttled",
        "Marketing Cloud had too many requests.",
        "Wait some minutes: the limit is for all that uses this business unit’s API.",
        "Is something else asking very often: another tool, or many starts at once?",
        codes=("50100", "50200"),
        words=("http 429", "throttl", "rate limit", "too many", "temporarily blocked"),
    ),
    refused(
        "busy",
        "Marketing Cloud says that it is under way already.",
        "See under Running now, and in Automation Studio, what runs of it.",
        "Wait for its end.",
        words=("already running", "already in progress", "is in progress", "is busy"),
    ),
    refused(
        "not_processed",
        "Marketing Cloud could not take it just now.",
        "Wait some minutes: it says itself that nothing was done.",
        words=("not processed", "database problems"),
    ),
    refused(
        "wrong_kind",
        "Marketing Cloud cannot start this kind of definition.",
        "Open it in Marketing Cloud: can it be started there by hand?",
        codes=("5", "8", "43020"),
        words=("object not supported", "cannot perform"),
    ),
    refused(
        "not_valid",
        "Marketing Cloud refused the definition as it is.",
        "Its words name what is wrong: a file location, a field or what it loads into "
        "may be gone.",
        "Open the definition in Marketing Cloud and save it: it then checks it again.",
        codes=("43030", "43040", "43050", "43060"),
        words=("validation",),
    ),
    refused(
        "wrong_address",
        "The account’s address leads elsewhere.",
        "Ask an administrator to check the account’s addresses: are they the tenant’s?",
        words=("another address",),
    ),
    refused(
        "wrong_mid",
        "The account’s MID is not a number.",
        "Ask an administrator to correct the account’s MID.",
        words=("mid is not",),
    ),
    refused(
        "refused",
        "Marketing Cloud refused the start.",
        "Read its words: they name what it did not like.",
        "Open the definition in Marketing Cloud: was it changed or deleted?",
        "May the package or API user start it?",
    ),
    unsent(
        "secret_unreadable",
        K.UNAVAILABLE,
        "The account’s stored secret cannot be read.",
        "Ask the operator of this server to put the missing key back into "
        "MCDASH_FIELD_KEYS.",
        "Or ask an administrator to enter the account’s secret again.",
        AGAIN,
        words=("stored secret",),
    ),
    unsent(
        "address_refused",
        K.UNAVAILABLE,
        "The account’s address may not be called.",
        "Ask an administrator to check the account’s addresses, and the operator which "
        "hosts MCDASH_ENDPOINT_HOSTS allows.",
        AGAIN,
        words=("mcdash_endpoint_hosts", "is not an address", "must start with http"),
    ),
    unsent(
        "no_token",
        K.UNAVAILABLE,
        "Marketing Cloud gave no access token.",
        "See under Accounts whether the account answers by now.",
        "Is the account’s authentication address right? An administrator knows.",
        AGAIN,
        words=("no access token", "asking for a token"),
    ),
    unsent(
        "account_busy",
        K.UNAVAILABLE,
        "The account was busy with other calls.",
        "Wait some minutes: an account is asked two things at a time.",
        AGAIN,
        words=("busy with other calls",),
    ),
    unsent(
        "unreachable",
        K.UNAVAILABLE,
        "Marketing Cloud was not reached.",
        "See under Accounts whether the account answers by now.",
        "Do other accounts answer? If none does, this server’s network is the likely "
        "cause: tell its operator.",
        AGAIN,
    ),
    unsent(
        "expired",
        K.EXPIRED,
        "It waited too long in the queue.",
        "Ask the operator of this server whether the worker runs.",
        "If the import is still wanted, start it again.",
    ),
    unsent(
        "held_up",
        K.HELD_UP,
        "The worker stood still just before it was sent.",
        "Ask the operator whether the server was suspended or overloaded.",
        AGAIN,
    ),
    unsent(
        "stopped",
        K.STOPPED,
        "The worker was stopped before it was sent.",
        "See whether a worker runs again: a banner tells where none does.",
        AGAIN,
    ),
    unsent(
        "switched_off",
        K.PAUSED,
        "The account is disabled.",
        "Ask an administrator whether the account is used again.",
        words=("is disabled", "switched off"),
    ),
    unsent(
        "paused",
        K.PAUSED,
        "Starts are paused in this account.",
        "Ask an administrator why, and when starts are allowed again.",
        AGAIN,
    ),
    unsent(
        "doubled",
        K.DOUBLED,
        "Its business unit is two accounts here.",
        "Ask an administrator to disable one of the two: while both are active, the "
        "same import could run twice at once.",
        AGAIN,
    ),
    unsent(
        "not_answering",
        K.NOT_ANSWERING,
        "The account does not answer.",
        "Wait until it does: Accounts shows when.",
        AGAIN,
    ),
    Cause(
        name="declared",
        status=RunStatus.NOT_STARTED,
        kind=K.NO_TRACE,
        words=("said that it did not start",),
        headline="A person looked for it and said that it did not start.",
        known=("{message}", "{late_result}"),
        check=("If the import is still wanted, start it again.",),
    ),
    Cause(
        name="no_trace",
        status=RunStatus.NOT_STARTED,
        kind=K.NO_TRACE,
        headline="No trace of it was found in Marketing Cloud.",
        known=("{message}", "{late_result}"),
        check=(
            "If you must be certain, look in Automation Studio’s activity.",
            "Then start it again.",
        ),
    ),
    Cause(
        name="not_started",
        status=RunStatus.NOT_STARTED,
        headline="It was not started.",
        known=("{message}",),
        check=(SEE_THERE, AGAIN),
    ),
    unknown(
        "several_candidates",
        "The start got no answer. {candidates} runs in Marketing Cloud could be it.",
        "Press “Choose the run…” above: compare when each began with when this one was "
        "sent, {sent_at}.",
        "If none of them is it, say so there: mcdash then goes on looking.",
        traits=("several",),
    ),
    unknown(
        "keyless",
        "The start was sent and no readable answer came. It may be running.",
        SEE_THERE,
        "From {settles_at} on you may say here that it did not start.",
        SAY_SO,
        known=(
            "mcdash cannot look for it by itself: its definition has no customer key, "
            "by which results are found.",
        ),
        traits=("keyless",),
    ),
    unknown(
        "worker_vanished",
        "The worker vanished while it sent the start. It may be running.",
        WAIT,
        STILL,
        SEE_THERE,
        SAY_SO,
        kind=K.LEASE_OVER,
    ),
    unknown(
        "timeout",
        "The start was sent and Marketing Cloud did not answer in time.",
        WAIT,
        STILL,
        SEE_THERE,
        SAY_SO,
        words=("in time", "did not finish its answer"),
    ),
    unknown(
        "outage",
        "The start was sent and Marketing Cloud reported an error of its own.",
        WAIT,
        STILL,
        "See Salesforce’s Trust page for your stack: is there an outage?",
        SEE_THERE,
        SAY_SO,
        words=("error of its own", "http 5"),
    ),
    unknown(
        "no_answer",
        "The start was sent and no readable answer came. It may be running.",
        WAIT,
        STILL,
        SEE_THERE,
        SAY_SO,
    ),
)


# Why a run ended as it did, or has not: the other rows of the table of causes.


ERROR = "The API does not say why, which file it took, or at which row it stopped."
WHICH_ROWS = "The API does not say which rows, or why."
MAIL = "Read the mail that Marketing Cloud sends to {mail} when it ends."
FILE_THERE = (
    "Look in {place} whether {file} is there and not empty: a missing, late or empty "
    "file is the usual reason."
)
FILE_AGE = "Is that file at most {age} hours old? The definition takes no older one."
FILE_OPEN = (
    "Can Marketing Cloud open {place}? Its password, key or host may have changed."
)
ERROR_FILE = "Look in {place} for the error file of this import: it names rows."
COLUMNS = (
    "Compare the file’s columns, delimiter and date format with the definition’s: all "
    "rows at once point there, not to single values."
)
FORM = "Compare the file’s columns, delimiter and date format with the definition’s."
VALUES = (
    "Compare the file with the last good one: a date in another format, a value too "
    "long for its field, an empty key.{values}"
)
SAME_LENGTH = (
    "The file is {length}, so look inside it: a date in another format, a value too "
    "long for its field, an empty key."
)
OPEN = "Marketing Cloud completed it; its counts don’t show that every row was loaded."
UNREADABLE = "mcdash treats a count that isn’t a whole number as not reported."
LEFT_ALONE = (
    "Check the update type: “Add only” skips rows that exist already, “Update only” "
    "skips new ones."
)
LOOK_INSIDE = "Compare the rows in the file with those in its destination."
CORRECT_AND_AGAIN = "Correct what was wrong and start it again.{repeat}"
R = RunStatus

ENDINGS = (
    Cause(
        name="failed_empty",
        status=R.FAILED,
        traits=("zero_rows",),
        headline="Marketing Cloud ended it in Error and counted 0 rows.",
        known=(ERROR, "{changed}"),
        check=(
            MAIL,
            "Look in {place} whether {file} has anything below its header line.",
            FORM,
            "{goal_at_risk}",
            CORRECT_AND_AGAIN,
        ),
    ),
    Cause(
        name="failed_all_rows",
        status=R.FAILED,
        traits=("all_errors",),
        headline="Marketing Cloud ended it in Error: all {rows} rows have errors.",
        known=("{counted}", WHICH_ROWS, "{changed}"),
        check=(MAIL, ERROR_FILE, COLUMNS, "{goal_at_risk}", CORRECT_AND_AGAIN),
    ),
    Cause(
        name="failed_row_errors",
        status=R.FAILED,
        traits=("some_errors",),
        headline="Marketing Cloud ended it in Error: {errors} of {rows} rows have "
        "errors, {share}.",
        known=("{counted}", "{tolerance}", WHICH_ROWS, "{changed}"),
        check=(
            MAIL,
            ERROR_FILE,
            SAME_LENGTH,
            VALUES,
            "{goal_at_risk}",
            CORRECT_AND_AGAIN,
        ),
    ),
    Cause(
        name="failed_counted",
        status=R.FAILED,
        traits=("counted",),
        headline="Marketing Cloud ended it in Error after {rows} rows.",
        known=("{counted}", ERROR, "{changed}"),
        check=(MAIL, ERROR_FILE, FORM, "{goal_at_risk}", CORRECT_AND_AGAIN),
    ),
    Cause(
        name="failed",
        status=R.FAILED,
        headline="Marketing Cloud ended it in Error and counted no rows.",
        known=(ERROR, "{changed}"),
        check=(
            MAIL,
            FILE_THERE,
            FILE_AGE,
            FILE_OPEN,
            FORM,
            "{goal_at_risk}",
            CORRECT_AND_AGAIN,
        ),
    ),
    Cause(
        name="all_rows_refused",
        status=R.COMPLETED_WITH_ERRORS,
        traits=("all_errors",),
        headline="All {rows} rows were refused.",
        known=("{counted}", "{tolerance}", WHICH_ROWS, "{changed}"),
        check=(MAIL, ERROR_FILE, COLUMNS, "{goal_at_risk}", CORRECT_AND_AGAIN),
    ),
    Cause(
        name="rows_refused",
        status=R.COMPLETED_WITH_ERRORS,
        traits=("some_errors",),
        headline="{errors} of {rows} rows were refused, {share}{rest}.",
        known=("{counted}", "{tolerance}", WHICH_ROWS, "{changed}"),
        check=(MAIL, ERROR_FILE, SAME_LENGTH, VALUES, CORRECT_AND_AGAIN),
    ),
    Cause(
        name="rows_unaccounted",
        status=R.COMPLETED_WITH_ERRORS,
        traits=("open_counts", "rows_unaccounted"),
        headline="{problem}.",
        known=("{counted}", OPEN, WHICH_ROWS, "{changed}"),
        check=(
            MAIL,
            f"{LEFT_ALONE}{{leaves_rows}}",
            ERROR_FILE,
            LOOK_INSIDE,
            "{goal_at_risk}",
            CORRECT_AND_AGAIN,
        ),
    ),
    Cause(
        name="counts_not_reported",
        status=R.COMPLETED_WITH_ERRORS,
        traits=("open_counts",),
        headline="{problem}.",
        known=("{counted}", OPEN, UNREADABLE, "{changed}"),
        check=(MAIL, ERROR_FILE, LOOK_INSIDE, "{goal_at_risk}", CORRECT_AND_AGAIN),
    ),
    Cause(
        name="rows_refused_of_unknown",
        status=R.COMPLETED_WITH_ERRORS,
        headline="{errors} rows were refused. How many there were was not counted.",
        known=("{tolerance}", WHICH_ROWS, "{changed}"),
        check=(MAIL, ERROR_FILE, VALUES, CORRECT_AND_AGAIN),
    ),
    Cause(
        name="no_rows",
        status=R.COMPLETED,
        traits=("zero_rows",),
        headline="It loaded no rows.",
        known=(
            "Marketing Cloud completed it and counted 0 rows.",
            "{changed}",
        ),
        check=(
            "Look in {place} whether {file} has anything below its header line.",
            "Ask whoever makes the file whether an empty one was meant.",
            "{goal_at_risk}",
        ),
    ),
    Cause(
        name="nothing_new",
        status=R.COMPLETED,
        traits=("none_loaded",),
        headline="It counted {rows} rows and loaded none.",
        known=("{counted}", "Marketing Cloud completed it.", "{changed}"),
        check=(
            LEFT_ALONE,
            "Was the same file loaded before?",
        ),
    ),
    Cause(
        name="lost_without_row",
        status=R.LOST,
        kind=ErrorKind.TOO_OLD,
        traits=("no_phase",),
        headline="Marketing Cloud accepted it and never showed it again, for 24 hours.",
        known=(
            "There is a task, {task}, and no result of it, so nobody knows whether it "
            "ran.",
        ),
        check=(
            MAIL,
            "Look in Automation Studio’s activity whether it ran.",
            "Press “Check again” above: mcdash then asks for it once more.",
        ),
    ),
    Cause(
        name="lost",
        status=R.LOST,
        headline="No final result in 24 hours; the last phase was {phase}.",
        known=(
            "Marketing Cloud accepted it as task {task} and never gave a final phase, "
            "so nobody knows how it ended.",
        ),
        check=(
            MAIL,
            "Look in Automation Studio’s activity for its end.",
            "Press “Check again” above: mcdash then asks for it once more.",
        ),
    ),
)
