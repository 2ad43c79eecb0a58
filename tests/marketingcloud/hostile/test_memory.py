"""Whatever is poured over us, a process of ours stays below 150 MB."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.marketingcloud.hostile.answers import LAUGHS, OK_HEAD
from tests.marketingcloud.hostile.eater import VERBS
from tests.marketingcloud.playing import Play, Stage, answer, pour
from tests.marketingcloud.wording import definition, retrieved

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
MOST_BYTES = 150_000_000
PIECE = b"<Results>" * 7_000
TIMES = 200_000_000 // len(PIECE)
CAP = 24 * 1024 * 1024


def _plain() -> Iterator[bytes]:
    return itertools.repeat(PIECE, TIMES)


@cache
def _bomb(times: int) -> bytes:
    """200 MB that fit into very little, packed so often."""
    pieces: Iterator[bytes] = itertools.repeat(b" " * 65_536, 3_052)
    for _ in range(times):
        pieces = _packed(pieces)
    return b"".join(pieces)


def _packed(pieces: Iterator[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(wbits=31)  # as gzip has it
    for piece in pieces:
        yield packer.compress(piece)
    yield packer.flush()


def _poured() -> Play:
    return pour(OK_HEAD + b"\r\n", _plain)


def _chunked() -> Play:
    chunk = b"%x\r\n%b\r\n" % (len(PIECE), PIECE)
    head = OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    return pour(head, lambda: itertools.repeat(chunk, TIMES))


FLOODS = {"plain": _poured, "in chunks": _chunked}
BOMBS = {
    "gzip bomb": lambda: answer(_bomb(1), Content_Encoding="gzip"),
    "gzip bomb in a gzip bomb": lambda: answer(_bomb(2), Content_Encoding="gzip, gzip"),
    "gzip bomb under HTTP 500": lambda: answer(
        _bomb(1), status=500, Content_Encoding="gzip"
    ),
}
# All within the cap on bytes: what they would become is what matters.
WITHIN: dict[str, Callable[[], bytes | str]] = {
    "elements": lambda: retrieved("<a/>" * 10_000_000),
    "attributes": lambda: retrieved(
        "<a " + " ".join(f'a{n}=""' for n in range(10**6)) + "/>"
    ),
    "texts": lambda: retrieved(*[definition("a", Description="x" * 9_500_000)] * 2),
    "rows": lambda: retrieved(
        *[definition(f"key-{n}", Description="x" * 700) for n in range(26_000)]
    ),
    "entity bomb": lambda: (
        f"<!DOCTYPE a [{LAUGHS}]>{retrieved('&a9;').partition('?>')[2]}"
    ).encode("utf-16"),
}


def _meets(stage: Stage, verb: str) -> tuple[str, int]:
    """How a process of its own ends, and the most memory it had."""
    told = subprocess.run(
        [sys.executable, "-m", "tests.marketingcloud.hostile.eater", stage.url, verb],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    found = json.loads(told.stdout)
    return found["end"], found["peak"]


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("name", FLOODS)
def test_of_200_mb_no_more_is_taken_than_the_cap(
    stage: Stage, name: str, verb: str
) -> None:
    stage.plays(FLOODS[name]())
    end, peak = _meets(stage, verb)
    assert "larger than" in end
    assert peak < MOST_BYTES
    assert _hung_up_after(stage) < CAP + 20_000_000  # what the sockets had in hand


def _hung_up_after(stage: Stage) -> int:
    give_up = time.monotonic() + 10
    while not stage.poured and time.monotonic() < give_up:
        time.sleep(0.01)
    [poured] = stage.poured
    return poured


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_of_200_mb_is_not_unpacked(stage: Stage, name: str, verb: str) -> None:
    stage.plays(BOMBS[name]())
    end, peak = _meets(stage, verb)
    assert "larger than" in end
    assert peak < MOST_BYTES


@pytest.mark.parametrize("name", WITHIN)
def test_what_is_small_on_the_wire_does_not_become_large(
    stage: Stage, name: str
) -> None:
    stage.plays(answer(WITHIN[name]()))
    _, peak = _meets(stage, "read")
    assert peak < MOST_BYTES
