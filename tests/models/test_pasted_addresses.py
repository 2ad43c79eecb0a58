"""Whatever the vendor's page shows may be pasted; the rest is told what is expected."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError
from pytest_django import Settings

from imports.models import Account, validate_endpoint
from imports.models.endpoints import tidy_auth_url, tidy_soap_url, tidy_subdomain

TENANT = "mc563885gzs27c5t9-63k636ttgm"
HOST = "marketingcloudapis.com"
AUTH, REST, SOAP = (
    f"https://{TENANT}.{kind}.{HOST}" for kind in ("auth", "rest", "soap")
)
SERVICE = f"{SOAP}/Service.asmx"
PLAIN_AUTH, PLAIN_SOAP = AUTH.replace("https", "http"), SOAP.replace("https", "http")
WANTS_AUTH = f"Expected here is the Authentication Base URI: {AUTH}/"
WANTS_SOAP = f"Expected here is the SOAP Base URI: {SOAP}/"

pytestmark = pytest.mark.django_db


def cleaned(**fields: str) -> Account:
    known = {"name": "DE", "client_id": "id", "secret": "s"}
    account = Account(**known | fields)
    account.full_clean()
    return account


def complaints(**fields: str) -> dict[str, list[str]]:
    with pytest.raises(ValidationError) as caught:
        cleaned(**fields)
    return caught.value.message_dict


@pytest.mark.parametrize(
    "pasted",
    [
        TENANT,
        TENANT.upper(),
        f"  {TENANT}\t",
        f"\u00a0{TENANT}\u200b",
        f"{TENANT}/",
        f"{TENANT}.",
        f"{TENANT}.auth",
        f"{TENANT}.{HOST}",
        f"https://{TENANT}",
        f"{TENANT}.auth.{HOST}",
        f"{TENANT}.soap.{HOST}/",
        f"{TENANT}.REST.MarketingCloudApis.com",
        f"{AUTH}/",
        f"{AUTH}/v2/token",
        f"{REST}/",
        SOAP,
        SERVICE,
        f"{SOAP}/etframework.wsdl",
        f"http://{TENANT}.auth.{HOST}/",
        f"HTTPS://{TENANT}.auth.{HOST}:443/v2/token/",
        f"//{TENANT}.auth.{HOST}",
        f"{AUTH}./v2/token",
    ],
)
def test_any_of_these_is_the_subdomain(pasted: str) -> None:
    account = cleaned(subdomain=pasted)
    assert account.subdomain == TENANT
    assert (account.token_address, account.service_address) == (AUTH, SERVICE)


@pytest.mark.parametrize(
    "pasted",
    [
        AUTH,
        f"{AUTH}/",
        f"{AUTH}/v2",
        f"{AUTH}/v2/token",
        f"{AUTH}/V2/Token/",
        f" {AUTH}/v2/token\n",
        f"{TENANT}.auth.{HOST}",
        f"{TENANT}.auth.{HOST}:443/v2/token",
        f"HTTPS://{TENANT.upper()}.AUTH.{HOST}/",
        f"\ufeff{AUTH}:443//",
    ],
)
def test_any_of_these_is_the_authentication_address(pasted: str) -> None:
    account = cleaned(auth_url=pasted, soap_url=SERVICE)
    assert account.auth_url == account.token_address == AUTH


@pytest.mark.parametrize(
    "pasted",
    [
        SOAP,
        f"{SOAP}/",
        f"{SOAP}//",
        SERVICE,
        f"{SERVICE}/",
        f"{SOAP}/service.asmx",
        f"{SERVICE}?WSDL",
        f"{SERVICE}?singleWsdl",
        f"{SERVICE}?",
        f"{SOAP}/etframework.wsdl",
        f"{TENANT}.soap.{HOST}",
        f"{TENANT}.soap.{HOST}:443/Service.asmx",
        f"HTTPS://{TENANT}.SOAP.{HOST}./",
        f"\u00a0{SOAP} ",
    ],
)
def test_any_of_these_is_the_soap_address(pasted: str) -> None:
    account = cleaned(auth_url=AUTH, soap_url=pasted)
    assert account.soap_url == account.service_address == SERVICE


@pytest.mark.parametrize("end", ["", "/", "/Service.asmx", "/etframework.wsdl"])
def test_the_older_addresses_are_completed_too(end: str) -> None:
    stack = "https://webservice.s7.exacttarget.com"
    account = cleaned(auth_url=AUTH, soap_url=f"{stack}{end}")
    assert account.soap_url == f"{stack}/Service.asmx"


def test_an_address_of_ones_own_is_left_as_it_is(settings: Settings) -> None:
    settings.MCDASH_ENDPOINT_HOSTS = ["gate.example.org"]
    account = cleaned(
        auth_url="https://Gate.example.org/auth/v2/token",
        soap_url="https://gate.example.org/soap/Own?wsdl",
    )
    assert account.auth_url == "https://gate.example.org/auth"
    assert account.soap_url == "https://gate.example.org/soap/Own"


@pytest.mark.parametrize(
    ("field", "pasted", "words"),
    [
        ("auth_url", f"{REST}/", f"This is the REST Base URI. {WANTS_AUTH}"),
        ("auth_url", SERVICE, f"This is the SOAP Base URI. {WANTS_AUTH}"),
        ("auth_url", f"{AUTH}/v2/me", f"“/v2/me” is too much. {WANTS_AUTH}"),
        ("auth_url", f"{PLAIN_AUTH}/", f"“{PLAIN_AUTH}” must start with https://."),
        ("soap_url", AUTH, f"This is the Authentication Base URI. {WANTS_SOAP}"),
        ("soap_url", f"{REST}/", f"This is the REST Base URI. {WANTS_SOAP}"),
        ("soap_url", f"{SOAP}/v1/x", f"“/v1/x” is too much. {WANTS_SOAP}"),
        (
            "soap_url",
            PLAIN_SOAP,
            f"“{PLAIN_SOAP}/Service.asmx” must start with https://.",
        ),
    ],
)
def test_what_cannot_be_meant_is_told_what_is_expected(
    field: str, pasted: str, words: str
) -> None:
    addresses = {"auth_url": AUTH, "soap_url": SERVICE} | {field: pasted}
    assert complaints(**addresses) == {field: [words]}


@pytest.mark.parametrize(
    "pasted",
    [
        "members.s7.exacttarget.com",
        "https://mc.exacttarget.com/cloud/",
        f"{AUTH}@evil.example/",
        f"https://evil.example/{TENANT}.auth.{HOST}",
        f"{AUTH}.evil.example",
        f"https://evil.example\\@{TENANT}.auth.{HOST}/",
        f"{TENANT}:8443",
        f"{TENANT}#x",
        "m" * 64,
        "mc 5638",
    ],
)
def test_no_subdomain_can_be_read_from_these(pasted: str) -> None:
    (words,) = complaints(subdomain=pasted)["subdomain"]
    assert words.startswith("Enter the tenant’s own part of its addresses, the mc…")


@pytest.mark.parametrize("tidy", [tidy_auth_url, tidy_soap_url, tidy_subdomain])
@pytest.mark.parametrize(
    "pasted",
    [
        f"https://evil.example\\@{TENANT}.soap.{HOST}/",
        f"https://user:pass@{TENANT}.soap.{HOST}/",
        f"{SOAP}/#x",
        f"{SOAP}/?next=evil",
        f"https://{TENANT}.soap.{HOST}:443x/",
        f"https://{TENANT}。soap。{HOST}/",
        f"https://{TENANT}.soap\n.{HOST}/",
        f"https://{TENANT}.soap.mаrketingcloudapis.com/",  # a Cyrillic а
        "https://[::1",
        "localhost:8765",
        "",
    ],
)
def test_what_two_readers_could_differ_about_is_not_touched(
    tidy: object, pasted: str
) -> None:
    assert callable(tidy)
    assert tidy(pasted) == pasted


@pytest.mark.parametrize(
    "url",
    [
        f"{SOAP}:8443/",
        f"{SOAP}:80/",
        f"https://{TENANT}.soap.{HOST}.evil.example/",
        "https://127.0.0.2/",
        "https://169.254.169.254/",
        "ftp://mc1.soap.marketingcloudapis.com/",
        "file:///etc/passwd",
    ],
)
def test_no_reading_makes_a_refused_address_an_allowed_one(url: str) -> None:
    for tidy in (tidy_auth_url, tidy_soap_url):
        with pytest.raises(ValidationError):
            validate_endpoint(tidy(url))


@pytest.mark.parametrize("base", ["http://127.0.0.1:8765", "http://[::1]:8765"])
def test_the_sandboxs_address_is_completed_as_well(base: str) -> None:
    account = cleaned(auth_url=f"{base}/v2/token", soap_url=f"{base}/")
    assert (account.auth_url, account.soap_url) == (base, f"{base}/Service.asmx")
