"""How settings are read from the environment; a wrong value ends in a sentence."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

HOUR, DAY = 3600, 24 * 3600

env = environ.Env()


def required(name: str, hint: str) -> str:
    value = env.str(name, default="")
    if not value:
        raise ImproperlyConfigured(f"{name} is not set. {hint}")
    return str(value)


def number(name: str, default: int, *, most: int, least: int = 1) -> int:
    text = env.str(name, default=str(default))
    if not (text.isascii() and text.isdecimal()) or not least <= int(text) <= most:
        raise ImproperlyConfigured(
            f"{name} must be a whole number from {least} to {most}, not {text!r}."
        )
    return int(text)


def seconds(name: str, default: int) -> int:
    return number(name, default, most=7 * DAY)


def flag(name: str, default: str = "0") -> bool:
    text = env.str(name, default=default).strip().lower() or default
    if text not in {"0", "1", "true", "false", "yes", "no"}:
        raise ImproperlyConfigured(f"{name} must be 1 or 0, not {text!r}.")
    return text in {"1", "true", "yes"}


def scheme_of(name: str, url: str) -> str:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} is not an address: {error}.") from error
    return parts.scheme


def sqlite_file(name: str, url: str) -> str:
    path = Path(unquote(url.removeprefix("sqlite:///")))
    if not path.parent.is_dir():
        raise ImproperlyConfigured(f"{name}: there is no folder {path.parent}.")
    return str(path)
