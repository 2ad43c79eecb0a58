"""Texts from outside in logs and terminals: one line, seen, and never obeyed."""

from __future__ import annotations

import io
import json
import logging

import pytest

from imports.logs import JsonFormatter, TextFormatter
from imports.text import visible
from tests.commands.running import run as run_command
from tests.outside import NASTY, World

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

every_text = pytest.mark.parametrize("text", NASTY.values(), ids=list(NASTY))


@every_text
def test_a_log_record_of_it_is_one_line(text: str) -> None:
    world = World(text=text)
    for formatter in (TextFormatter(), JsonFormatter()):
        out = io.StringIO()
        handler = logging.StreamHandler(out)
        handler.setFormatter(formatter)
        record = logging.LogRecord(
            "imports",
            logging.INFO,
            "",
            0,
            "%s in %s",
            (world.text, world.account),
            None,
        )
        handler.emit(record)
        line = out.getvalue().removesuffix("\n")
        assert len(line.splitlines()) == 1
        assert line.isprintable()


COMMANDS = (
    ("list_runs",),
    ("list_runs", "--json"),
    ("check_account", "nobody"),
    ("sync_definitions",),
    ("sync_definitions", "--json"),
    ("refresh_runs",),
    ("adopt_runs",),
    ("reconcile_runs",),
)


@pytest.mark.usefixtures("door")
@every_text
def test_a_terminal_gets_nothing_to_obey(text: str) -> None:
    world = World(text=text)
    name = world.account.name
    own = (("check_account", name), ("start_import", name, "no such key"))
    for arguments in (*COMMANDS, *own):
        ran = run_command(*arguments)
        for printed in (ran.out, ran.err):
            assert visible(printed, kept="\n") == printed, arguments
        if "--json" in arguments:
            json.loads(ran.out)
    assert visible(text[:20])[:20] in run_command("list_runs").out
    assert visible(name) in run_command("sync_definitions").out


def test_json_of_a_command_holds_the_text_as_it_came() -> None:
    text = "".join(NASTY[name] for name in ("control", "right to left", "zero width"))
    world = World(text=text)
    found = run_command("list_runs", "--json").document
    assert {row["customer_key"] for row in found} == {text}
    assert {row["account"] for row in found} == {world.account.name}
