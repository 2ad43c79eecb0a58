"""The tables of this package as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tests.marketingcloud.hostile.answers import ANSWERS
from tests.marketingcloud.hostile.contents import (
    CONTENTS,
    INSTANCE_URLS,
    NO_TOKENS,
    Content,
)
from tests.marketingcloud.hostile.endings import End
from tests.marketingcloud.hostile.mutations import (
    MUTATIONS,
    PERFORMS,
    RETRIEVES,
    TOKEN_MUTATIONS,
    TOKENS,
    Mutation,
)

SAMPLES = tuple({**PERFORMS, **RETRIEVES})


def drawn() -> str:
    """One page: answers, contents, tokens, mutations, and how each ends."""
    return "\n".join(
        [
            *_table(("answer", "to a start", "to a read", "to a token"), _answers()),
            *_table(("content", "what is kept"), _contents()),
            *_table(("token answer", "ends"), _tokens()),
            *_table(("mutation", *SAMPLES), _mutations(MUTATIONS, SAMPLES)),
            *_table(("mutation", *TOKENS), _mutations(TOKEN_MUTATIONS, TOKENS)),
        ]
    )


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    lines = [head, ("---",) * len(head), *rows]
    return [f"| {' | '.join(line)} |" for line in lines] + [""]


def _answers() -> Iterable[tuple[str, ...]]:
    for name, case in ANSWERS.items():
        signing_in = case.signing_in.value if case.signing_in else "–"
        yield name, case.starting.value, case.reading.value, signing_in


def _contents() -> Iterable[tuple[str, ...]]:
    for name, content in CONTENTS.items():
        yield name, _kept(content)


def _kept(content: Content) -> str:
    return "; ".join(_fields(dict(row)) for row in content.kept) or "nothing"


def _fields(row: dict[str, object]) -> str:
    said = [f"{name} {_short(row[name])}" for name in row if name != "task_id"]
    return ", ".join(said) or "the row, once"


def _short(value: object) -> str:
    if isinstance(value, str):
        return "as it came"
    return "unknown" if value is None else str(value)


def _tokens() -> Iterable[tuple[str, ...]]:
    for name in NO_TOKENS:
        yield name, End.UNAVAILABLE.value
    for name, (_, reported) in INSTANCE_URLS.items():
        told = "reported, never called" if reported else "passed over"
        yield f"soap_instance_url: {name}", told


def _mutations(
    mutations: Mapping[str, Mutation], samples: Iterable[str]
) -> Iterable[tuple[str, ...]]:
    for name, mutation in mutations.items():
        yield name, *(_either(mutation.ends[sample]) for sample in samples)


def _either(ends: set[End]) -> str:
    return " or ".join(sorted(end.value for end in ends))
