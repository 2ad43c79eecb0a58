"""The same measurement of another checkout: its product, this one's bench."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.bench.figures import COMPARED, Figure
from tests.bench.here import ROOT

# `tests` comes from here, whatever else is imported (`imports`, `mcdash`) from there.
PROGRAM = """\
import sys
sys.path.insert(0, sys.argv[1])
import tests
del sys.path[0]
from {module} import main
main(sys.argv[2:])
"""


def command(module: str, *arguments: str) -> list[str]:
    """What measures the product in the folder that it is run in."""
    program = PROGRAM.format(module=module)
    return [sys.executable, "-c", program, str(ROOT), *arguments]


def measured_in(tree: Path, module: str, *arguments: str) -> Any:
    """The JSON document that `python -m module arguments --json` prints for `tree`."""
    sys.stderr.write(f"{name_of(tree)} ...\n")
    done = subprocess.run(
        command(module, *arguments, "--json"),
        cwd=tree,
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(done.stdout)


def name_of(tree: Path) -> str:
    """Its commit, if it has one."""
    asked = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(asked, cwd=tree, capture_output=True, text=True, check=False)
    return done.stdout.strip() or tree.name


def compared(before: list[Figure], after: list[Figure], name: str) -> str:
    """A table of both with the ratio; `name` is the other checkout's."""
    old = {figure.name: figure.value for figure in before}
    lines = [COMPARED.format("FIGURE", name, "HERE", "UNIT", "BEFORE / HERE")]
    for one in after:
        was = old.get(one.name)
        values = [f"{was:,.10g}" if was is not None else "", f"{one.value:,.10g}"]
        share = f"{was / one.value:.2f}" if was is not None and one.value else ""
        lines.append(COMPARED.format(one.name, *values, one.unit, share))
    return "\n".join(line.rstrip() for line in lines)
