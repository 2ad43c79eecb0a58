"""`manage.py demo`: sandbox, worker and web side together, until Ctrl-C."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, NoReturn

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Q

from imports.management import processes
from imports.management.commands import add_sandbox_accounts, run_sandbox
from imports.management.commands.add_sandbox_accounts import sandbox_accounts
from imports.management.processes import LOOPBACK
from imports.models import AccessLevel, AccountAccess, User

GROUP = "Demo marketers"
MARKETER, ADMIN = "marketer", "admin"
WEB_PORT = 8000
ANSWERS_WITHIN_SECONDS = 60
LOOK_EVERY_SECONDS = 0.1


class AskedToEnd(Exception):  # noqa: N818 - a wish, not an error
    """Somebody pressed Ctrl-C, sent TERM or closed the terminal."""


class Command(BaseCommand):
    help = (
        "Run mcdash beside a sandbox of Marketing Cloud on this machine: sandbox, "
        "worker and pages. Ctrl-C or TERM ends all of them; what was done is kept."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=WEB_PORT, help="of the pages")
        parser.add_argument("--sandbox-port", type=int, default=run_sandbox.PORT)
        parser.add_argument(
            "--parent", type=int, help="end when this process is our parent no longer"
        )

    def handle(self, *_: Any, **options: Any) -> None:
        if not settings.MCDASH_ALLOW_LOOPBACK:
            raise CommandError(
                "The demo speaks plain http on 127.0.0.1 and makes people whose "
                "passwords it prints. Set MCDASH_ALLOW_LOOPBACK=1 if this is meant."
            )
        self.parent = options["parent"]
        self.terminal = processes.Terminal()
        self.children = processes.Children(logs=settings.DATA_DIR / "logs")
        try:
            with the_only_demo(), processes.asked_to_end() as self.asked, self.children:
                self.run_demo(options["port"], options["sandbox_port"])
        except AskedToEnd:
            with suppress(OSError):  # where the terminal is closed nobody reads it
                self.say("The demo has ended. `make demo` goes on with the same data.")

    def run_demo(self, first_port: int, first_sandbox_port: int) -> NoReturn:
        """Raises `CommandError` when a part ends by itself, `AskedToEnd` when asked."""
        self.say(f"Preparing {settings.DATA_DIR} ...")
        manage = str(settings.BASE_DIR / "manage.py")
        sandbox_port = processes.free_port(first_sandbox_port)
        journal = str(settings.DATA_DIR / "sandbox-journal.jsonl")
        self.start(
            "sandbox",
            *(manage, "run_sandbox", "--port", str(sandbox_port)),
            *("--journal", journal, "--alive"),
        )
        call_command("migrate", verbosity=0, interactive=False)
        call_command("collectstatic", verbosity=0, interactive=False)
        self.require_going_on()
        web_port = processes.free_port(first_port, promised=[sandbox_port])
        self.start(
            "pages",
            *("-m", "gunicorn", "-c", "python:mcdash.gunicorn", "mcdash.wsgi"),
            "--no-control-socket",
            *("--bind", f"{LOOPBACK}:{web_port}"),
            *("--workers", "2", "--graceful-timeout", "5"),
        )
        self.fill_history(sandbox_port)
        passwords = ensure_demo_people(settings.DATA_DIR / "demo.json")
        self.start("worker", manage, "run_worker")
        self.wait_until(lambda: is_signing_in(web_port), "The sign-in page")
        for name, password in passwords.items():
            self.say(f"  sign in as {name:<8}  password {password}")
        self.say(f"  sandbox at http://{LOOPBACK}:{sandbox_port}")
        self.say(f"  logs in {self.children.logs}")
        self.say("Ctrl-C ends everything; what was done is kept. Open in a browser:")
        # The address is the last line, where it is easily seen and clicked.
        self.say(f"http://{LOOPBACK}:{web_port}/")
        while True:
            self.require_going_on()
            self.asked.wait(LOOK_EVERY_SECONDS)

    def start(self, name: str, *arguments: str) -> None:
        env = os.environ | {"MCDASH_ALLOW_LOOPBACK": "1", "MCDASH_DEBUG": "0"}
        command = [sys.executable, *arguments]
        self.children.start(name, command, env=env, folder=settings.BASE_DIR)

    def fill_history(self, sandbox_port: int) -> None:
        """The accounts follow the sandbox's port; at the first start its 30 days of
        results enter the history. Later the worker reads what is new.
        """
        self.wait_until(lambda: is_listening(sandbox_port), "The sandbox")
        add_sandbox_accounts.ensure_sandbox_accounts(sandbox_port)
        is_new = Q(last_synced_at=None) | Q(last_adopted_at=None)
        names = [account.name for account in sandbox_accounts().filter(is_new)]
        for command in ("sync_definitions", "adopt_runs") if names else ():
            call_command(command, *names, stdout=self.stdout)
            self.require_going_on()

    def say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()

    def wait_until(self, is_so: Callable[[], bool], what: str) -> None:
        until = time.monotonic() + ANSWERS_WITHIN_SECONDS
        while not is_so():
            self.require_going_on()
            if time.monotonic() > until:
                raise CommandError(
                    f"{what} was not served within {ANSWERS_WITHIN_SECONDS} s; "
                    f"see {self.children.logs}."
                )
            self.asked.wait(LOOK_EVERY_SECONDS)

    def require_going_on(self) -> None:
        """Raises `AskedToEnd` or, when a part has ended by itself, `CommandError`."""
        is_orphan = self.parent is not None and os.getppid() != self.parent
        if self.asked.is_set() or is_orphan or self.terminal.is_closed():
            raise AskedToEnd
        if ended := self.children.ended():
            raise CommandError(
                f"The {ended.name} ended by itself (code {ended.process.returncode}), "
                f"so the demo ends. Its last lines:\n{ended.last_lines()}"
            )


def ensure_demo_people(passwords_file: Path) -> dict[str, str]:
    """A marketer and an administrator who can start in every account of the sandbox;
    their passwords by user name, made once and kept for the file's owner only.
    """
    if passwords_file.exists():
        passwords: dict[str, str] = json.loads(passwords_file.read_text())
    else:
        passwords = {name: secrets.token_urlsafe(9) for name in (MARKETER, ADMIN)}
        passwords_file.touch(mode=0o600, exist_ok=False)
        passwords_file.write_text(json.dumps(passwords))
    group, _ = Group.objects.get_or_create(name=GROUP)
    for account in sandbox_accounts():
        AccountAccess.objects.get_or_create(
            account=account, group=group, defaults={"level": AccessLevel.START}
        )
    for name, password in passwords.items():
        is_admin = name == ADMIN
        user, _ = User.objects.get_or_create(
            username=name, defaults={"is_staff": is_admin, "is_superuser": is_admin}
        )
        if not user.check_password(password):
            user.set_password(password)
            user.save(update_fields=["password"])
        user.groups.add(group)
    return passwords


def is_listening(port: int) -> bool:
    with socket.socket() as attempt:
        return attempt.connect_ex((LOOPBACK, port)) == 0


def is_signing_in(port: int) -> bool:
    connection = HTTPConnection(LOOPBACK, port, timeout=5)
    with closing(connection), suppress(OSError, HTTPException):
        connection.request("GET", "/login/")
        return connection.getresponse().status == HTTPStatus.OK
    return False


@contextmanager
def the_only_demo() -> Iterator[None]:
    """Two demos on one database would move each other's accounts to their sandbox."""
    with (settings.DATA_DIR / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CommandError(
                f"A demo is already running on {settings.DATA_DIR}. End it with "
                "Ctrl-C, or set MCDASH_DATA_DIR to another folder for a second one."
            ) from error
        yield
