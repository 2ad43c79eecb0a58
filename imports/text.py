"""Text that came from outside: whether anything of it can be seen, and a form of it
that hides nothing.

A name that nobody can see is no name: a link of it could neither be read nor found. It
imports nothing of ours, since log lines are made before there are models.
"""

from __future__ import annotations

from unicodedata import category

from django.core.exceptions import ValidationError

# Letters and symbols that are drawn as nothing: fillers of Hangul, inherent vowels of
# Khmer, the Braille pattern without dots, the null note head, an object's place.
_BLANK = frozenset("\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\ufffc\U0001d159")
# Unassigned, and to be ignored whatever they may become.
_IGNORED = ((0x2065, 0x2065), (0xFFF0, 0xFFF8), (0xE0000, 0xE0FFF))
# They shape the letters and pictures beside them, and do nothing else.
_JOINERS = "\u200c\u200d"


def visible(text: str, *, kept: str = "", is_log: bool = False) -> str:
    """`text` with every character that commands rather than shows (control characters,
    turned directions, line separators) escaped as in Python, but for those `kept`. In a
    log line joiners and unusual spaces are escaped too: it is searched and compared.
    """
    if text.isprintable():
        return text
    # a space of any width, or a character that is newer than this Python
    shown = () if is_log else ("Zs", "Cn")
    kept += "" if is_log else _JOINERS
    return "".join(
        char
        if char.isprintable() or char in kept or category(char) in shown
        else char.encode("unicode_escape").decode()
        for char in text
    )


def has_ink(text: str) -> bool:
    """Whether anything of `text` can be seen, not only spaces and lonely marks."""
    return any(
        # what is unassigned may be newer than this Python, and drawn by a browser
        (category(char)[0] in "LNPS" or category(char) in ("Cn", "Co"))
        and char not in _BLANK
        and not any(first <= ord(char) <= last for first, last in _IGNORED)
        for char in text
    )


def first_with_ink(*names: str | None, otherwise: str) -> str:
    """The first of `names` that can be seen."""
    return next((name for name in names if name and has_ink(name)), otherwise)


def validate_ink(**texts: str) -> None:
    """Refuse, by field, what somebody typed and nobody will see."""
    blank = [field for field, text in texts.items() if text and not has_ink(text)]
    if blank:
        raise ValidationError(dict.fromkeys(blank, "This has no visible characters."))
