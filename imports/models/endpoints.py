"""Which addresses an account may name."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from urllib.parse import SplitResult, urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError

LOOPBACK = {"127.0.0.1", "localhost", "::1"}
HTTPS_PORT = 443
# What two parsers of addresses may read differently is not let near either of them:
# blanks, control characters, backslashes, letters that only look like ASCII.
PLAIN = re.compile(r"[!-\[\]-~]+")
# No number of any kind is a name: its last label begins with a letter.
HOST_NAME = re.compile(
    r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?"
)


def validate_endpoint(url: str) -> None:
    """Refuse an address outside MCDASH_ENDPOINT_HOSTS.

    https only, and a port only where the setting names one; with
    MCDASH_ALLOW_LOOPBACK also plain http to this machine. Where a name leads is
    looked at when it is called. Raises `ValidationError` with a sentence.
    """
    parts, port = _parts(url)
    host = parts.hostname or ""
    if any(mark in url for mark in "@?#"):
        raise ValidationError("An address holds no sign-in, query or fragment.")
    if settings.MCDASH_ALLOW_LOOPBACK and host in LOOPBACK:
        _require_scheme(url, parts.scheme, {"http", "https"})
        return
    _require_scheme(url, parts.scheme, {"https"})
    if HOST_NAME.fullmatch(host) is None:
        raise ValidationError(f"“{host}” is not the full name of a host.")
    _require_allowed(host if port == HTTPS_PORT else f"{host}:{port}")


def _parts(url: str) -> tuple[SplitResult, int]:
    try:
        parts = urlsplit(url)
        port = HTTPS_PORT if parts.port is None else parts.port
    except ValueError as error:
        raise ValidationError(f"“{url}” is not an address.") from error
    if PLAIN.fullmatch(url) is None:
        raise ValidationError(f"“{url}” is not an address.")
    return parts, port


def _require_scheme(url: str, scheme: str, allowed: set[str]) -> None:
    if scheme not in allowed:
        raise ValidationError(f"“{url}” must start with {min(allowed, key=len)}://.")


def _require_allowed(host: str) -> None:
    if not any(fnmatchcase(host, p.lower()) for p in settings.MCDASH_ENDPOINT_HOSTS):
        raise ValidationError(
            f"The host “{host}” is not among the allowed endpoint hosts "
            "(MCDASH_ENDPOINT_HOSTS)."
        )
