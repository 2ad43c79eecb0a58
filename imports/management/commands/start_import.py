"""`start_import NAME CUSTOMER_KEY [--object-id ID] [--wait]`: start a definition from
a shell.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import InternalError, OperationalError

from imports.marketingcloud.errors import MarketingCloudError
from imports.models import (
    Account,
    ImportDefinition,
    ImportRun,
    Origin,
    RunStatus,
    Unfollowed,
    User,
    WorkerState,
    new_holder,
    workers_now,
)
from imports.tasks import wake_worker
from imports.usecases.errors import (
    AccountBusyError,
    NotCancellableError,
    UseCaseError,
)
from imports.usecases.follow import refresh_runs, settle_overdue
from imports.usecases.resolve import reconcile_runs
from imports.usecases.send import send_start
from imports.usecases.start import cancel_run, start_import
from imports.usecases.sync import sync_definitions
from imports.wording.following import clock_in_utc, fact
from imports.wording.formats import clock_text

from ._base import (
    INTERRUPTED,
    McdashCommand,
    account_named,
    login_name,
    positive_number,
    printable,
    record_of,
    visible_text,
)
from ._progress import Progress

# A person is watching: every second at first, then as the worker would.
LOOK_EVERY_SECONDS, WHILE_YOUNG_SECONDS, THEN_EVERY_SECONDS = 1, 60, 5
SYNC_TRIES = 30
USAGE_ERROR = 2
EXIT_CODES = {
    RunStatus.COMPLETED: 0,
    RunStatus.FAILED: 1,
    RunStatus.NOT_STARTED: 1,
    RunStatus.CANCELLED: 1,
    RunStatus.LOST: 3,
    RunStatus.UNKNOWN: 3,
    RunStatus.QUEUED: 4,
    RunStatus.STARTING: 4,
    RunStatus.RUNNING: 4,
    RunStatus.COMPLETED_WITH_ERRORS: 5,
}


class Command(McdashCommand):
    help = (
        "Start a definition. Exit status: 0 completed (without --wait: queued), "
        "1 failed or not started, 3 outcome unknown, 4 still running at the timeout, "
        "or no longer followed, "
        "5 completed with errors, or with counts that leave rows or errors open."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("name", metavar="NAME", help="the account")
        parser.add_argument(
            "customer_key",
            metavar="CUSTOMER_KEY",
            nargs="?",
            type=visible_text,
            help="the definition's customer key",
        )
        parser.add_argument(
            "--object-id",
            metavar="ID",
            type=visible_text,
            help="its ObjectID: where it has no customer key, or shares it",
        )
        parser.add_argument(
            "--wait", action="store_true", help="send it here and follow it to its end"
        )
        parser.add_argument(
            "--timeout", metavar="SECONDS", type=positive_number, default=3600
        )
        parser.add_argument("--as", metavar="USER", dest="username")

    def handle(self, *_args: Any, **options: Any) -> None:
        key, object_id = options["customer_key"], options["object_id"]
        if not key and not object_id:
            raise CommandError(
                "Say which definition: give its CUSTOMER_KEY or its --object-id.",
                returncode=USAGE_ERROR,
            )
        account = account_named(options["name"])
        definition = self._definition(account, key, object_id)
        person = _person(options["username"])
        try:
            run = start_import(
                definition=definition,
                started_by=person,
                started_by_name="" if person else login_name(),
                origin=Origin.COMMAND,
                login=login_name(),
            )
        except UseCaseError as error:
            raise CommandError(str(error)) from error
        if options["wait"]:
            self._wait(run, options)
        else:
            self._leave_to_worker(run, options)

    def _definition(
        self, account: Account, key: str | None, object_id: str | None
    ) -> ImportDefinition:
        """The one definition that is meant; the account is synced once where none of
        these is listed. Says on stderr what one should know before it is started.
        """
        named = _named(account, key, object_id)
        if not any(one.unlisted_since is None for one in named):
            problem = _synced(account)
            named = _named(account, key, object_id)
            if not named:
                name = _name(key, object_id)
                raise CommandError(_not_there(account, name, problem))
        likely = _likeliest(named)
        if len(likely) > 1:
            name = _name(key, object_id)
            raise CommandError(
                _ambiguous(account, name, likely), returncode=USAGE_ERROR
            )
        definition = likely[0]
        others = [one for one in named if one.not_seen_since is None]
        if len(others) > 1:
            self._warn(
                f"{len(others)} definitions have this customer key. Taking "
                f"{_described(definition)}, the one that Marketing Cloud lists."
            )
        if since := definition.unlisted_since:
            self._warn(
                f"Marketing Cloud hasn't listed “{definition}” since "
                f"{clock_text(since)}. If it was deleted there, the start is refused "
                "and nothing runs."
            )
        return definition

    def _warn(self, sentence: str) -> None:
        self.stderr.write(printable(sentence))

    def _leave_to_worker(self, run: ImportRun, options: dict[str, Any]) -> None:
        wake_worker(run)
        if options["json"]:
            self.print_json(run.as_record())
        else:
            self.stdout.write(f"Run {run.pk} is queued; the worker sends it.")
            if unfollowed := run.why_not_followed(workers_now()):
                self.stderr.write(fact(run, unfollowed, clock_in_utc))

    def _wait(self, run: ImportRun, options: dict[str, Any]) -> None:
        progress = Progress(None if options["json"] else self.stdout)
        try:
            _follow(run, progress, options["timeout"])
        except KeyboardInterrupt:
            self._interrupted(run, options)
        except (InternalError, OperationalError) as error:
            raise CommandError(
                f"The database stopped serving ({error}) while run {run.pk} was "
                "followed. The import may be running; look at the run later.",
                returncode=EXIT_CODES[RunStatus.UNKNOWN],
            ) from error
        if options["json"]:
            self.print_json(record_of(run, _why_nobody_looks(run)))
        else:
            progress.end(run)
        sys.exit(EXIT_CODES[RunStatus(run.status)])

    def _interrupted(self, run: ImportRun, options: dict[str, Any]) -> None:
        """Ctrl-C: what was not sent is taken back, what was sent goes on."""
        run.refresh_from_db()
        if run.status == RunStatus.QUEUED:
            _cancel(run)
        if options["json"]:
            self.print_json(run.as_record())
        self.stderr.write(_last_words(run))
        sys.exit(INTERRUPTED)


def _cancel(run: ImportRun) -> None:
    """Take `run` back, unless a worker took it this moment."""
    try:
        cancel_run(run=run, by=run.started_by, by_name=run.started_by_name)
    except NotCancellableError:
        run.refresh_from_db()


def _last_words(run: ImportRun) -> str:
    if run.status == RunStatus.CANCELLED:
        return "Cancelled: nothing was sent."
    if run.status == RunStatus.STARTING:
        return (
            f"Interrupted while run {run.pk} was being sent: the import may be "
            "running. It is never sent again by itself. Look at the run later."
        )
    return f"No longer waiting; run {run.pk} goes on."


def _named(
    account: Account, key: str | None, object_id: str | None
) -> list[ImportDefinition]:
    """The account's definitions of that key, or with that ObjectID, or both."""
    definitions = ImportDefinition.objects.filter(account=account)
    if key:
        definitions = ImportDefinition.objects.with_key(account, key)
    if object_id:
        definitions = definitions.filter(object_id__iexact=object_id)
    return list(definitions.select_related("account"))


def _likeliest(named: list[ImportDefinition]) -> list[ImportDefinition]:
    """Those that are listed; where none is, those that may be; else those gone."""
    listed = [one for one in named if one.unlisted_since is None]
    waiting = [one for one in named if one.not_seen_since is None]
    return listed or waiting or named


def _name(key: str | None, object_id: str | None) -> str:
    names = [f"the customer key “{key}”"] if key else []
    if object_id:
        names.append(f"the ObjectID “{object_id}”")
    return " and ".join(names)


def _ambiguous(account: Account, name: str, likely: list[ImportDefinition]) -> str:
    lines = [
        f"“{account}” has {len(likely)} definitions with {name}:",
        *(f"  {_described(one)}" for one in likely),
        "Nothing was started. Say which one is meant with --object-id.",
    ]
    return "\n".join(lines)


def _described(definition: ImportDefinition) -> str:
    return f"“{printable(str(definition))}”, ObjectID {definition.object_id or '–'}"


def _not_there(account: Account, name: str, problem: str) -> str:
    if problem:
        return (
            f"No definition with {name} is known yet in “{account}”, and its "
            f"definitions could not be fetched: {problem}"
        )
    return f"“{account}” has no definition with {name}."


def _synced(account: Account) -> str:
    """Why the account could not be synced now; empty if it was."""
    try:
        _sync(account)
    except (MarketingCloudError, UseCaseError) as error:
        return str(error)
    return ""


def _sync(account: Account) -> None:
    """Sync now; where the worker is at it, wait for it and look at what it found."""
    for _ in range(SYNC_TRIES):
        try:
            sync_definitions(account=account, holder=new_holder())
        except AccountBusyError:
            time.sleep(1)
        else:
            return
    raise AccountBusyError("another process has been syncing it for a while.")


def _person(username: str | None) -> User | None:
    if username is None:
        return None
    person = User.objects.filter(username=username).first()
    if person is None:
        raise CommandError(f"There is no user “{username}”.")
    return person


def _follow(run: ImportRun, progress: Progress, timeout: int) -> None:
    began = time.monotonic()
    give_up = began + timeout
    progress.show(run)
    send_start(run=run, holder=new_holder())
    while True:
        run.refresh_from_db()
        progress.show(run)
        if run.has_ended or time.monotonic() >= give_up:
            return
        if unfollowed := _why_nobody_looks(run):
            progress.nobody_looks(run, unfollowed)
            return
        time.sleep(min(_pause(began), max(0.0, give_up - time.monotonic())))
        _look(run, progress)


def _why_nobody_looks(run: ImportRun) -> Unfollowed | None:
    """What keeps this command too from looking until a person mends it; an account
    that does not answer is asked on, without a worker as well.
    """
    run.account.refresh_from_db()
    unfollowed = run.why_not_followed(WorkerState())
    return unfollowed if unfollowed and unfollowed.why.needs_person else None


def _pause(began: float) -> float:
    is_young = time.monotonic() - began < WHILE_YOUNG_SECONDS
    return LOOK_EVERY_SECONDS if is_young else THEN_EVERY_SECONDS


def _look(run: ImportRun, progress: Progress) -> None:
    """Ask once; an account that does not answer is asked again next time.

    A run whose outcome is unknown is looked for as the worker would, no more often.
    """
    settle_overdue()
    try:
        if run.status == RunStatus.UNKNOWN:
            reconcile_runs(account=run.account, holder=new_holder(), only_due=True)
        else:
            refresh_runs(account=run.account, holder=new_holder())
    except AccountBusyError:
        return  # the worker is at it; its findings are read from the database
    except MarketingCloudError as error:
        progress.trouble(error.message)
