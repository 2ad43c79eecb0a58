"""Sentences are for people: nothing in the code reads one of its own.

What code must know is a type, a `Reason` or a field. So no text is looked for in a
message, no pattern is made of words of ours, and other sentences change nothing.
"""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from imports.models import ImportRun, Reason, RunStatus
from imports.wording import causes, run
from imports.wording.run import Surroundings, advice, cause_of, is_to_be_mended

IMPORTS = Path(causes.__file__).parents[1]
# These read what others wrote, the vendor or a database driver, and that only; the
# sandbox is the vendor.
THEIR_WORDS = {
    *("marketingcloud/errors.py", "marketingcloud/auth.py", "marketingcloud/parse.py"),
    *("marketingcloud/perform.py", "models/storage.py", "models/database.py"),
}
SENTENCES = {
    *("message", "messages", "error", "errors", "problem", "problems", "sentence"),
    *("title", "headline", "exc", "fact", "meaning", "why_not"),
}
LOOKS = {
    *("startswith", "endswith", "find", "index", "count", "partition", "rpartition"),
    *("search", "match", "fullmatch", "split", "findall", "finditer"),
}
PROSE = re.compile(r"[A-Za-z’']{3,} [a-z’']{2,}")


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(IMPORTS.rglob("*.py")):
        name = path.relative_to(IMPORTS).as_posix()
        if not name.startswith(("sandbox/", "migrations/")) and name not in THEIR_WORDS:
            yield name, ast.parse(path.read_text())


def is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def is_prose(node: ast.AST) -> bool:
    """A text of several words, of the kind that people read."""
    return is_text(node) and bool(PROSE.search(str(ast.literal_eval(node))))


def is_sentence(node: ast.AST) -> bool:
    """Whether it reads as one: `error.message`, `str(error)`, `message.casefold()`."""
    match node:
        case ast.Name(id=name):
            return name in SENTENCES
        case ast.Attribute(attr=name, value=value):
            return name in SENTENCES or (name == "args" and is_sentence(value))
        case ast.Call(func=ast.Name(id="str" | "repr"), args=[value]):
            return is_sentence(value)
        case ast.Call(func=ast.Attribute(value=value)):
            return is_sentence(value)
        case ast.Subscript(slice=ast.Constant(value=name), value=value):
            return name in SENTENCES or is_sentence(value)
    return False


def looks_into_a_sentence(node: ast.AST) -> bool:
    match node:
        case ast.Compare(left=left, ops=[ast.In() | ast.NotIn()], comparators=[right]):
            # of a mapping with such keys `in` asks for the key, which is no prose
            return is_prose(left) or (is_text(left) and is_sentence(right))
        case ast.Compare(ops=[ast.Eq() | ast.NotEq()], left=left, comparators=[right]):
            return is_prose(left) or is_prose(right)
        case ast.Call(func=ast.Attribute(attr=name, value=value), args=args):
            if name in LOOKS and is_sentence(value) and any(map(is_text, args)):
                return True
            is_pattern = isinstance(value, ast.Name) and value.id == "re"
            over = any(is_sentence(arg) for arg in args)
            return (name in LOOKS and over) or (
                is_pattern and any(is_prose(arg) for arg in args)
            )
    return False


def test_no_code_looks_into_a_sentence() -> None:
    found = [
        f"imports/{name}:{node.lineno}: {ast.unparse(node)}"
        for name, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.expr) and looks_into_a_sentence(node)
    ]
    assert not found


@pytest.mark.parametrize(
    "code",
    [
        "'busy with other calls' in message",
        "'busy' in error.message.casefold()",
        "'busy' not in str(error)",
        "error.args[0].startswith('The account')",
        "run.message == 'It was paused.'",
        "THEIRS.search(run.message)",
        "re.compile(r'said that (.*) did not start')",
        "run.message.partition(':')",
        "event['message'].endswith('Nothing was sent.')",
    ],
)
def test_the_ways_to_look_into_one_are_known(code: str) -> None:
    tree = ast.parse(code)
    assert any(looks_into_a_sentence(node) for node in ast.walk(tree))


@pytest.mark.parametrize(
    "code",
    ["name in changes", "'message' in fields", "run.reason in GIVEN_UP", "a == 'b'"],
)
def test_what_is_no_sentence_may_be_looked_into(code: str) -> None:
    tree = ast.parse(code)
    assert not any(looks_into_a_sentence(node) for node in ast.walk(tree))


def reworded(sentence: str) -> str:
    """Other words with the same facts in them."""
    names = [name for _, name, _, _ in string.Formatter().parse(sentence) if name]
    return " ".join(["Zzz", *(f"{{{name}}}" for name in names)]) + "."


def test_with_other_sentences_every_run_finds_the_same_cause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every status and reason, with messages that say nothing or something else."""
    runs = [
        ImportRun(status=status, reason=reason, message=message, task_id="1")
        for status in RunStatus
        for reason in Reason
        for message in ("", "Zzz.", Reason.PAUSED.label, Reason.TIMEOUT.label)
    ]

    def decided() -> list[tuple[str, bool]]:
        rows = [cause_of(one, Surroundings()) for one in runs]
        mended = map(is_to_be_mended, runs)
        return [
            (row.name if row else "", is_mended)
            for row, is_mended in zip(rows, mended, strict=True)
        ]

    before = decided()
    assert len(set(before)) > len(Reason)
    other = tuple(
        replace(
            row,
            headline=reworded(row.headline),
            known=tuple(map(reworded, row.known)),
            check=tuple(map(reworded, row.check)),
        )
        for row in causes.TABLE
    )
    monkeypatch.setattr(run, "TABLE", other)
    assert decided() == before


def test_a_reworded_table_is_what_pages_show(monkeypatch: pytest.MonkeyPatch) -> None:
    paused = ImportRun(status=RunStatus.NOT_STARTED, reason=Reason.PAUSED)
    row = cause_of(paused, Surroundings())
    assert row is not None
    monkeypatch.setattr(run, "TABLE", (replace(row, headline="Zzz."),))
    told = advice(paused, Surroundings())
    assert told is not None
    assert (told.cause, told.title) == ("paused", "Zzz.")
