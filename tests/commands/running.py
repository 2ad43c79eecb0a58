"""Running a command as a shell would, inside this process."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any

from django.core.management import load_command_class


@dataclass(frozen=True, kw_only=True)
class Ran:
    """How a command ended: exit status, and all that it printed."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout; anything beside it is an error."""
        return json.loads(self.out)


def run(name: str, *arguments: str) -> Ran:
    """Run `manage.py name arguments…`; all of stdout and stderr is taken.

    Unlike `BaseCommand.run_from_argv` it leaves the test's connection open.
    """
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = _code(name, arguments)
    return Ran(code=code, out=out.getvalue(), err=err.getvalue())


def _code(name: str, arguments: tuple[str, ...]) -> int:
    command = load_command_class("imports", name)
    vars(command)["_called_from_command_line"] = True
    try:
        options = vars(command.create_parser("manage.py", name).parse_args(arguments))
        command.execute(*options.pop("args", ()), **options)
    except SystemExit as end:
        return int(end.code or 0)
    return 0
