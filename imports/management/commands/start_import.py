"""`start_import NAME CUSTOMER_KEY [--object-id ID] [--wait]`: start a definition from
a shell.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import InternalError, OperationalError
from django.utils import timezone

from imports.management.commands._base import (
    INTERRUPTED,
    McdashCommand,
    account_named,
    login_name,
    positive_number,
    printable,
    record_of,
    visible_text,
)
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
    message_of,
    new_holder,
    workers_now,
)
from imports.usecases.errors import (
    AccountBusyError,
    NotCancellableError,
    UseCaseError,
)
from imports.usecases.resolve import look_at_run
from imports.usecases.send import send_start
from imports.usecases.start import cancel_run, start_import
from imports.usecases.sync import sync_definitions
from imports.wording.following import clock_in_utc, fact
from imports.wording.formats import clock_text, problem_text
from imports.wording.status import status_look

# A person is watching: every second at first, then as the worker would.
LOOK_EVERY_SECONDS, WHILE_YOUNG_SECONDS, THEN_EVERY_SECONDS = 1, 60, 5
SYNC_TRIES = 30
USAGE_ERROR = 2


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
                "Which definition? Give its CUSTOMER_KEY or its --object-id.",
                returncode=USAGE_ERROR,
            )
        account = account_named(options["name"])
        definition = self._definition(account, key, object_id)
        person, username = None, options["username"]
        if username is not None:
            person = User.objects.filter(username=username).first()
            if person is None:
                raise CommandError(f"There is no user “{username}”.")
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
        elif options["json"]:
            self.print_json(run.as_record())
        else:
            self.stdout.write(f"Run {run.pk} is queued. The worker sends it.")
            if unfollowed := run.why_not_followed(workers_now()):
                self.stderr.write(fact(run, unfollowed, clock_in_utc))

    def _definition(
        self, account: Account, key: str | None, object_id: str | None
    ) -> ImportDefinition:
        """The one definition that is meant; the account is synced once where none of
        these is listed. Says on stderr what one should know before it is started.
        """
        names = [f"the customer key “{key}”"] if key else []
        names += [f"the ObjectID “{object_id}”"] if object_id else []
        name = " and ".join(names)
        named = _named(account, key, object_id)
        # it may have been made, or made anew, since the last sync
        if not any(each.unlisted_since is None for each in named):
            problem = _sync(account)
            named = _named(account, key, object_id)
            if not named and problem:
                raise CommandError(
                    f"No definition with {name} is known yet in “{account}”, and its "
                    f"definitions could not be fetched: {problem}"
                )
            if not named:
                raise CommandError(f"“{account}” has no definition with {name}.")
        # Those that are listed; where none is, those that may be; else those gone.
        listed = [each for each in named if each.unlisted_since is None]
        waiting = [each for each in named if each.not_seen_since is None]
        likely = listed or waiting or named
        if len(likely) > 1:
            lines = [
                f"“{account}” has {len(likely)} definitions with {name}:",
                *(f"  {_described(each)}" for each in likely),
                "Nothing was started. Choose one with --object-id.",
            ]
            raise CommandError("\n".join(lines), returncode=USAGE_ERROR)
        definition = likely[0]
        if len(waiting) > 1:
            self._warn(
                f"{len(waiting)} definitions have this customer key. Taking "
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

    def _wait(self, run: ImportRun, options: dict[str, Any]) -> None:
        progress = Progress(None if options["json"] else self.stdout)
        try:
            _follow(run, progress, options["timeout"])
        except KeyboardInterrupt:
            self._interrupted(run, options)
        except (InternalError, OperationalError) as error:
            # it may have been sent: the exit status must not say that it failed
            raise CommandError(
                f"The database stopped responding ({error}) while run {run.pk} was "
                "followed. The import may be running. Check the run later.",
                returncode=status_look(RunStatus.UNKNOWN).exit_code,
            ) from error
        if options["json"]:
            self.print_json(record_of(run, _why_nobody_looks(run)))
        else:
            progress.end(run)
        sys.exit(status_look(run.status).exit_code)

    def _interrupted(self, run: ImportRun, options: dict[str, Any]) -> None:
        """Ctrl-C: cancel what was not sent; what was sent continues."""
        run.refresh_from_db()
        if run.status == RunStatus.QUEUED:
            try:
                cancel_run(run=run, by=run.started_by, by_name=run.started_by_name)
            except NotCancellableError:  # a worker took it at this moment
                run.refresh_from_db()
        if options["json"]:
            self.print_json(run.as_record())
        if run.status == RunStatus.CANCELLED:
            self.stderr.write("Cancelled: nothing was sent.")
        elif run.status == RunStatus.STARTING:
            self.stderr.write(
                f"Interrupted while run {run.pk} was being sent. The import may be "
                "running, and mcdash never sends it again. Check the run later."
            )
        else:
            self.stderr.write(f"Stopped waiting. Run {run.pk} continues.")
        sys.exit(INTERRUPTED)


class Progress:
    """Prints to `out` a line for each thing that changed; nothing where it is None."""

    def __init__(self, out: Any) -> None:
        self.out = out
        self._last = ""

    def show(self, run: ImportRun) -> None:
        words = [f"Run {run.pk}", str(run.get_status_display())]
        if run.phase:
            words.append(printable(run.phase))
        if run.task_id:
            words.append(f"task {printable(run.task_id)}")
        counts = {
            "rows": run.total_rows,
            "loaded": run.successful,
            "duplicates": run.duplicated,
            "errors": run.errors,
            "unaccounted for": run.unaccounted_rows or None,
        }
        words += [f"{n:,} {name}" for name, n in counts.items() if n is not None]
        self.say("  ".join(words))

    def end(self, run: ImportRun) -> None:
        """Why it ended so, which counts are open, and where nothing is known, that."""
        if message := message_of(run.reason, run.message):
            self.say(printable(message))
        if run.are_counts_open:
            self.say(f"Not clean: {problem_text(run.counts)}.")
        if run.status == RunStatus.UNKNOWN:
            self.say("mcdash never sends it again. Check the run later.")
        elif not run.has_ended:
            self.say(f"Run {run.pk} is still running. Stopped waiting.")

    def say(self, text: str) -> None:
        if self.out is None or text == self._last:
            return
        self._last = text
        self.out.write(f"{timezone.now():%H:%M:%S}  {text}")
        self.out.flush()


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


def _described(definition: ImportDefinition) -> str:
    return f"“{printable(str(definition))}”, ObjectID {definition.object_id or '–'}"


def _sync(account: Account) -> str:
    """Why the account could not be synced now; empty if it was.

    Where the worker is at it, wait for it and look at what it fetched.
    """
    for _ in range(SYNC_TRIES):
        try:
            sync_definitions(account=account, holder=new_holder())
        except AccountBusyError:
            time.sleep(1)
        except (MarketingCloudError, UseCaseError) as error:
            return str(error)
        else:
            return ""
    return "another process is still syncing it."


def _follow(run: ImportRun, progress: Progress, timeout: int) -> None:
    began = time.monotonic()
    give_up = began + timeout
    progress.show(run)
    # here, not by the worker: whoever waits needs none to be running
    send_start(run=run, holder=new_holder())
    while True:
        run.refresh_from_db()
        progress.show(run)
        if run.has_ended or time.monotonic() >= give_up:
            return
        if unfollowed := _why_nobody_looks(run):
            meaning = status_look(run.status).unfollowed
            progress.say(f"{fact(run, unfollowed, clock_in_utc)} {meaning}")
            return
        is_young = time.monotonic() - began < WHILE_YOUNG_SECONDS
        pause = LOOK_EVERY_SECONDS if is_young else THEN_EVERY_SECONDS
        time.sleep(min(pause, max(0.0, give_up - time.monotonic())))
        try:
            look_at_run(run=run, holder=new_holder())
        except AccountBusyError:
            continue  # the worker is at it; what it reads is in the database
        except MarketingCloudError as error:
            # the next look asks again
            progress.say(f"No response: {printable(error.message)}")


def _why_nobody_looks(run: ImportRun) -> Unfollowed | None:
    """What keeps this command too from looking until a person mends it; an account
    that does not answer is asked on, without a worker as well.
    """
    run.account.refresh_from_db()
    unfollowed = run.why_not_followed(WorkerState())
    return unfollowed if unfollowed and unfollowed.why.needs_person else None
