"""Real-looking answers, ways to spoil them, and the ends that each may come to."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hypothesis import strategies as st
from lxml import etree

from imports.marketingcloud.http import Answer
from tests.marketingcloud.hostile.endings import End
from tests.marketingcloud.wording import (
    API,
    SOAP,
    fault,
    performed,
    refused,
    result,
    retrieved,
    started,
)

TASK = "129159023"
Draw = Callable[..., object]
Ends = frozenset[End]

READ, REFUSED, UNKNOWN = ({End.READ}, {End.REFUSED}, {End.UNKNOWN})
UNAVAILABLE, CREDENTIALS = ({End.UNAVAILABLE}, {End.CREDENTIALS})


@dataclass(frozen=True, kw_only=True)
class Sample:
    """An answer as Marketing Cloud gives it."""

    body: str
    status: int = 200


PERFORMS = {
    "started": Sample(body=performed(started())),
    "not started": Sample(body=performed(refused("Not found", "43010"))),
    "client fault": Sample(body=fault("soap:Client", "Not so"), status=500),
    "server fault": Sample(body=fault("soap:Server", "Not now"), status=500),
}
RETRIEVES = {
    "rows": Sample(
        body=retrieved(
            *(
                result(
                    TASK,
                    ImportStatus="Completed",
                    StartDate="10/27/2009 12:27:51 PM",
                    NumberErrors="3",
                    TotalRows=str(number),
                )
                for number in range(3)
            )
        )
    ),
    "no permission": Sample(
        body=retrieved(status="Error: API Permission Failed. Scope list_read")
    ),
    "client fault": PERFORMS["client fault"],
    "server fault": PERFORMS["server fault"],
}
TOKENS = {
    "token": Sample(
        body=json.dumps(
            {
                "access_token": "token-two",
                "expires_in": 1079,
                "soap_instance_url": "https://mc1.soap.marketingcloudapis.com/",
            }
        )
    ),
    "invalid client": Sample(
        body='{"error": "invalid_client", "error_description": "No such client"}',
        status=400,
    ),
}


@dataclass(frozen=True, kw_only=True)
class Mutation:
    """A way to spoil an answer, and the ends it may come to, by sample."""

    apply: Callable[[st.DataObject, Sample], Answer]
    ends: Mapping[str, set[End]]


def _answer(sample: Sample, body: bytes, **changed: object) -> Answer:
    shown: dict[str, object] = {
        "status": sample.status,
        "content_type": "text/xml",
        "body": body,
    }
    return Answer(**{**shown, **changed})  # type: ignore[arg-type]  # wrong on purpose


Bytes = Callable[[st.DataObject, bytes], bytes]
Tree = Callable[[st.DataObject, etree._Element], None]


def _of_bytes(change: Bytes) -> Callable[[st.DataObject, Sample], Answer]:
    def apply(data: st.DataObject, sample: Sample) -> Answer:
        return _answer(sample, change(data, sample.body.encode()))

    return apply


def _of_tree(change: Tree) -> Callable[[st.DataObject, Sample], Answer]:
    def apply(data: st.DataObject, sample: Sample) -> Answer:
        root = etree.fromstring(sample.body.encode())
        change(data, root)
        return _answer(sample, etree.tostring(root))

    return apply


def _place(data: st.DataObject, body: bytes, label: str) -> int:
    return data.draw(st.integers(0, len(body) - 1), label)


def _piece(data: st.DataObject, body: bytes) -> tuple[int, int]:
    start = _place(data, body, "from")
    return start, start + data.draw(st.integers(1, 40), "bytes")


def _truncated(data: st.DataObject, body: bytes) -> bytes:
    return body[: _place(data, body, "length")]


def _dropped(data: st.DataObject, body: bytes) -> bytes:
    start, end = _piece(data, body)
    return body[:start] + body[end:]


def _doubled(data: st.DataObject, body: bytes) -> bytes:
    start, end = _piece(data, body)
    return body[:end] + body[start:]


def _changed(data: st.DataObject, body: bytes) -> bytes:
    at = _place(data, body, "at")
    byte = data.draw(st.integers(0, 255).filter(lambda b: b != body[at]), "byte")
    return body[:at] + bytes([byte]) + body[at + 1 :]


def _rubbish(data: st.DataObject, body: bytes) -> bytes:
    del body
    return data.draw(st.binary(max_size=200), "rubbish")


def _inner(data: st.DataObject, root: etree._Element) -> etree._Element:
    return data.draw(st.sampled_from(list(root.iter())[1:]), "element")


def _element_dropped(data: st.DataObject, root: etree._Element) -> None:
    element = _inner(data, root)
    parent = element.getparent()
    if parent is not None:
        parent.remove(element)


def _element_doubled(data: st.DataObject, root: etree._Element) -> None:
    element = _inner(data, root)
    element.addnext(etree.fromstring(etree.tostring(element, with_tail=False)))


def _tags_swapped(data: st.DataObject, root: etree._Element) -> None:
    one, other = _inner(data, root), _inner(data, root)
    one.tag, other.tag = other.tag, one.tag


def _text_changed(data: st.DataObject, root: etree._Element) -> None:
    leaves = [node for node in root.iter() if node.text]
    words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30)
    node = data.draw(st.sampled_from(leaves), "element")
    node.text = data.draw(words.filter(_is_xml), "text")


def _is_xml(text: str) -> bool:
    return "\ufffe" not in text and "\uffff" not in text


INSERTED = (
    "<odd/>",
    "<Body/>",
    "<Results/>",
    "<Result/>",
    "<Task/>",
    "<ID>0</ID>",
    "<StatusCode>Error</StatusCode>",
    "<ErrorCode>43010</ErrorCode>",
    "<StatusMessage>No</StatusMessage>",
    "<Result><StatusCode>Error</StatusCode></Result>",
    "<Results><Result><StatusCode>Error</StatusCode></Result></Results>",
    "<PerformResponseMsg><Results><Result><StatusCode>Error</StatusCode></Result>"
    "</Results></PerformResponseMsg>",
    "<Body><Fault><faultcode>Client</faultcode></Fault></Body>",
    "<Fault><faultcode>Client</faultcode><faultstring>No</faultstring></Fault>",
    "<Fault><faultcode>Client</faultcode><faultstring>Login failed</faultstring>"
    "</Fault>",
    "<OverallStatus>Error: API Permission Failed.</OverallStatus>",
    "<RequestID>x</RequestID>",
    "<!-- a comment -->",
    "<?a processing instruction?>",
)


def _element_inserted(data: st.DataObject, root: etree._Element) -> None:
    parent = data.draw(st.sampled_from(list(root.iter())), "into")
    wrapped = f"<a>{data.draw(st.sampled_from(INSERTED), 'inserted')}</a>"
    at = data.draw(st.integers(0, len(parent)), "at")
    [new] = etree.fromstring(wrapped)
    if at == 0:
        new.tail, parent.text = parent.text, None
    parent.insert(at, new)


def _other_namespace(data: st.DataObject, sample: Sample) -> Answer:
    old = data.draw(st.sampled_from([API, SOAP]), "namespace")
    new = data.draw(st.sampled_from(["urn:x", "http://x.example/soap"]), "now")
    return _answer(sample, sample.body.replace(old, new).encode())


def _other_status(data: st.DataObject, sample: Sample) -> Answer:
    statuses = st.one_of(st.integers(200, 299), st.integers(400, 999))
    status = data.draw(statuses, "status")
    return _answer(sample, sample.body.encode(), status=status)


def _other_headers(data: st.DataObject, sample: Sample) -> Answer:
    odd = st.text(st.characters(max_codepoint=255), max_size=30)
    kinds = st.one_of(odd, st.sampled_from(["text/html", "application/json", ""]))
    return _answer(
        sample,
        sample.body.encode(),
        content_type=data.draw(kinds, "content type"),
        retry_after=data.draw(odd, "Retry-After"),
    )


def _ends(
    started: set[End],
    refused: set[End],
    client: set[End],
    server: set[End],
    rows: set[End],
) -> Mapping[str, set[End]]:
    return {
        "started": started,
        "not started": refused,
        "client fault": client,
        "server fault": server,
        "rows": rows,
        "no permission": refused,
    }


_AS_IT_WAS = _ends(READ, REFUSED, REFUSED, UNKNOWN, READ)
_OR_UNKNOWN = _ends(
    READ | UNKNOWN, REFUSED | UNKNOWN, REFUSED | UNKNOWN, UNKNOWN, READ | UNKNOWN
)
_UNKNOWN = _ends(UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN)

# Of an answer that says "started", no end is "refused": only an answer may say so
# that says it from the first to the last byte.
MUTATIONS: dict[str, Mutation] = {
    "truncated": Mutation(apply=_of_bytes(_truncated), ends=_UNKNOWN),
    "rubbish": Mutation(apply=_of_bytes(_rubbish), ends=_UNKNOWN),
    "bytes dropped": Mutation(apply=_of_bytes(_dropped), ends=_OR_UNKNOWN),
    "bytes doubled": Mutation(apply=_of_bytes(_doubled), ends=_OR_UNKNOWN),
    "a byte changed": Mutation(apply=_of_bytes(_changed), ends=_OR_UNKNOWN),
    "an element dropped": Mutation(apply=_of_tree(_element_dropped), ends=_OR_UNKNOWN),
    "an element doubled": Mutation(apply=_of_tree(_element_doubled), ends=_AS_IT_WAS),
    "two tags swapped": Mutation(apply=_of_tree(_tags_swapped), ends=_OR_UNKNOWN),
    # By chance into one of the vendor's own words, which is an answer of its own.
    "a text changed": Mutation(
        apply=_of_tree(_text_changed),
        ends={
            "started": READ,
            "not started": REFUSED | UNKNOWN,
            "client fault": REFUSED | UNKNOWN | CREDENTIALS,
            "server fault": REFUSED | UNKNOWN,
            "rows": READ | UNKNOWN | REFUSED,
            "no permission": REFUSED | UNKNOWN | READ,
        },
    ),
    "an element inserted": Mutation(
        apply=_of_tree(_element_inserted),
        ends=_ends(
            READ,
            REFUSED | UNKNOWN,
            REFUSED | UNKNOWN | CREDENTIALS,
            REFUSED | UNKNOWN | CREDENTIALS,
            READ | REFUSED | UNKNOWN,
        ),
    ),
    "another namespace": Mutation(apply=_other_namespace, ends=_AS_IT_WAS),
    "another status": Mutation(
        apply=_other_status,
        ends=_ends(READ, REFUSED | UNKNOWN, REFUSED, UNKNOWN, READ | REFUSED | UNKNOWN),
    ),
    "other headers": Mutation(apply=_other_headers, ends=_AS_IT_WAS),
}


def _value_changed(data: st.DataObject, sample: Sample) -> Answer:
    content = json.loads(sample.body)
    name = data.draw(st.sampled_from(sorted(content)), "name")
    content[name] = data.draw(ANY_JSON, "value")
    return _answer(sample, json.dumps(content).encode())


def _value_dropped(data: st.DataObject, sample: Sample) -> Answer:
    content = json.loads(sample.body)
    del content[data.draw(st.sampled_from(sorted(content)), "name")]
    return _answer(sample, json.dumps(content).encode())


ANY_JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(st.characters(exclude_categories=[]), max_size=30),
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
_TOKEN_OR_NOT = {
    "token": READ | UNAVAILABLE,
    "invalid client": CREDENTIALS | UNAVAILABLE,
}
_NO_TOKEN = {"token": UNAVAILABLE, "invalid client": UNAVAILABLE}
TOKEN_MUTATIONS: dict[str, Mutation] = {
    "truncated": Mutation(apply=_of_bytes(_truncated), ends=_NO_TOKEN),
    "rubbish": Mutation(apply=_of_bytes(_rubbish), ends=_NO_TOKEN),
    "bytes dropped": Mutation(apply=_of_bytes(_dropped), ends=_TOKEN_OR_NOT),
    "bytes doubled": Mutation(apply=_of_bytes(_doubled), ends=_TOKEN_OR_NOT),
    "a byte changed": Mutation(apply=_of_bytes(_changed), ends=_TOKEN_OR_NOT),
    "a value changed": Mutation(apply=_value_changed, ends=_TOKEN_OR_NOT),
    "a value dropped": Mutation(apply=_value_dropped, ends=_TOKEN_OR_NOT),
    "another status": Mutation(
        apply=_other_status,
        ends={
            "token": READ | UNAVAILABLE | CREDENTIALS,
            "invalid client": UNAVAILABLE | CREDENTIALS,
        },
    ),
    "other headers": Mutation(
        apply=_other_headers, ends={"token": READ, "invalid client": CREDENTIALS}
    ),
}
