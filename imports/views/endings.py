"""Why a run ended as it did, or has not: the other rows of the table of causes."""

from __future__ import annotations

from imports.models import ErrorKind, RunStatus
from imports.views.causes import Cause

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
AGAIN = "Correct what was wrong and start it again.{repeat}"
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
            AGAIN,
        ),
    ),
    Cause(
        name="failed_all_rows",
        status=R.FAILED,
        traits=("all_errors",),
        headline="Marketing Cloud ended it in Error: all {rows} rows have errors.",
        known=("{counted}", WHICH_ROWS, "{changed}"),
        check=(MAIL, ERROR_FILE, COLUMNS, "{goal_at_risk}", AGAIN),
    ),
    Cause(
        name="failed_row_errors",
        status=R.FAILED,
        traits=("some_errors",),
        headline="Marketing Cloud ended it in Error: {errors} of {rows} rows have "
        "errors, {share}.",
        known=("{counted}", "{tolerance}", WHICH_ROWS, "{changed}"),
        check=(MAIL, ERROR_FILE, SAME_LENGTH, VALUES, "{goal_at_risk}", AGAIN),
    ),
    Cause(
        name="failed_counted",
        status=R.FAILED,
        traits=("counted",),
        headline="Marketing Cloud ended it in Error after {rows} rows.",
        known=("{counted}", ERROR, "{changed}"),
        check=(MAIL, ERROR_FILE, FORM, "{goal_at_risk}", AGAIN),
    ),
    Cause(
        name="failed",
        status=R.FAILED,
        headline="Marketing Cloud ended it in Error and counted no rows.",
        known=(ERROR, "{changed}"),
        check=(MAIL, FILE_THERE, FILE_AGE, FILE_OPEN, FORM, "{goal_at_risk}", AGAIN),
    ),
    Cause(
        name="all_rows_refused",
        status=R.COMPLETED_WITH_ERRORS,
        traits=("all_errors",),
        headline="All {rows} rows were refused.",
        known=("{counted}", "{tolerance}", WHICH_ROWS, "{changed}"),
        check=(MAIL, ERROR_FILE, COLUMNS, "{goal_at_risk}", AGAIN),
    ),
    Cause(
        name="rows_refused",
        status=R.COMPLETED_WITH_ERRORS,
        traits=("some_errors",),
        headline="{errors} of {rows} rows were refused, {share}{rest}.",
        known=("{counted}", "{tolerance}", WHICH_ROWS, "{changed}"),
        check=(MAIL, ERROR_FILE, SAME_LENGTH, VALUES, AGAIN),
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
            AGAIN,
        ),
    ),
    Cause(
        name="counts_not_reported",
        status=R.COMPLETED_WITH_ERRORS,
        traits=("open_counts",),
        headline="{problem}.",
        known=("{counted}", OPEN, UNREADABLE, "{changed}"),
        check=(MAIL, ERROR_FILE, LOOK_INSIDE, "{goal_at_risk}", AGAIN),
    ),
    Cause(
        name="rows_refused_of_unknown",
        status=R.COMPLETED_WITH_ERRORS,
        headline="{errors} rows were refused. How many there were was not counted.",
        known=("{tolerance}", WHICH_ROWS, "{changed}"),
        check=(MAIL, ERROR_FILE, VALUES, AGAIN),
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
