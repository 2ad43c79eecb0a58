"""The table of answers that come broken, hostile or odd, and how each ends."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from dataclasses import replace

from tests.marketingcloud.conftest import FOR_DRIPPING, FOR_HANGING, ROOMY
from tests.marketingcloud.hostile.endings import (
    Case,
    Spoil,
    harmless,
    refusal,
    unreadable,
)
from tests.marketingcloud.playing import Play, answer, cut, drip, flood, hang, raw

WIDE = replace(ROOMY, max_answer_bytes=20_000_000)
OK_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n"
LONG_HEAD = OK_HEAD + b"Content-Length: 100000\r\n\r\n"
CHUNKED = OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
KEY = "kunden-täglich"
LAUGHS = "".join(
    f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' if n else '<!ENTITY a0 "haha">'
    for n in range(10)
)


def _always(play: Play) -> Spoil:
    return _of(lambda _: play)


def _of(make: Callable[[str], Play]) -> Spoil:
    def spoil(good: str, url: str) -> Play:
        return make(good)

    return spoil


def _body(change: Callable[[bytes], bytes]) -> Spoil:
    return _of(lambda good: answer(change(good.encode())))


def _packed(change: Callable[[bytes], bytes], encoding: str) -> Spoil:
    return _of(lambda good: answer(change(good.encode()), Content_Encoding=encoding))


def _text(change: Callable[[str], str], encoding: str = "utf-8") -> Spoil:
    return _of(lambda good: answer(change(good).encode(encoding)))


def _bomb(pack: Callable[[bytes], bytes], encoding: str) -> Spoil:
    return _of(lambda _: answer(pack(b" " * 50_000_000), Content_Encoding=encoding))


def _as(content_type: str) -> Spoil:
    return _of(lambda good: answer(good, content_type=content_type))


def _prolog(declared: str, encoding: str = "utf-8", text: str = KEY) -> Spoil:
    """The answer after something of its own, with {url} for the stage's address."""

    def spoil(good: str, url: str) -> Play:
        good = good.replace("?>", f"?>{declared.replace('{url}', url)}", 1)
        good = good.replace('"utf-8"', f'"{encoding}"').replace(KEY, text)
        return answer(good.encode(encoding))

    return spoil


def _in_envelope(attribute: str = "", element: str = "") -> Spoil:
    def spoil(good: str, url: str) -> Play:
        good = good.replace("<soap:Envelope ", f"<soap:Envelope {attribute} ")
        good = good.replace("</soap:Header>", f"{element}</soap:Header>")
        return answer(good.replace("{url}", url))

    return spoil


def _redirect(status: int) -> Spoil:
    return lambda good, url: answer(good, status=status, Location=f"{url}/elsewhere")


def _status(status: int, body: str = "<html><body>Sorry</body></html>") -> Spoil:
    return _always(answer(body, status=status, content_type="text/html"))


def _flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 0xFF] * 4) + data[middle + 4 :]


CUT = {
    "nothing at all": unreadable(_always(cut()), "broke before an answer"),
    "cut in the status line": unreadable(_always(cut(b"HTTP/1.1 200")), "is empty"),
    "cut before its declared length": unreadable(
        _of(lambda good: cut(LONG_HEAD + good.encode())), "broke off"
    ),
    "cut, no length declared": unreadable(
        _of(lambda good: cut(OK_HEAD + b"\r\n" + good.encode()[:-20])), "broken XML"
    ),
    "cut in a chunk": unreadable(_always(cut(CHUNKED + b"10\r\n0123")), "broke off"),
    "truncated, length right": unreadable(_body(lambda b: b[:-30]), "broken XML"),
    "empty": unreadable(_always(answer("")), "is empty"),
    "blanks only": unreadable(_always(answer(" \r\n ")), "is empty"),
    "204 No Content": unreadable(_always(answer("", status=204)), "is empty"),
}
HTTP = {
    "not HTTP": unreadable(_always(raw(b"rubbish\r\n\r\n")), "not proper HTTP"),
    "500 headers": unreadable(
        _always(raw(OK_HEAD + b"X: y\r\n" * 500)), "not proper HTTP"
    ),
    "a header of 100 kB": unreadable(
        _always(raw(OK_HEAD + b"X: " + b"y" * 100_000)), "not proper HTTP"
    ),
    "two lengths": unreadable(
        _always(
            cut(OK_HEAD + b"Content-Length: 5\r\nContent-Length: 9999\r\n\r\n<soap>")
        ),
        "broke|broken",
    ),
    "a chunk that is none": unreadable(
        _always(raw(CHUNKED + b"nonsense\r\n")), "broke off"
    ),
    "redirect 301": refusal(_redirect(301), "HTTP 301.*does not follow"),
    "redirect 302": refusal(_redirect(302), "HTTP 302.*does not follow"),
    "redirect 303": refusal(_redirect(303), "HTTP 303.*does not follow"),
    "redirect 307": refusal(_redirect(307), "HTTP 307.*does not follow"),
    "redirect 308": refusal(_redirect(308), "HTTP 308.*does not follow"),
    "304 Not Modified": refusal(_redirect(304), "HTTP 304.*does not follow"),
    "HTML with 200": unreadable(_status(200), "web page"),
    "HTML with 404": refusal(_status(404), "HTTP 404"),
    "HTML with 408": unreadable(_status(408), "HTTP 408.*web page"),
    "HTML with 429": refusal(_status(429), "HTTP 429"),
    "HTML with 500": unreadable(_status(500), "HTTP 500.*web page"),
    "HTML with 503": unreadable(_status(503), "HTTP 503.*web page"),
    "status 999": unreadable(_status(999), "HTTP 999.*web page"),
}
SLOW = {
    "silence": unreadable(
        _always(hang()), "did not answer in time", limits=FOR_HANGING
    ),
    "silence in the middle": unreadable(
        _of(lambda good: hang(LONG_HEAD + good.encode()[:50])),
        "did not answer in time",
        limits=FOR_HANGING,
    ),
    "one byte a second": unreadable(
        _always(drip(LONG_HEAD, every_seconds=1)),
        "within 0.5 seconds",
        limits=FOR_DRIPPING,
    ),
    "one byte a second in a header": unreadable(
        _always(drip(OK_HEAD + b"X: ", every_seconds=1)),
        "within 0.5 seconds",
        limits=FOR_DRIPPING,
    ),
    "100 Continue without end": unreadable(
        _always(flood(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 10_000_000)),
        "within 0.5 seconds",
        limits=FOR_DRIPPING,
    ),
}
ENCODED = {
    "gzip": harmless(_packed(gzip.compress, "gzip")),
    "deflate": harmless(_packed(zlib.compress, "deflate")),
    "gzip twice": harmless(
        _packed(lambda b: gzip.compress(gzip.compress(b)), "gzip, gzip")
    ),
    "gzip, cut": unreadable(
        _packed(lambda b: gzip.compress(b)[:-60], "gzip"), "XML|empty"
    ),
    "gzip, corrupt": unreadable(
        _packed(lambda b: _flipped(gzip.compress(b)), "gzip"),
        "compression is broken",
    ),
    "gzip, wrong checksum": unreadable(
        _packed(
            lambda b: gzip.compress(b)[:-8] + b"\x00" * 8,
            "gzip",
        ),
        "compression is broken",
    ),
    "plain, but says gzip": unreadable(_packed(bytes, "gzip"), "compression is broken"),
    "gzip, but does not say so": unreadable(_body(gzip.compress), "is not XML"),
    "gzip a hundred times over": unreadable(
        _packed(bytes, ", ".join(["gzip"] * 100)),
        "compression is broken",
    ),
    "an encoding nobody knows": harmless(_packed(bytes, "rot13")),
    "text/html, but SOAP": harmless(_as("text/html")),
    "application/json, but SOAP": harmless(_as("application/json")),
    "no content type": harmless(_as("")),
    "another charset in the header": harmless(_as("text/xml; charset=utf-16")),
    "JSON, but not SOAP": unreadable(
        _always(answer('{"ok": true}', content_type="application/json")),
        "is not XML but application/json",
    ),
    "Latin-1, but says UTF-8": unreadable(_text(str, "latin-1"), "broken XML"),
    "Latin-1, and says so": harmless(_prolog("", "iso-8859-1"), signing_in=None),
    "UTF-16": harmless(_prolog("", "utf-16")),
    "UTF-8 with a byte order mark": harmless(_text(str, "utf-8-sig")),
    "an encoding that is none": unreadable(
        _text(lambda t: t.replace("utf-8", "klingon")), "broken XML", signing_in=None
    ),
}
LARGE = {
    "longer than the cap": unreadable(_always(answer(b" " * 200_001)), "larger than"),
    "200 MB, said at once": unreadable(
        _always(raw(OK_HEAD + b"Content-Length: 200000000\r\n\r\n")), "larger than"
    ),
    "a length of 23 digits": unreadable(
        _always(raw(OK_HEAD + b"Content-Length: 99999999999999999999999\r\n\r\n")),
        "larger than",
    ),
    "200 MB, not said": unreadable(
        _always(flood(OK_HEAD + b"\r\n", b" " * 65_536, 3_052)), "larger than"
    ),
    "gzip bomb": unreadable(_bomb(gzip.compress, "gzip"), "larger than"),
    "deflate bomb": unreadable(_bomb(zlib.compress, "deflate"), "larger than"),
    "gzip bomb in a gzip bomb": unreadable(
        _bomb(lambda b: gzip.compress(gzip.compress(b)), "gzip, gzip"), "larger than"
    ),
}
XML = {
    "a DTD": unreadable(_prolog("<!DOCTYPE a>"), "DTD", signing_in=None),
    "a DTD from elsewhere": unreadable(
        _prolog('<!DOCTYPE a SYSTEM "{url}/evil.dtd">'), "DTD", signing_in=None
    ),
    "a DTD, in UTF-16": unreadable(
        _prolog('<!DOCTYPE a SYSTEM "{url}/evil.dtd">', "utf-16"),
        "DTD",
        signing_in=None,
    ),
    "an entity": unreadable(
        _prolog('<!DOCTYPE a [<!ENTITY x "ha">]>', text="&x;"), "DTD", signing_in=None
    ),
    "an entity that reads a file": unreadable(
        _prolog('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>', text="&x;"),
        "DTD",
        signing_in=None,
    ),
    "an entity from elsewhere, in UTF-16": unreadable(
        _prolog(
            '<!DOCTYPE a [<!ENTITY x SYSTEM "{url}/x"> '
            '<!ENTITY % y SYSTEM "{url}/y"> %y;]>',
            "utf-16",
            "&x;",
        ),
        "DTD|broken XML",
        signing_in=None,
    ),
    "entity bomb": unreadable(
        _prolog(f"<!DOCTYPE a [{LAUGHS}]>", text="&a9;"), "DTD", signing_in=None
    ),
    "entity bomb, in UTF-16": unreadable(
        _prolog(f"<!DOCTYPE a [{LAUGHS}]>", "utf-16", "&a9;"),
        "DTD|broken XML",
        signing_in=None,
    ),
    "entity bomb in an attribute, in UTF-16": unreadable(
        _prolog(f"<!DOCTYPE a [{LAUGHS}]>", "utf-16", '<b c="&a9;"/>'),
        "DTD|broken XML",
        signing_in=None,
    ),
    "an entity that nobody declared": unreadable(
        _prolog("", text="&nobody;"), "broken XML", signing_in=None
    ),
    "schemaLocation": harmless(
        _in_envelope('xsi:schemaLocation="urn:x {url}/evil.xsd"'), signing_in=None
    ),
    "noNamespaceSchemaLocation": harmless(
        _in_envelope('xsi:noNamespaceSchemaLocation="{url}/evil.xsd"'),
        signing_in=None,
    ),
    "a style sheet": harmless(
        _prolog('<?xml-stylesheet type="text/xsl" href="{url}/evil.xsl"?>'),
        signing_in=None,
    ),
    "XInclude": harmless(
        _in_envelope(
            element='<i:include xmlns:i="http://www.w3.org/2001/XInclude"'
            ' href="{url}/evil.xml"/>'
        ),
        signing_in=None,
    ),
    "700,000 elements": unreadable(
        _in_envelope(element="<a/>" * 700_000),
        "far more elements",
        signing_in=None,
        limits=WIDE,
    ),
    "300,000 attributes": unreadable(
        _in_envelope(" ".join(f'a{n}=""' for n in range(300_000))),
        "far more elements",
        signing_in=None,
        limits=WIDE,
    ),
    "a text of 11 MB": unreadable(
        _in_envelope(element=f"<a>{'x' * 11_000_000}</a>"),
        "broken XML",
        signing_in=None,
        limits=WIDE,
    ),
    "nested 10,000 deep": unreadable(
        _in_envelope(element="<a>" * 10_000 + "</a>" * 10_000),
        "broken XML",
        signing_in=None,
    ),
    "control characters": unreadable(
        _prolog("", text="a\x00\x01\x1b[31m"), "broken XML", signing_in=None
    ),
    "control characters as references": unreadable(
        _prolog("", text="&#0;&#1;&#27;"), "broken XML", signing_in=None
    ),
    "half a character as a reference": unreadable(
        _prolog("", text="&#xD800;"), "broken XML", signing_in=None
    ),
    "something after its end": unreadable(
        _text(lambda text: f"{text}<more/>"), "broken XML"
    ),
    "itself twice": unreadable(_text(lambda text: text + text), "broken XML"),
    "other namespaces": harmless(
        _text(lambda t: t.replace("http://exacttarget.com/wsdl/partnerAPI", "urn:x")),
        signing_in=None,
    ),
    "not SOAP": unreadable(_always(answer("<ok/>")), "is not a SOAP message"),
    "another answer": unreadable(
        _text(lambda t: t.replace("ResponseMsg", "OtherMsg")),
        "does not contain what was asked for",
        signing_in=None,
    ),
}
ANSWERS: dict[str, Case] = {**CUT, **HTTP, **SLOW, **ENCODED, **LARGE, **XML}
ANSWERS["as it should be"] = harmless(_body(bytes))
# One of each kind.
SOME = [next(iter(kind)) for kind in (CUT, HTTP, SLOW, ENCODED, LARGE, XML)]
