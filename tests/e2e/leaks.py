"""Looking for secrets in whatever mcdash leaves behind, however they are written."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, quote_plus

# So much of a secret gives it away. Less is found by chance.
TELLING = 12
# What the sandbox's tokens look like, those among them that nobody noted down.
TOKEN_SHAPE = re.compile(rb"\b5100\d\d\.\d{10}\.\d{6}\.[0-9a-f]{32}\.[0-9a-f]{8,}")


@dataclass(frozen=True, kw_only=True)
class Leak:
    """A secret found: by its own name, in which writing, where, and what is near."""

    secret: str
    form: str
    where: str
    near: str


@dataclass(kw_only=True)
class Evidence:
    """All that was said, shown and stored, by the place where it was found."""

    texts: list[tuple[str, bytes]] = field(default_factory=list)

    def add(self, where: str, text: str | bytes) -> None:
        """Put one more text to the others."""
        data = text.encode("utf-8", "replace") if isinstance(text, str) else text
        self.texts.append((where, data))

    def add_folder(self, folder: Path) -> None:
        """Every file below `folder`, byte by byte."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.add(f"file {path.relative_to(folder)}", path.read_bytes())

    def leaks(self, secrets: dict[str, str], *, but: str = "") -> list[Leak]:
        """Where any of `secrets` is to be found, except in places that begin so."""
        needles = [
            (name, form, needle)
            for name, secret in secrets.items()
            for form, needle in forms_of(secret)
        ]
        return [
            Leak(secret=name, form=form, where=where, near=_near(text, needle))
            for where, text in self.texts
            if not (but and where.startswith(but))
            for name, form, needle in needles
            if needle in text
        ]

    def tokens_by_shape(self) -> list[str]:
        """Places that hold something in the shape of the sandbox's tokens."""
        return [where for where, text in self.texts if TOKEN_SHAPE.search(text)]


def _near(text: bytes, needle: bytes) -> str:
    at = text.index(needle)
    return text[max(0, at - 120) : at + len(needle) + 60].decode("utf-8", "replace")


def forms_of(secret: str) -> Iterator[tuple[str, bytes]]:
    """How the secret, or its telling first or last part, may be written."""
    seen: set[bytes] = set()
    for part, words in (("start", secret[:TELLING]), ("end", secret[-TELLING:])):
        for form, needle in _written(words):
            if needle not in seen:
                seen.add(needle)
                yield f"{form}, {part}", needle


def _written(words: str) -> Iterable[tuple[str, bytes]]:
    yield "plain", words.encode()
    yield "UTF-16", words.encode("utf-16-le")
    yield "HTML", html.escape(words).encode()
    yield "HTML by number", words.replace("'", "&#39;").replace('"', "&#34;").encode()
    yield "XML", html.escape(words, quote=False).encode()
    yield "HTML twice", html.escape(html.escape(words)).encode()
    yield "URL", quote(words, safe="").encode()
    yield "URL, with slashes", quote(words).encode()
    yield "form", quote_plus(words).encode()
    yield "JSON", json.dumps(words)[1:-1].encode()
    yield "JSON, readable", json.dumps(words, ensure_ascii=False)[1:-1].encode()
    yield "repr", repr(words)[1:-1].encode()
    yield "hex", words.encode().hex().encode()
    for shift in range(3):
        yield f"base64 at {shift}", _inner_base64(words.encode(), shift)


def _inner_base64(words: bytes, shift: int) -> bytes:
    """The part of its base64 that does not depend on what stands around it."""
    whole = base64.b64encode(b"\0" * shift + words).rstrip(b"=")
    begin = (0, 2, 3)[shift]
    bits = (shift + len(words)) * 8
    return whole[begin : bits // 6]
