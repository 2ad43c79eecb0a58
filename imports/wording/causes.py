"""The one table of causes: what pages say about a run, by its status and its reason.

A row says when it applies, what is known then, and what a person should check, the
likeliest first. The two are never mixed. The first row that fits is taken, and its
sentences are filled in for the run (`run.py`); one with a {name} whose value is not
known is left out.

The API gives no reason for a single row, no file name and no user, so what to check
says where else to look. A new cause is a `Reason` (`imports/reasons.py`), set where
it is known, and a row.
"""

from __future__ import annotations

from dataclasses import dataclass

from imports.models import Reason, RunStatus


@dataclass(frozen=True, kw_only=True, slots=True)
class Cause:
    """A row of the table. It applies where status, reason and all traits fit.

    `traits` are what the counts, the definition and the last look tell. `says_words`:
    the one line of the dashboard ends with Marketing Cloud's own words, where there are
    any. `is_mended_first`: another start does no better until somebody put it right.
    """

    name: str
    status: RunStatus
    reason: Reason | None = None
    traits: tuple[str, ...] = ()
    headline: str
    known: tuple[str, ...] = ()
    check: tuple[str, ...]
    says_words: bool = False
    is_mended_first: bool = False


NOTHING_RAN = "Nothing ran in Marketing Cloud: no row was loaded or replaced."
NOTHING_SENT = "Nothing was sent to Marketing Cloud: no row was loaded or replaced."
NEVER_AGAIN = (
    "It is never sent a second time, and its definition can’t be started here until "
    "this is settled."
)
AGAIN = "Then start it again."
IF_STILL_WANTED = "If the import is still wanted, start it again."
WAIT = (
    "Wait: mcdash looks for it in Marketing Cloud and settles it by itself, at the "
    "earliest at {settles_at}.{by_itself}"
)
STILL = (
    "mcdash keeps looking, and settles it once Marketing Cloud answers.{overdue}"
    "{by_itself}"
)
SEE_THERE = (
    "See in Marketing Cloud whether it is running or ran: in Automation Studio’s "
    "activity and in its destination."
)
SAY_SO = (
    "Once you have looked there and it did not start, press “Mark as not started…” "
    "above.{may_say}"
)
DEFINITION_THERE = (
    "Open the definition in Marketing Cloud: was it deleted, or moved to another "
    "business unit?"
)
ERROR = "The API does not say why, which file it took, or at which row it stopped."
WHICH_ROWS = "The API does not say which rows, or why."
MAIL = "Read the email that Marketing Cloud sends to {mail} when it ends."
HAS_ROWS = "Check in {place} whether {file} has anything below its header line."
FILE_THERE = (
    "Check in {place} whether {file} is there and not empty: a missing, late or empty "
    "file is the usual reason."
)
FILE_AGE = "Is that file at most {age} hours old? The definition accepts no older one."
FILE_OPEN = (
    "Can Marketing Cloud open {place}? Its password, key or host may have changed."
)
ERROR_FILE = (
    "Look in {place} for the error file of this import: it lists rows with errors."
)
COLUMNS = (
    "Compare the file’s columns, delimiter and date format with the definition’s: all "
    "rows at once point there, not to single values."
)
FORM = "Compare the file’s columns, delimiter and date format with the definition’s."
VALUES = (
    "Compare the file with the last successful one: a date in another format, a value "
    "too long for its field, an empty key.{values}"
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
AT_RISK = "{goal_at_risk}"
S, R = RunStatus, Reason


def refused(
    reason: Reason, headline: str, *check: str, is_mended_first: bool = False
) -> Cause:
    """A start that Marketing Cloud answered with a refusal."""
    return Cause(
        name=reason.value,
        status=S.NOT_STARTED,
        reason=reason,
        headline=headline,
        known=("{message}", NOTHING_RAN),
        check=(*check, AGAIN),
        says_words=True,
        is_mended_first=is_mended_first,
    )


def unsent(
    reason: Reason, headline: str, *check: str, is_mended_first: bool = False
) -> Cause:
    """A start that was given up before anything was sent."""
    return Cause(
        name=reason.value,
        status=S.NOT_STARTED,
        reason=reason,
        headline=headline,
        known=("{message}", NOTHING_SENT),
        check=check,
        is_mended_first=is_mended_first,
    )


def unknown(
    name: str,
    headline: str,
    *check: str,
    reason: Reason | None = None,
    known: tuple[str, ...] = (),
    traits: tuple[str, ...] = (),
) -> Cause:
    """A start that was sent and got no readable answer."""
    return Cause(
        name=name,
        status=S.UNKNOWN,
        reason=reason,
        traits=traits,
        headline=headline,
        known=("{message}", *known, NEVER_AGAIN, "{last_look}"),
        check=check,
    )


TABLE: tuple[Cause, ...] = (
    Cause(
        name=R.CREDENTIALS_REFUSED.value,
        status=S.NOT_STARTED,
        reason=R.CREDENTIALS_REFUSED,
        headline="Marketing Cloud refused the account’s credentials.",
        known=(
            "{message}",
            NOTHING_RAN,
            "Until they are corrected, none of its imports can be started.",
        ),
        check=(
            "Ask an administrator to correct the account’s credentials and to press "
            "“Test connection”.",
            "In Marketing Cloud: is the package still installed and enabled, or the "
            "API user active and its password not expired?",
            AGAIN,
        ),
        is_mended_first=True,
    ),
    refused(
        R.NOT_FOUND,
        "Marketing Cloud does not know the definition.",
        DEFINITION_THERE,
        "Press “Sync now” under Definitions, so that mcdash knows what is there.",
        is_mended_first=True,
    ),
    refused(
        R.PERMISSION_MISSING,
        "Marketing Cloud says that a permission is missing.",
        "Ask an administrator whether the package or API user can run imports, in "
        "this business unit.",
        "Was a permission or a business unit taken from it recently?",
        is_mended_first=True,
    ),
    refused(
        R.MAINTENANCE,
        "Marketing Cloud is in maintenance.",
        "See Salesforce’s Trust page for your stack, and wait until it is over.",
    ),
    refused(
        R.THROTTLED,
        "Marketing Cloud had too many requests.",
        "Wait a few minutes: the limit is for everything that uses this business "
        "unit’s API.",
        "Is something else asking very often: another tool, or many starts at once?",
    ),
    refused(
        R.ALREADY_RUNNING,
        "Marketing Cloud says that it is already running.",
        "See under Running now, and in Automation Studio, which run of it is active.",
        "Wait until that one ends.",
    ),
    refused(
        R.NOT_PROCESSED,
        "Marketing Cloud could not process it just then.",
        "Wait a few minutes. Marketing Cloud confirmed that nothing ran.",
    ),
    refused(
        R.WRONG_KIND,
        "Marketing Cloud cannot start this kind of definition.",
        "Open it in Marketing Cloud: can it be started there by hand?",
        is_mended_first=True,
    ),
    refused(
        R.NOT_VALID,
        "Marketing Cloud refused the definition as it is.",
        "Its message names what is wrong: a file location, a field or the destination "
        "may be gone.",
        "Open the definition in Marketing Cloud and save it: that checks it again.",
        is_mended_first=True,
    ),
    refused(
        R.WRONG_ADDRESS,
        "The account’s address leads elsewhere.",
        "Ask an administrator to check the account’s addresses: are they the tenant’s?",
        is_mended_first=True,
    ),
    refused(
        R.WRONG_MID,
        "The account’s MID is not a number.",
        "Ask an administrator to correct the account’s MID.",
        is_mended_first=True,
    ),
    refused(
        R.REFUSED,
        "Marketing Cloud refused the start.",
        "See Marketing Cloud’s message for the reason.",
        "Open the definition in Marketing Cloud: was it changed or deleted?",
        "Is the package or API user allowed to start it?",
    ),
    unsent(
        R.SECRET_UNREADABLE,
        "The account’s stored secret cannot be read.",
        "Ask your system administrator to put the missing key back into "
        "MCDASH_FIELD_KEYS.",
        "Or ask an administrator to enter the account’s secret again.",
        AGAIN,
        is_mended_first=True,
    ),
    unsent(
        R.ADDRESS_REFUSED,
        "The account’s address is not allowed.",
        "Ask an administrator to check the account’s addresses, and your system "
        "administrator which hosts MCDASH_ENDPOINT_HOSTS allows.",
        AGAIN,
        is_mended_first=True,
    ),
    unsent(
        R.NO_TOKEN,
        "Marketing Cloud gave no access token.",
        "See under Accounts whether the account answers by now.",
        "Ask an administrator to check the authentication URL.",
        AGAIN,
    ),
    unsent(
        R.ACCOUNT_BUSY,
        "The account was busy with other calls.",
        "Wait a few minutes: mcdash makes two calls to an account at a time.",
        AGAIN,
    ),
    unsent(
        R.UNREACHABLE,
        "Marketing Cloud could not be reached.",
        "See under Accounts whether the account answers by now.",
        "Do other accounts answer? If none does, this server’s network is the likely "
        "cause: tell your system administrator.",
        AGAIN,
    ),
    unsent(
        R.EXPIRED,
        "It waited too long in the queue.",
        "Ask your system administrator whether the worker is running.",
        IF_STILL_WANTED,
    ),
    unsent(
        R.HELD_UP,
        "The worker stalled before sending.",
        "Ask your system administrator whether the server was suspended or overloaded.",
        AGAIN,
    ),
    unsent(
        R.STOPPED,
        "The worker was stopped before sending.",
        "Check that a worker is running again: a banner says so where none is.",
        AGAIN,
    ),
    unsent(
        R.DISABLED,
        "The account is disabled.",
        "Ask an administrator whether the account is still used.",
    ),
    unsent(
        R.PAUSED,
        "Starts are paused in this account.",
        "Ask an administrator why, and when starts are allowed again.",
        AGAIN,
    ),
    unsent(
        R.DOUBLED,
        "Its business unit is two accounts here.",
        "Ask an administrator to disable one of the two: while both are active, the "
        "same import could run twice at once.",
        AGAIN,
    ),
    unsent(
        R.RUNNING_ELSEWHERE,
        "The same import is running in another account of this business unit.",
        "Wait until that run has ended or is settled.",
        "Ask an administrator why the business unit has two accounts here.",
        AGAIN,
    ),
    unsent(
        R.NOT_ANSWERING,
        "The account does not answer.",
        "Wait until it does: Accounts shows when.",
        AGAIN,
    ),
    Cause(
        name=R.DECLARED.value,
        status=S.NOT_STARTED,
        reason=R.DECLARED,
        headline="A person looked for it and said that it did not start.",
        known=("It was {declared_by}, who looked in Marketing Cloud.", "{late_result}"),
        check=(IF_STILL_WANTED,),
    ),
    Cause(
        name=R.NO_TRACE.value,
        status=S.NOT_STARTED,
        reason=R.NO_TRACE,
        headline="No trace of it was found in Marketing Cloud.",
        known=(
            "mcdash looked for it {looks} times. It very probably did not start.",
            "{late_result}",
        ),
        check=(
            "If you must be certain, look in Automation Studio’s activity.",
            "Then start it again.",
        ),
    ),
    # the last resort: no reason, or one without a row of its own
    Cause(
        name="not_started",
        status=S.NOT_STARTED,
        headline="It was not started.",
        known=("{message}",),
        check=(SEE_THERE, AGAIN),
    ),
    # before the reasons: whatever broke off the answer, a person can choose now
    unknown(
        "several_candidates",
        "The start got no answer. {candidates} runs in Marketing Cloud could be it.",
        "Press “Choose the run…” above: compare when each began with when this one was "
        "sent, {sent_at}.",
        "If it is none of them, say so there: mcdash then keeps looking.",
        traits=("several",),
    ),
    unknown(
        "keyless",
        "The start was sent and no readable answer came. It may be running.",
        SEE_THERE,
        "From {settles_at} on, you can mark it as not started here.",
        SAY_SO,
        known=(
            "mcdash can’t look for it by itself: its definition has no customer key, "
            "by which results are found.",
        ),
        traits=("keyless",),
    ),
    unknown(
        R.WORKER_VANISHED.value,
        "The worker vanished while it sent the start. It may be running.",
        WAIT,
        STILL,
        SEE_THERE,
        SAY_SO,
        reason=R.WORKER_VANISHED,
    ),
    unknown(
        R.TIMEOUT.value,
        "The start was sent and Marketing Cloud did not answer in time.",
        WAIT,
        STILL,
        SEE_THERE,
        SAY_SO,
        reason=R.TIMEOUT,
    ),
    unknown(
        R.OUTAGE.value,
        "The start was sent and Marketing Cloud reported an error of its own.",
        WAIT,
        STILL,
        "See Salesforce’s Trust page for your stack: is there an outage?",
        SEE_THERE,
        SAY_SO,
        reason=R.OUTAGE,
    ),
    unknown(
        R.NO_ANSWER.value,
        "The start was sent and no readable answer came. It may be running.",
        WAIT,
        STILL,
        SEE_THERE,
        SAY_SO,
    ),
    # Marketing Cloud ended it; why is told by nothing but its counts
    Cause(
        name="failed_empty",
        status=S.FAILED,
        traits=("zero_rows",),
        headline="Marketing Cloud reported an error and 0 rows.",
        known=(ERROR, "{changed}"),
        check=(MAIL, HAS_ROWS, FORM, AT_RISK, CORRECT_AND_AGAIN),
    ),
    Cause(
        name="failed_all_rows",
        status=S.FAILED,
        traits=("all_errors",),
        headline="Marketing Cloud reported an error: all {rows} rows have errors.",
        known=("{counted}", WHICH_ROWS, "{changed}"),
        check=(MAIL, ERROR_FILE, COLUMNS, AT_RISK, CORRECT_AND_AGAIN),
        is_mended_first=True,
    ),
    Cause(
        name="failed_row_errors",
        status=S.FAILED,
        traits=("some_errors",),
        headline="Marketing Cloud reported an error: {errors} of {rows} rows have "
        "errors, {share}.",
        known=("{counted}", "{tolerance}", WHICH_ROWS, "{changed}"),
        check=(MAIL, ERROR_FILE, SAME_LENGTH, VALUES, AT_RISK, CORRECT_AND_AGAIN),
    ),
    Cause(
        name="failed_counted",
        status=S.FAILED,
        traits=("counted",),
        headline="Marketing Cloud reported an error after {rows} rows.",
        known=("{counted}", ERROR, "{changed}"),
        check=(MAIL, ERROR_FILE, FORM, AT_RISK, CORRECT_AND_AGAIN),
    ),
    Cause(
        name="failed",
        status=S.FAILED,
        headline="Marketing Cloud reported an error and no row counts.",
        known=(ERROR, "{changed}"),
        check=(
            *(MAIL, FILE_THERE, FILE_AGE, FILE_OPEN, FORM, AT_RISK, CORRECT_AND_AGAIN),
        ),
    ),
    Cause(
        name="all_rows_refused",
        status=S.COMPLETED_WITH_ERRORS,
        traits=("all_errors",),
        headline="All {rows} rows were rejected.",
        known=("{counted}", "{tolerance}", WHICH_ROWS, "{changed}"),
        check=(MAIL, ERROR_FILE, COLUMNS, AT_RISK, CORRECT_AND_AGAIN),
        is_mended_first=True,
    ),
    Cause(
        name="rows_refused",
        status=S.COMPLETED_WITH_ERRORS,
        traits=("some_errors",),
        headline="{errors} of {rows} rows were rejected, {share}{rest}.",
        known=("{counted}", "{tolerance}", WHICH_ROWS, "{changed}"),
        check=(MAIL, ERROR_FILE, SAME_LENGTH, VALUES, CORRECT_AND_AGAIN),
    ),
    Cause(
        name="rows_unaccounted",
        status=S.COMPLETED_WITH_ERRORS,
        traits=("open_counts", "rows_unaccounted"),
        headline="{problem}.",
        known=("{counted}", OPEN, WHICH_ROWS, "{changed}"),
        check=(
            MAIL,
            f"{LEFT_ALONE}{{leaves_rows}}",
            ERROR_FILE,
            LOOK_INSIDE,
            AT_RISK,
            CORRECT_AND_AGAIN,
        ),
    ),
    Cause(
        name="counts_not_reported",
        status=S.COMPLETED_WITH_ERRORS,
        traits=("open_counts",),
        headline="{problem}.",
        known=("{counted}", OPEN, UNREADABLE, "{changed}"),
        check=(MAIL, ERROR_FILE, LOOK_INSIDE, AT_RISK, CORRECT_AND_AGAIN),
    ),
    Cause(
        name="rows_refused_of_unknown",
        status=S.COMPLETED_WITH_ERRORS,
        headline="{errors} rows were rejected. How many there were was not reported.",
        known=("{tolerance}", WHICH_ROWS, "{changed}"),
        check=(MAIL, ERROR_FILE, VALUES, CORRECT_AND_AGAIN),
    ),
    Cause(
        name="no_rows",
        status=S.COMPLETED,
        traits=("zero_rows",),
        headline="It loaded no rows.",
        known=("Marketing Cloud completed it and counted 0 rows.", "{changed}"),
        check=(
            HAS_ROWS,
            "Ask whoever makes the file whether an empty one was meant.",
            AT_RISK,
        ),
        is_mended_first=True,
    ),
    Cause(
        name="nothing_new",
        status=S.COMPLETED,
        traits=("none_loaded",),
        headline="It counted {rows} rows and loaded none.",
        known=("{counted}", "Marketing Cloud completed it.", "{changed}"),
        check=(LEFT_ALONE, "Was the same file loaded before?"),
    ),
    Cause(
        name="lost_without_row",
        status=S.LOST,
        reason=R.TOO_OLD,
        traits=("no_phase",),
        headline="Marketing Cloud accepted it and never showed it again, for 24 hours.",
        known=(
            "There is a task, {task}, and no result of it, so nobody knows whether it "
            "ran.",
        ),
        check=(
            MAIL,
            "Check in Automation Studio’s activity whether it ran.",
            "Press “Check again” above: mcdash then asks for it once more.",
        ),
    ),
    Cause(
        name="lost",
        status=S.LOST,
        headline="No final result in 24 hours; the last phase was {phase}.",
        known=(
            "Marketing Cloud accepted it as task {task} and never gave a final phase, "
            "so nobody knows how it ended.",
        ),
        check=(
            MAIL,
            "Check in Automation Studio’s activity how it ended.",
            "Press “Check again” above: mcdash then asks for it once more.",
        ),
    ),
)
