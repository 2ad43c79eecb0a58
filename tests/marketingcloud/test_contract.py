from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from imports.marketingcloud import soap
from imports.marketingcloud.auth import OAuthSigner, Signer, UsernameSigner
from imports.marketingcloud.errors import OutcomeUnknownError
from imports.marketingcloud.http import Answer
from imports.marketingcloud.parse import DEFINITION_PROPERTIES, RESULT_PROPERTIES
from imports.marketingcloud.records import Limits, OAuthCredentials, UsernameCredentials
from imports.marketingcloud.retrieve import Where
from imports.marketingcloud.soap import WSDL_PATH, SoapService
from tests.marketingcloud.conftest import MemoryTokens
from tests.marketingcloud.contract import XSD, Facts, facts_of

CONTRACT = json.loads(Path(__file__).with_name("contract.json").read_text())
SHARED = Path(__file__).parents[3] / "shared"
VENDOR = SHARED / "marketing-cloud" / "etframework.wsdl"
SEEDS = SHARED / "seeds"
NS = {
    "soap": "http://schemas.xmlsoap.org/soap/envelope/",
    "mc": soap.NAMESPACE,
    "wsse": (
        "http://docs.oasis-open.org/wss/2004/01/"
        "oasis-200401-wss-wssecurity-secext-1.0.xsd"
    ),
}
LEFT_OUT: dict[str, list[str]] = CONTRACT["left_out"]

needs_vendor = pytest.mark.skipif(
    not VENDOR.exists(), reason="the vendor's WSDL is not beside the project"
)


def test_our_wsdl_says_what_the_contract_says() -> None:
    ours = facts_of(WSDL_PATH)
    assert {**ours, "left_out": LEFT_OUT} == CONTRACT


@needs_vendor
def test_the_contract_is_the_vendors() -> None:
    vendor = facts_of(VENDOR)
    for part in ("target_namespace", "element_form_default", "service"):
        assert CONTRACT[part] == vendor[part]
    for part in ("operations", "messages", "simple_types"):
        assert CONTRACT[part] == {name: vendor[part][name] for name in CONTRACT[part]}
    for name, facts in CONTRACT["complex_types"].items():
        assert facts == _without(vendor["complex_types"][name], name)


def _without(facts: Facts, name: str) -> Facts:
    left_out = LEFT_OUT.get(name, [])
    names = [element["name"] for element in facts["elements"]]
    assert set(left_out) <= set(names)
    kept = [one for one in facts["elements"] if one["name"] not in left_out]
    return {**facts, "elements": kept}


def test_our_wsdl_refers_to_nothing_outside_itself() -> None:
    text = WSDL_PATH.read_text()
    assert "schemaLocation" not in text
    assert "<wsdl:import" not in text
    with pytest.raises(ValueError, match="not our WSDL"):
        soap._Disk().load("https://webservice.exacttarget.com/ETFrameworkFault.xsd")


def test_the_wsdl_is_parsed_once_for_all_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(soap, "_documents", [])
    with ThreadPoolExecutor(8) as pool:
        documents = {id(one) for one in pool.map(lambda _: soap.document(), range(32))}
    assert len(documents) == 1


class _Recorder:
    """An HTTP session that keeps what it is given."""

    def __init__(self) -> None:
        self.envelopes: list[etree._Element] = []
        self.actions: list[str] = []

    def post(self, url: str, body: bytes, headers: Any, **options: Any) -> Answer:
        del url, options
        self.envelopes.append(etree.fromstring(body))
        self.actions.append(headers["SOAPAction"])
        return Answer(status=200)


def _signers(recorder: Any) -> list[tuple[Signer, str | None]]:
    oauth = OAuthCredentials(auth_url="https://x", client_id="i", client_secret="s")
    user = UsernameCredentials(username="u", password="p<&>w")
    return [
        (OAuthSigner(oauth, MemoryTokens(), recorder), None),
        (UsernameSigner(user), None),
        (UsernameSigner(user), "7206381"),
    ]


def _every_envelope() -> _Recorder:
    recorder = _Recorder()
    for signer, mid in _signers(recorder):
        http: Any = recorder
        service = SoapService(
            url="https://x/y", http=http, signer=signer, mid=mid, limits=Limits()
        )
        _ask_everything(service)
    return recorder


def _ask_everything(service: SoapService) -> None:
    starts = [("customers-daily", None), ("a & <b> é 𝄞", "guid"), ("", "guid")]
    for key, object_id in starts:
        with pytest.raises(OutcomeUnknownError):
            service.perform_start(
                customer_key=key, object_id=object_id, send_before=None
            )
    with pytest.raises(OutcomeUnknownError):
        service.system_status()
    tasks = Where(name="TaskResultID", values=("1", "2"))
    key_is = Where(name="ImportDefinitionCustomerKey", values=("a & <b>",))
    for kind, names, where in [
        ("ImportDefinition", DEFINITION_PROPERTIES, None),
        ("ImportResultsSummary", RESULT_PROPERTIES, tasks),
        ("ImportResultsSummary", RESULT_PROPERTIES, key_is),
    ]:
        for page in (None, "bda5a2c0"):
            with pytest.raises(OutcomeUnknownError):
                service.retrieve(
                    object_type=kind,
                    properties=names,
                    where=where,
                    continue_request=page,
                )


def _schema(path: Path, folder: Path) -> etree.XMLSchema:
    schema = etree.parse(str(path)).find(f".//{XSD}schema")
    assert schema is not None
    for node in schema.findall(f"{XSD}import"):
        empty = folder / "empty.xsd"
        empty.write_text(
            '<schema xmlns="http://www.w3.org/2001/XMLSchema"'
            f' targetNamespace="{node.get("namespace")}"/>'
        )
        node.set("schemaLocation", str(empty))
    return etree.XMLSchema(etree.fromstring(etree.tostring(schema)))


def _message(envelope: etree._Element) -> etree._Element:
    body = envelope.find("soap:Body", NS)
    assert body is not None
    assert len(body) == 1
    return etree.fromstring(etree.tostring(body[0]))


@pytest.mark.parametrize(
    "path",
    [WSDL_PATH, pytest.param(VENDOR, marks=needs_vendor)],
    ids=["ours", "theirs"],
)
def test_every_envelope_is_valid_by_the_schema(path: Path, tmp_path: Path) -> None:
    schema = _schema(path, tmp_path)
    envelopes = _every_envelope().envelopes
    assert len(envelopes) == 30
    for envelope in envelopes:
        schema.assertValid(_message(envelope))


def test_the_soap_action_is_the_operations_name() -> None:
    assert set(_every_envelope().actions) == {
        '"Perform"',
        '"Retrieve"',
        '"GetSystemStatus"',
    }


@pytest.mark.skipif(not SEEDS.exists(), reason="the seeds are not beside the project")
@pytest.mark.parametrize("operation", ["Perform", "Retrieve"])
def test_our_body_carries_the_elements_of_the_vendors_sample(operation: str) -> None:
    sample = _message(_sample(operation))
    ours = next(
        message
        for envelope in _every_envelope().envelopes
        if (message := _message(envelope)).tag == sample.tag
        and _shape(sample) <= _shape(message)
    )
    assert _shape(sample) - _shape(ours) == set()


def _sample(operation: str) -> etree._Element:
    for path in sorted(SEEDS.iterdir()):
        text = path.read_text()
        if f"<{operation}RequestMsg" in text:
            end = text.index("Envelope>", text.index("RequestMsg>")) + 9
            envelope = text[text.index("<?xml") : end]
            return etree.fromstring(envelope.strip().encode())
    raise AssertionError(operation)


def _shape(message: etree._Element) -> set[tuple[Any, ...]]:
    """Paths with xsi:nil and the local name of xsi:type; Properties by their text."""
    tree = message.getroottree()
    return {
        (
            "/".join(
                str(etree.QName(one).localname)
                for one in [*reversed(list(node.iterancestors())), node]
            ),
            node.text if etree.QName(node).localname == "Properties" else "",
            *sorted(str(value).rpartition(":")[2] for value in node.attrib.values()),
        )
        for node in tree.iter()
    }


def test_the_user_name_header_must_be_understood_and_carries_a_plain_password() -> None:
    headers = [
        header
        for envelope in _every_envelope().envelopes
        for header in envelope.findall("soap:Header/wsse:Security", NS)
    ]
    assert len(headers) == 20
    for header in headers:
        assert header.get(f"{{{NS['soap']}}}mustUnderstand") == "1"
        assert header.findtext("wsse:UsernameToken/wsse:Username", "", NS) == "u"
        password = header.find("wsse:UsernameToken/wsse:Password", NS)
        assert password is not None
        assert password.text == "p<&>w"
        assert str(password.get("Type")).endswith("#PasswordText")


def test_the_oauth_header_is_in_the_documented_namespace() -> None:
    first = _every_envelope().envelopes[0]
    token = first.find("soap:Header/{http://exacttarget.com}fueloauth", NS)
    assert token is not None
    assert token.text == "token-one"


def test_the_mid_is_named_in_retrieve_and_perform_of_user_name_accounts() -> None:
    named = {"ClientIDs/ID": 0, "Options/Client/ID": 0}
    for envelope in _every_envelope().envelopes:
        message = _message(envelope)
        for node in message.iter(f"{{{soap.NAMESPACE}}}ID"):
            assert node.text == "7206381"
            path = [node, *node.iterancestors()][::-1]
            names = [str(etree.QName(one).localname) for one in path]
            named["/".join(names).split("RequestMsg/")[1].split("Request/")[-1]] += 1
    assert named == {"ClientIDs/ID": 6, "Options/Client/ID": 3}
