"""`run_sandbox`: the sandbox in its own process."""

from __future__ import annotations

import logging
import signal
import sys
from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

import imports
from imports.sandbox.envelopes import WsdlError
from imports.sandbox.server import PortTakenError, SandboxServer
from imports.sandbox.world import Journal, JournalError, World

PORT = 8801
WSDL = Path(imports.__file__).parent / "marketingcloud" / "marketingcloud.wsdl"
ENDING = {signal.SIGINT, signal.SIGTERM}


def seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError as exc:
        raise ArgumentTypeError(f"{text!r} is not a number of seconds") from exc
    if not 0 < number < 86_400:
        raise ArgumentTypeError(f"{text!r} is not between 0 and a day")
    return number


class Command(BaseCommand):
    help = "Serves a small Marketing Cloud on 127.0.0.1: token, SOAP service, WSDL."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        add = parser.add_argument
        add("--port", type=int, default=PORT, help="0 takes a free one")
        add("--wsdl", type=Path, default=WSDL, help="the contract requests must keep")
        add("--journal", type=Path, help="a file that remembers every Perform")
        add("--pace", type=seconds, default=12.0, help="seconds of an ordinary import")
        add("--history-days", type=int, default=30, help="days of past results")
        add("--alive", action="store_true", help="schedules go on starting imports")
        add("--quiet", action="store_true", help="no line for each call")

    def handle(self, *_args: Any, **options: Any) -> None:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
        logger = logging.getLogger("imports.sandbox")
        logger.addHandler(handler)
        logger.setLevel(logging.WARNING if options["quiet"] else logging.INFO)
        logger.propagate = False
        # Blocked before any thread starts, so that `sigwait` gets them, not a thread.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        try:
            self._serve(options)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _serve(self, options: dict[str, Any]) -> None:
        try:
            world = World(
                pace_seconds=options["pace"],
                history_days=options["history_days"],
                alive=options["alive"],
                journal=Journal(options["journal"]),
            )
            server = SandboxServer(options["wsdl"], world=world, port=options["port"])
        except (WsdlError, PortTakenError, JournalError, OSError) as exc:
            raise CommandError(str(exc)) from exc
        logins = [
            f"{a.name} (MID {a.mid}) client {a.client_id} / {a.client_secret}"
            for a in world.catalogue.accounts
        ]
        for user in world.catalogue.users:
            logins.append(f"API user {user.username} / {user.password}")
        with server:
            self.stdout.write(f"Sandbox at {server.url}: {'; '.join(logins)}")
            self.stdout.flush()
            signal.sigwait(ENDING)
