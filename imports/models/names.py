"""What is shown as a name. A name that nobody can see is no name: a link of it could
neither be read nor found.
"""

from __future__ import annotations

from unicodedata import category

from django.core.exceptions import ValidationError

# Letters and symbols that are drawn as nothing: fillers of Hangul, inherent vowels of
# Khmer, the Braille pattern without dots, the null note head, an object's place.
_BLANK = frozenset("\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\ufffc\U0001d159")
# Unassigned, and to be ignored whatever they may become.
_IGNORED = ((0x2065, 0x2065), (0xFFF0, 0xFFF8), (0xE0000, 0xE0FFF))


def has_ink(text: str) -> bool:
    """Whether anything of `text` can be seen: more than spaces of any width, marks
    without a letter, and characters that only command.
    """
    return any(_is_drawn(char) for char in text)


def _is_drawn(char: str) -> bool:
    if char in _BLANK or any(a <= ord(char) <= b for a, b in _IGNORED):
        return False
    kind = category(char)
    # what is unassigned may be newer than this Python, and drawn by a browser
    return kind[0] in "LNPS" or kind in ("Cn", "Co")


def first_with_ink(*names: str | None, otherwise: str) -> str:
    """The first of `names` that can be seen."""
    return next((name for name in names if name and has_ink(name)), otherwise)


def validate_ink(**texts: str) -> None:
    """Refuse, by field, what somebody typed and nobody will see; empty is left to the
    field.
    """
    blank = [field for field, text in texts.items() if text and not has_ink(text)]
    if blank:
        raise ValidationError(dict.fromkeys(blank, "This has no visible characters."))
