"""Which addresses an account may name."""

from __future__ import annotations

from fnmatch import fnmatchcase
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError

LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def validate_endpoint(url: str) -> None:
    """Refuse an address outside MCDASH_ENDPOINT_HOSTS.

    https only; with MCDASH_ALLOW_LOOPBACK also plain http to this machine.
    Raises `ValidationError` with a sentence.
    """
    try:
        parts = urlsplit(url)
        host, _ = (parts.hostname or "").lower(), parts.port
    except ValueError as error:
        raise ValidationError(f"“{url}” is not an address.") from error
    if parts.username or parts.password or parts.fragment or parts.query:
        raise ValidationError("An address holds no sign-in, query or fragment.")
    if settings.MCDASH_ALLOW_LOOPBACK and host in LOOPBACK:
        _require_scheme(url, parts.scheme, {"http", "https"})
        return
    _require_scheme(url, parts.scheme, {"https"})
    if not any(fnmatchcase(host, p.lower()) for p in settings.MCDASH_ENDPOINT_HOSTS):
        raise ValidationError(
            f"The host “{host}” is not among the allowed endpoint hosts "
            "(MCDASH_ENDPOINT_HOSTS)."
        )


def _require_scheme(url: str, scheme: str, allowed: set[str]) -> None:
    if scheme not in allowed:
        raise ValidationError(f"“{url}” must start with {min(allowed, key=len)}://.")
