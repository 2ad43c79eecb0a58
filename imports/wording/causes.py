"""The one table of causes: what pages say about a run, by its status and its reason.

What is known and what a person should check are never mixed. The first row that fits
is taken, and its sentences are filled in for the run (`run.py`); one with a {name}
whose value is not known is left out.

The API gives no reason for a single row, no file name and no user, so what to check
says where else to look.
"""

from __future__ import annotations

from dataclasses import dataclass

from imports.models import Reason, RunStatus

Texts = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cause:
    """A row of the table. It applies where status, reason and all traits fit, which are
    what the counts, the definition and the last look tell.
    """

    name: str
    status: RunStatus
    reason: Reason | None
    traits: Texts
    headline: str
    known: Texts
    check: Texts  # the likeliest first


NOTHING_RAN = "Nothing ran in Marketing Cloud: no row was loaded or replaced."
NOTHING_SENT = "Nothing was sent to Marketing Cloud: no row was loaded or replaced."
NEVER_AGAIN = (
    "It is never sent a second time, and its definition can’t be started here until "
    "this is settled."
)
AGAIN = "Then start it again."
IF_STILL_WANTED = "If the import is still wanted, start it again."
SEE_THERE = (
    "See in Marketing Cloud whether it is running or ran: in Automation Studio’s "
    "activity and in its destination."
)
SAY_SO = (
    "Once you have looked there and it did not start, press “Mark as not started…” "
    "above.{may_say}"
)
ERROR = "The API does not say why, which file it took, or at which row it stopped."
WHICH_ROWS = "The API does not say which rows, or why."
MAIL = "Read the email that Marketing Cloud sends to {mail} when it ends."
HAS_ROWS = "Check in {place} whether {file} has anything below its header line."
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
LEFT_ALONE = (
    "Check the update type: “Add only” skips rows that exist already, “Update only” "
    "skips new ones."
)
LOOK_INSIDE = "Compare the rows in the file with those in its destination."
CORRECT_AND_AGAIN = "Correct what was wrong and start it again.{repeat}"
AT_RISK = (
    "Check the destination before you use it: this import replaces every row, and may "
    "have left fewer, or none.{replaces}"
)
CHECK_AGAIN = "Press “Check again” above: mcdash then asks for it once more."
S, R = RunStatus, Reason

# Another start does no better until somebody put it right.
MENDED_FIRST = {
    *(R.CREDENTIALS_REFUSED, R.NOT_FOUND, R.PERMISSION_MISSING, R.WRONG_KIND),
    *(R.NOT_VALID, R.WRONG_ADDRESS, R.WRONG_MID, R.SECRET_UNREADABLE),
    *(R.ADDRESS_REFUSED, "failed_all_rows", "all_rows_refused", "no_rows"),
}

# Starts that Marketing Cloud answered with a refusal: the headline, and what to check
# before another start.
REFUSED: dict[Reason, Texts] = {
    R.NOT_FOUND: (
        "Marketing Cloud does not know the definition.",
        "Open the definition in Marketing Cloud: was it deleted, or moved to another "
        "business unit?",
        "Press “Sync now” under Definitions, so that mcdash knows what is there.",
    ),
    R.PERMISSION_MISSING: (
        "Marketing Cloud says that a permission is missing.",
        "Ask an administrator whether the package or API user can run imports, in "
        "this business unit.",
        "Was a permission or a business unit taken from it recently?",
    ),
    R.MAINTENANCE: (
        "Marketing Cloud is in maintenance.",
        "See Salesforce’s Trust page for your stack, and wait until it is over.",
    ),
    R.THROTTLED: (
        "Marketing Cloud had too many requests.",
        "Wait a few minutes: the limit is for everything that uses this business "
        "unit’s API.",
        "Is something else asking very often: another tool, or many starts at once?",
    ),
    R.ALREADY_RUNNING: (
        "Marketing Cloud says that it is already running.",
        "See under Running now, and in Automation Studio, which run of it is active.",
        "Wait until that one ends.",
    ),
    R.NOT_PROCESSED: (
        "Marketing Cloud could not process it just then.",
        "Wait a few minutes. Marketing Cloud confirmed that nothing ran.",
    ),
    R.WRONG_KIND: (
        "Marketing Cloud cannot start this kind of definition.",
        "Open it in Marketing Cloud: can it be started there by hand?",
    ),
    R.NOT_VALID: (
        "Marketing Cloud refused the definition as it is.",
        "Its message names what is wrong: a file location, a field or the destination "
        "may be gone.",
        "Open the definition in Marketing Cloud and save it: that checks it again.",
    ),
    R.WRONG_ADDRESS: (
        "The account’s address leads elsewhere.",
        "Ask an administrator to check the account’s addresses: are they the tenant’s?",
    ),
    R.WRONG_MID: (
        "The account’s MID is not a number.",
        "Ask an administrator to correct the account’s MID.",
    ),
    R.REFUSED: (
        "Marketing Cloud refused the start.",
        "See Marketing Cloud’s message for the reason.",
        "Open the definition in Marketing Cloud: was it changed or deleted?",
        "Is the package or API user allowed to start it?",
    ),
}
# Starts that were given up before anything was sent: the headline, and what to check
# before another start.
UNSENT: dict[Reason, Texts] = {
    R.SECRET_UNREADABLE: (
        "The account’s stored secret cannot be read.",
        "Ask your system administrator to put the missing key back into "
        "MCDASH_FIELD_KEYS.",
        "Or ask an administrator to enter the account’s secret again.",
    ),
    R.ADDRESS_REFUSED: (
        "The account’s address is not allowed.",
        "Ask an administrator to check the account’s addresses, and your system "
        "administrator which hosts MCDASH_ENDPOINT_HOSTS allows.",
    ),
    R.NO_TOKEN: (
        "Marketing Cloud gave no access token.",
        "See under Accounts whether the account answers by now.",
        "Ask an administrator to check the authentication URL.",
    ),
    R.ACCOUNT_BUSY: (
        "The account was busy with other calls.",
        "Wait a few minutes: mcdash makes two calls to an account at a time.",
    ),
    R.UNREACHABLE: (
        "Marketing Cloud could not be reached.",
        "See under Accounts whether the account answers by now.",
        "Do other accounts answer? If none does, this server’s network is the likely "
        "cause: tell your system administrator.",
    ),
    R.HELD_UP: (
        "The worker stalled before sending.",
        "Ask your system administrator whether the server was suspended or overloaded.",
    ),
    R.STOPPED: (
        "The worker was stopped before sending.",
        "Check that a worker is running again: a banner says so where none is.",
    ),
    R.PAUSED: (
        "Starts are paused in this account.",
        "Ask an administrator why, and when starts are allowed again.",
    ),
    R.DOUBLED: (
        "Its business unit is two accounts here.",
        "Ask an administrator to disable one of the two: while both are active, the "
        "same import could run twice at once.",
    ),
    R.RUNNING_ELSEWHERE: (
        "The same import is running in another account of this business unit.",
        "Wait until that run has ended or is settled.",
        "Ask an administrator why the business unit has two accounts here.",
    ),
    R.NOT_ANSWERING: (
        "The account does not answer.",
        "Wait until it does: Accounts shows when.",
    ),
}
# Starts that were sent and got no readable answer: the headline, and what to check
# beside what goes for all of them.
UNANSWERED: dict[Reason, Texts] = {
    R.WORKER_VANISHED: (
        "The worker vanished while it sent the start. It may be running.",
    ),
    R.TIMEOUT: ("The start was sent and Marketing Cloud did not answer in time.",),
    R.OUTAGE: (
        "The start was sent and Marketing Cloud reported an error of its own.",
        "See Salesforce’s Trust page for your stack: is there an outage?",
    ),
    R.NO_ANSWER: (
        "The start was sent and no readable answer came. It may be running.",
    ),
}
# Runs that Marketing Cloud ended, by status, name and traits: why is told by nothing
# but its counts. The headline, what is known, and what to check.
ENDED: dict[Texts, tuple[str, Texts, Texts]] = {
    (S.FAILED, "failed_empty", "zero_rows"): (
        "Marketing Cloud reported an error and 0 rows.",
        (ERROR,),
        (MAIL, HAS_ROWS, FORM, AT_RISK, CORRECT_AND_AGAIN),
    ),
    (S.FAILED, "failed_all_rows", "all_errors"): (
        "Marketing Cloud reported an error: all {rows} rows have errors.",
        ("{counted}", WHICH_ROWS),
        (MAIL, ERROR_FILE, COLUMNS, AT_RISK, CORRECT_AND_AGAIN),
    ),
    (S.FAILED, "failed_row_errors", "some_errors"): (
        "Marketing Cloud reported an error: {errors} of {rows} rows have errors, "
        "{share}.",
        ("{counted}", "{tolerance}", WHICH_ROWS),
        (MAIL, ERROR_FILE, SAME_LENGTH, VALUES, AT_RISK, CORRECT_AND_AGAIN),
    ),
    (S.FAILED, "failed_counted", "counted"): (
        "Marketing Cloud reported an error after {rows} rows.",
        ("{counted}", ERROR),
        (MAIL, ERROR_FILE, FORM, AT_RISK, CORRECT_AND_AGAIN),
    ),
    (S.FAILED, "failed"): (
        "Marketing Cloud reported an error and no row counts.",
        (ERROR,),
        (
            MAIL,
            "Check in {place} whether {file} is there and not empty: a missing, late "
            "or empty file is the usual reason.",
            "Is that file at most {age} hours old? The definition accepts no older "
            "one.",
            "Can Marketing Cloud open {place}? Its password, key or host may have "
            "changed.",
            *(FORM, AT_RISK, CORRECT_AND_AGAIN),
        ),
    ),
    (S.COMPLETED_WITH_ERRORS, "all_rows_refused", "all_errors"): (
        "All {rows} rows were rejected.",
        ("{counted}", "{tolerance}", WHICH_ROWS),
        (MAIL, ERROR_FILE, COLUMNS, AT_RISK, CORRECT_AND_AGAIN),
    ),
    (S.COMPLETED_WITH_ERRORS, "rows_refused", "some_errors"): (
        "{errors} of {rows} rows were rejected, {share}{rest}.",
        ("{counted}", "{tolerance}", WHICH_ROWS),
        (MAIL, ERROR_FILE, SAME_LENGTH, VALUES, CORRECT_AND_AGAIN),
    ),
    (S.COMPLETED_WITH_ERRORS, "rows_unaccounted", "open_counts", "rows_unaccounted"): (
        "{problem}.",
        ("{counted}", OPEN, WHICH_ROWS),
        (
            *(MAIL, LEFT_ALONE + "{leaves_rows}", ERROR_FILE, LOOK_INSIDE, AT_RISK),
            CORRECT_AND_AGAIN,
        ),
    ),
    (S.COMPLETED_WITH_ERRORS, "counts_not_reported", "open_counts"): (
        "{problem}.",
        (
            *("{counted}", OPEN),
            "mcdash treats a count that isn’t a whole number as not reported.",
        ),
        (MAIL, ERROR_FILE, LOOK_INSIDE, AT_RISK, CORRECT_AND_AGAIN),
    ),
    (S.COMPLETED_WITH_ERRORS, "rows_refused_of_unknown"): (
        "{errors} rows were rejected. How many there were was not reported.",
        ("{tolerance}", WHICH_ROWS),
        (MAIL, ERROR_FILE, VALUES, CORRECT_AND_AGAIN),
    ),
    (S.COMPLETED, "no_rows", "zero_rows"): (
        "It loaded no rows.",
        ("Marketing Cloud completed it and counted 0 rows.",),
        (
            HAS_ROWS,
            "Ask whoever makes the file whether an empty one was meant.",
            AT_RISK,
        ),
    ),
    (S.COMPLETED, "nothing_new", "none_loaded"): (
        "It counted {rows} rows and loaded none.",
        ("{counted}", "Marketing Cloud completed it."),
        (LEFT_ALONE, "Was the same file loaded before?"),
    ),
}


def not_started(
    reason: Reason | None, headline: str, known: Texts, *check: str
) -> Cause:
    name = reason.value if reason else S.NOT_STARTED.value
    return Cause(name, S.NOT_STARTED, reason, (), headline, known, check)


def unknown(
    name: str,
    headline: str,
    *check: str,
    reason: Reason | None = None,
    known: Texts = (),
    traits: Texts = (),
) -> Cause:
    known = ("{message}", *known, NEVER_AGAIN, "{last_look}")
    return Cause(name, S.UNKNOWN, reason, traits, headline, known, check)


TABLE: tuple[Cause, ...] = (
    not_started(
        R.CREDENTIALS_REFUSED,
        "Marketing Cloud refused the account’s credentials.",
        (
            *("{message}", NOTHING_RAN),
            "Until they are corrected, none of its imports can be started.",
        ),
        "Ask an administrator to correct the account’s credentials and to press “Test "
        "connection”.",
        "In Marketing Cloud: is the package still installed and enabled, or the API "
        "user active and its password not expired?",
        AGAIN,
    ),
    *(
        not_started(why, headline, ("{message}", nothing), *check, AGAIN)
        for causes, nothing in ((REFUSED, NOTHING_RAN), (UNSENT, NOTHING_SENT))
        for why, (headline, *check) in causes.items()
    ),
    not_started(
        R.EXPIRED,
        "It waited too long in the queue.",
        ("{message}", NOTHING_SENT),
        "Ask your system administrator whether the worker is running.",
        IF_STILL_WANTED,
    ),
    not_started(
        R.DISABLED,
        "The account is disabled.",
        ("{message}", NOTHING_SENT),
        "Ask an administrator whether the account is still used.",
    ),
    not_started(
        R.DECLARED,
        "A person looked for it and said that it did not start.",
        ("It was {declared_by}, who looked in Marketing Cloud.", "{late_result}"),
        IF_STILL_WANTED,
    ),
    not_started(
        R.NO_TRACE,
        "No trace of it was found in Marketing Cloud.",
        (
            "mcdash looked for it {looks} times. It very probably did not start.",
            "{late_result}",
        ),
        "If you must be certain, look in Automation Studio’s activity.",
        AGAIN,
    ),
    # the last resort: no reason, or one without a row of its own
    not_started(None, "It was not started.", ("{message}",), SEE_THERE, AGAIN),
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
    *(
        unknown(
            why.value,
            headline,
            "Wait: mcdash looks for it in Marketing Cloud and settles it by itself, at "
            "the earliest at {settles_at}.{by_itself}",
            "mcdash keeps looking, and settles it once Marketing Cloud answers."
            "{overdue}{by_itself}",
            *(*check, SEE_THERE, SAY_SO),
            # also the last resort
            reason=None if why is R.NO_ANSWER else why,
        )
        for why, (headline, *check) in UNANSWERED.items()
    ),
    *(
        Cause(
            name, S(status), None, tuple(traits), headline, (*known, "{changed}"), check
        )
        for (status, name, *traits), (headline, known, check) in ENDED.items()
    ),
    Cause(
        "lost_without_row",
        S.LOST,
        R.TOO_OLD,
        ("no_phase",),
        "Marketing Cloud accepted it and never showed it again, for 24 hours.",
        (
            "There is a task, {task}, and no result of it, so nobody knows whether it "
            "ran.",
        ),
        (MAIL, "Check in Automation Studio’s activity whether it ran.", CHECK_AGAIN),
    ),
    Cause(
        "lost",
        S.LOST,
        None,
        (),
        "No final result in 24 hours; the last phase was {phase}.",
        (
            "Marketing Cloud accepted it as task {task} and never gave a final phase, "
            "so nobody knows how it ended.",
        ),
        (MAIL, "Check in Automation Studio’s activity how it ended.", CHECK_AGAIN),
    ),
)
