"""`start_import NAME CUSTOMER_KEY [--wait]`: start a definition from a shell."""

from __future__ import annotations

import sys
import time
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import InternalError, OperationalError
from django.utils import timezone

from imports import models
from imports.management.commands import _base as base
from imports.management.commands._base import printable
from imports.marketingcloud.errors import MarketingCloudError
from imports.models import Account, ImportDefinition, ImportRun, RunStatus, new_holder
from imports.usecases import errors
from imports.usecases.resolve import look_at_run
from imports.usecases.send import send_start
from imports.usecases.start import cancel_run, start_import
from imports.usecases.sync import sync_definitions
from imports.wording.following import clock_in_utc, fact
from imports.wording.formats import clock_text, counted, problem_text
from imports.wording.status import status_look

# A person is watching: every second at first, then as the worker would.
LOOK_EVERY_SECONDS, WHILE_YOUNG_SECONDS, THEN_EVERY_SECONDS = 1, 60, 5
SYNC_TRIES = 30
USAGE_ERROR = 2


class Command(base.McdashCommand):
    help = (
        "Start a definition. Exit status: 0 completed (without --wait: queued), "
        "1 failed or not started, 3 outcome unknown, 4 still running at the timeout, "
        "or no longer followed, "
        "5 completed with errors, or with counts that leave rows or errors open."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        add = parser.add_argument
        add("name", metavar="NAME", help="the account")
        visible, text = base.visible_text, "the definition's customer key"
        add("customer_key", metavar="CUSTOMER_KEY", nargs="?", type=visible, help=text)
        text = "its ObjectID: where it has no customer key, or shares it"
        add("--object-id", metavar="ID", type=visible, help=text)
        add("--wait", action="store_true", help="send it here and follow it to its end")
        add("--timeout", metavar="SECONDS", type=base.positive_number, default=3600)
        add("--as", metavar="USER", dest="username")

    def handle(self, *_args: Any, **options: Any) -> None:
        self.is_json, self._last = options["json"], ""
        key, object_id = options["customer_key"], options["object_id"]
        if not key and not object_id:
            raise CommandError(
                "Which definition? Give its CUSTOMER_KEY or its --object-id.",
                returncode=USAGE_ERROR,
            )
        account = base.account_named(options["name"])
        definition = self._definition(account, key, object_id)
        person, username = None, options["username"]
        if username is not None:
            person = models.User.objects.filter(username=username).first()
            if person is None:
                raise CommandError(f"There is no user “{username}”.")
        login = base.login_name()
        try:
            run = start_import(
                definition=definition,
                started_by=person,
                started_by_name="" if person else login,
                origin=models.Origin.COMMAND,
                login=login,
            )
        except errors.UseCaseError as error:
            raise CommandError(str(error)) from error
        if options["wait"]:
            self._wait(run, options["timeout"])
        elif self.is_json:
            self.print_json(run.as_record())
        else:
            self.stdout.write(f"Run {run.pk} is queued. The worker sends it.")
            if unfollowed := run.why_not_followed(models.workers_now()):
                self.stderr.write(fact(run, unfollowed, clock_in_utc))

    # Which definition

    def _definition(
        self, account: Account, key: str | None, object_id: str | None
    ) -> ImportDefinition:
        """The one definition that is meant; the account is synced once where none of
        these is listed. Says on stderr what one should know before it is started.
        """
        definitions, names = ImportDefinition.objects.filter(account=account), []
        if key:
            definitions = ImportDefinition.objects.with_key(account, key)
            names.append(f"the customer key “{key}”")
        if object_id:
            definitions = definitions.filter(object_id__iexact=object_id)
            names.append(f"the ObjectID “{object_id}”")
        name = " and ".join(names)
        named = list(definitions.select_related("account"))
        # it may have been made, or made anew, since the last sync
        if all(each.unlisted_since for each in named):
            problem = _sync(account)
            named = list(definitions.select_related("account"))
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
            self.stderr.write(
                f"{len(waiting)} definitions have this customer key. Taking "
                f"{_described(definition)}, the one that Marketing Cloud lists."
            )
        if since := definition.unlisted_since:
            self.stderr.write(
                f"Marketing Cloud hasn't listed “{printable(str(definition))}” since "
                f"{clock_text(since)}. If it was deleted there, the start is refused "
                "and nothing runs."
            )
        return definition

    # Waiting for its end

    def _wait(self, run: ImportRun, timeout: int) -> None:
        try:
            self._follow(run, timeout)
        except KeyboardInterrupt:
            self._interrupted(run)
        except (InternalError, OperationalError) as error:
            # it may have been sent: the exit status must not say that it failed
            raise CommandError(
                f"The database stopped responding ({error}) while run {run.pk} was "
                "followed. The import may be running. Check the run later.",
                returncode=status_look(RunStatus.UNKNOWN).exit_code,
            ) from error
        if self.is_json:
            self.print_json(base.record_of(run, _why_nobody_looks(run)))
        # why it ended so, which counts are open, and where nothing is known, that
        if message := models.message_of(run.reason, run.message):
            self._say(printable(message))
        if run.are_counts_open:
            self._say(f"Not clean: {problem_text(run.counts)}.")
        if run.status == RunStatus.UNKNOWN:
            self._say("mcdash never sends it again. Check the run later.")
        elif not run.has_ended:
            self._say(f"Run {run.pk} is still running. Stopped waiting.")
        sys.exit(status_look(run.status).exit_code)

    def _follow(self, run: ImportRun, timeout: int) -> None:
        began = time.monotonic()
        give_up = began + timeout
        self._show(run)
        # here, not by the worker: whoever waits needs none to be running
        send_start(run=run, holder=new_holder())
        while True:
            run.refresh_from_db()
            self._show(run)
            if run.has_ended or time.monotonic() >= give_up:
                return
            if unfollowed := _why_nobody_looks(run):
                meaning = status_look(run.status).unfollowed
                self._say(f"{fact(run, unfollowed, clock_in_utc)} {meaning}")
                return
            is_young = time.monotonic() - began < WHILE_YOUNG_SECONDS
            pause = LOOK_EVERY_SECONDS if is_young else THEN_EVERY_SECONDS
            time.sleep(min(pause, max(0.0, give_up - time.monotonic())))
            try:
                look_at_run(run=run, holder=new_holder())
            except errors.AccountBusyError:
                continue  # the worker is at it; what it reads is in the database
            except MarketingCloudError as error:
                # the next look asks again
                self._say(f"No response: {printable(error.message)}")

    def _interrupted(self, run: ImportRun) -> None:
        """Ctrl-C: cancel what was not sent; what was sent continues."""
        run.refresh_from_db()
        if run.status == RunStatus.QUEUED:
            try:
                cancel_run(run=run, by=run.started_by, by_name=run.started_by_name)
            except errors.NotCancellableError:  # a worker took it at this moment
                run.refresh_from_db()
        if self.is_json:
            self.print_json(run.as_record())
        text = f"Stopped waiting. Run {run.pk} continues."
        if run.status == RunStatus.CANCELLED:
            text = "Cancelled: nothing was sent."
        elif run.status == RunStatus.STARTING:
            text = (
                f"Interrupted while run {run.pk} was being sent. The import may be "
                "running, and mcdash never sends it again. Check the run later."
            )
        self.stderr.write(text)
        sys.exit(base.INTERRUPTED)

    def _show(self, run: ImportRun) -> None:
        words = (
            f"Run {run.pk}",
            str(run.get_status_display()),
            printable(run.phase),
            f"task {printable(run.task_id)}" if run.task_id else "",
            "" if run.total_rows is None else f"{run.total_rows:,} rows",
            *counted(run, "errors"),
        )
        self._say("  ".join(filter(None, words)))

    def _say(self, text: str) -> None:
        """A line for each thing that changed; with `--json` none."""
        if not self.is_json and text != self._last:
            self._last = text
            self.stdout.write(f"{timezone.now():%H:%M:%S}  {text}")
            self.stdout.flush()


def _described(definition: ImportDefinition) -> str:
    return f"“{printable(str(definition))}”, ObjectID {definition.object_id or '–'}"


def _sync(account: Account) -> str:
    """Why the account could not be synced now; empty if it was."""
    for _ in range(SYNC_TRIES):
        try:
            sync_definitions(account=account, holder=new_holder())
        except errors.AccountBusyError:
            time.sleep(1)  # the worker is at it, and then this finds what it fetched
        except (MarketingCloudError, errors.UseCaseError) as error:
            return str(error)
        else:
            return ""
    return "another process is still syncing it."


def _why_nobody_looks(run: ImportRun) -> models.Unfollowed | None:
    """What keeps this command, which needs no worker, from looking until a person
    mends it; an account that does not answer is asked again.
    """
    run.account.refresh_from_db()
    unfollowed = run.why_not_followed(models.WorkerState())
    return unfollowed if unfollowed and unfollowed.why.needs_person else None
