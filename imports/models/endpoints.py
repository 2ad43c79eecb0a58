"""Which addresses an account may name, and how pasted ones are read.

The page of an installed package shows three: the Authentication, REST and SOAP Base
URI. People paste any of them, whole or in parts. What can be read in one way only is
completed here; nothing here decides what is allowed, `validate_endpoint` does.
"""

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
VENDOR_HOST = re.compile(
    r"([a-z0-9-]{1,63})\.(auth|rest|soap)\.marketingcloudapis\.com"
)
# A subdomain as people shorten it: alone, or with part of what follows it.
SUBDOMAIN = re.compile(
    r"([a-z0-9-]{1,63})(\.(auth|rest|soap))?(\.marketingcloudapis\.com)?"
)
LEGACY_SERVICE = re.compile(r"webservice(\.s\d{1,3})?\.exacttarget\.com")
SERVICE_PATH = "/Service.asmx"
TOKEN_PATH = re.compile(r"(/v2(/token)?)?/*", re.IGNORECASE)
SERVICE_PATHS = re.compile(r"/*((service\.asmx|etframework\.wsdl)/*)?", re.IGNORECASE)
WSDL_PATH = re.compile(r"(?<=/)etframework\.wsdl$", re.IGNORECASE)
LONGEST_MID = 100
# Blanks, and what cannot be seen, as it comes along when one copies.
INVISIBLE = r"[\s\u00ad\u200b-\u200f\u202a-\u202e\u2060\ufeff]+"
BASE_URIS = {
    "auth": "the Authentication Base URI",
    "rest": "the REST Base URI",
    "soap": "the SOAP Base URI",
}


def trimmed(text: str) -> str:
    """Without blanks, or characters that cannot be seen, at either end."""
    return re.sub(rf"\A{INVISIBLE}|{INVISIBLE}\Z", "", text)


def tidy_mid(text: str) -> str:
    """A MID in plain digits, without zeros before it; what is none stays as typed."""
    typed = trimmed(text)
    is_number = typed.isdecimal() and len(typed) <= LONGEST_MID
    return str(int(typed)) if is_number else typed  # also of digits beyond ASCII


def tidy_subdomain(text: str) -> str:
    """The tenant's own part of an address, or of a host's name; else `text`."""
    parts = _read(text)
    if parts is None or parts.query:
        return trimmed(text)
    host = _host(parts)
    if tenant := VENDOR_HOST.fullmatch(host):
        return tenant[1]
    alone = SUBDOMAIN.fullmatch(host)
    is_alone = alone and parts.port is None and not parts.path.strip("/")
    return alone[1] if alone and is_alone else trimmed(text)


def tidy_auth_url(text: str) -> str:
    """The base to which `/v2/token` is added; else `text`."""
    parts = _read(text)
    if parts is None or parts.query:
        return trimmed(text)
    return _base(parts) + re.sub(rf"{TOKEN_PATH.pattern}\Z", "", parts.path, flags=re.I)


def tidy_soap_url(text: str) -> str:
    """The service's full address, also where its WSDL's was pasted; else `text`."""
    parts = _read(text)
    if parts is None or parts.query.lower() not in {"", "wsdl", "singlewsdl"}:
        return trimmed(text)
    host = _host(parts)
    is_known = VENDOR_HOST.fullmatch(host) or LEGACY_SERVICE.fullmatch(host)
    is_bare = host in LOOPBACK and not parts.path.strip("/")
    if is_bare or (is_known and SERVICE_PATHS.fullmatch(parts.path)):
        return _base(parts) + SERVICE_PATH
    return _base(parts) + WSDL_PATH.sub(SERVICE_PATH[1:], parts.path)


def refuse_misplaced(kind: str, url: str) -> None:
    """Raise `ValidationError` for an address of the vendor's that is not of `kind`,
    "auth" or "soap".
    """
    parts = _read(url)
    tenant = VENDOR_HOST.fullmatch(_host(parts)) if parts else None
    if parts is None or tenant is None:
        return
    right = f"https://{tenant[1]}.{kind}.marketingcloudapis.com/"
    if tenant[2] != kind:
        raise ValidationError(
            f"This is {BASE_URIS[tenant[2]]}. Expected here is {BASE_URIS[kind]}: "
            f"{right}"
        )
    paths = TOKEN_PATH if kind == "auth" else SERVICE_PATHS
    if not paths.fullmatch(parts.path):
        raise ValidationError(
            f"“{parts.path}” is too much. Expected here is {BASE_URIS[kind]}: {right}"
        )


def _read(text: str) -> SplitResult | None:
    """The parts of a pasted address; None where two readers could differ about it."""
    pasted = trimmed(text)
    if PLAIN.fullmatch(pasted) is None or any(mark in pasted for mark in "@#"):
        return None
    has_scheme = "://" in pasted
    try:
        parts = urlsplit(pasted if has_scheme else f"https://{pasted.lstrip('/')}")
        parts.port  # noqa: B018 - a port that is none raises
    except ValueError:
        return None
    # whether this machine is asked by http or https is not for us to guess
    return None if not has_scheme and _host(parts) in LOOPBACK else parts


def _host(parts: SplitResult) -> str:
    return (parts.hostname or "").removesuffix(".")


def _base(parts: SplitResult) -> str:
    """Scheme, host and port, said as briefly as can be."""
    host = _host(parts)
    usual = HTTPS_PORT if parts.scheme == "https" else None
    port = "" if parts.port in {None, usual} else f":{parts.port}"
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}"


def validate_endpoint(url: str) -> None:
    """Raise `ValidationError` for an address outside MCDASH_ENDPOINT_HOSTS: https only,
    and a port only where the setting names one; with MCDASH_ALLOW_LOOPBACK also plain
    http to this machine. Where a name leads is looked at when it is called.
    """
    try:
        parts = urlsplit(url)
        port = HTTPS_PORT if parts.port is None else parts.port
    except ValueError as error:
        raise ValidationError(f"“{url}” is not an address.") from error
    if PLAIN.fullmatch(url) is None:
        raise ValidationError(f"“{url}” is not an address.")
    if any(mark in url for mark in "@?#"):
        raise ValidationError("An address holds no sign-in, query or fragment.")
    host = parts.hostname or ""
    is_this_machine = settings.MCDASH_ALLOW_LOOPBACK and host in LOOPBACK
    schemes = ("http", "https") if is_this_machine else ("https",)
    if parts.scheme not in schemes:
        raise ValidationError(f"“{url}” must start with {schemes[0]}://.")
    if is_this_machine:
        return
    if HOST_NAME.fullmatch(host) is None:
        raise ValidationError(f"“{host}” is not the full name of a host.")
    address = host if port == HTTPS_PORT else f"{host}:{port}"
    allowed = settings.MCDASH_ENDPOINT_HOSTS
    if not any(fnmatchcase(address, pattern.lower()) for pattern in allowed):
        raise ValidationError(
            f"The host “{address}” is not among the allowed endpoint hosts "
            "(MCDASH_ENDPOINT_HOSTS)."
        )
