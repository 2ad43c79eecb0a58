"""Accounts: addresses, MID, what is frozen once definitions are known."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError
from pytest_django import Settings

from imports.models import Account, validate_endpoint
from tests.factories import AccountFactory, ImportDefinitionFactory

pytestmark = pytest.mark.django_db

OAUTH = {"name": "DE", "client_id": "id", "secret": "s"}
SOAP = "https://mc1.soap.marketingcloudapis.com/Service.asmx"
AUTH = "https://mc1.auth.marketingcloudapis.com"


def faults(account: Account) -> dict[str, list[str]]:
    """What `clean()` finds wrong, by field."""
    with pytest.raises(ValidationError) as caught:
        account.clean()
    if hasattr(caught.value, "error_dict"):
        return caught.value.message_dict
    return {"": caught.value.messages}


def test_a_subdomain_gives_both_addresses() -> None:
    account = Account(**OAUTH, subdomain="mc1")
    account.clean()
    assert account.token_address == AUTH
    assert account.service_address == SOAP


def test_the_accounts_own_addresses_win() -> None:
    account = Account(
        **OAUTH,
        subdomain="mc1",
        auth_url="https://mc2.auth.marketingcloudapis.com/",
        soap_url="https://webservice.s10.exacttarget.com/Service.asmx",
    )
    account.clean()
    assert account.token_address == "https://mc2.auth.marketingcloudapis.com"
    assert account.service_address.startswith("https://webservice.s10.")


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"soap_url": SOAP},
        {"auth_url": AUTH},
    ],
)
def test_an_oauth_account_needs_both_addresses(fields: dict[str, str]) -> None:
    (message,) = faults(Account(**OAUTH, **fields))[""]
    assert "Give the subdomain" in message


def test_an_api_user_needs_no_authentication_address() -> None:
    account = Account(
        name="DE",
        auth_kind="username_token",
        username="nordlicht-api",
        secret="s",
        soap_url=SOAP,
    )
    account.clean()
    assert account.endpoints() == {"soap_url": SOAP}


@pytest.mark.parametrize(
    ("kind", "missing"), [("oauth", "client_id"), ("username_token", "username")]
)
def test_a_kind_of_sign_in_needs_its_name(kind: str, missing: str) -> None:
    account = Account(name="DE", auth_kind=kind, secret="s", subdomain="mc1")
    assert missing in faults(account)


@pytest.mark.parametrize("mid", ["510 001", "DE", "-5"])
def test_a_mid_is_a_number(mid: str) -> None:
    assert "mid" in faults(Account(**OAUTH, subdomain="mc1", mid=mid))


@pytest.mark.parametrize("subdomain", ["mc1.evil.example/", "mc1@evil", "ä", "mc1/x"])
def test_a_subdomain_cannot_lead_elsewhere(subdomain: str) -> None:
    assert "subdomain" in faults(Account(**OAUTH, subdomain=subdomain))


@pytest.mark.parametrize("field", ["auth_url", "soap_url"])
def test_the_field_that_names_a_foreign_host_is_told(field: str) -> None:
    account = Account(**OAUTH, subdomain="mc1", **{field: "https://evil.example/x"})
    (message,) = faults(account)[field]
    assert "evil.example" in message
    assert "MCDASH_ENDPOINT_HOSTS" in message


@pytest.mark.parametrize(
    "url",
    [
        "https://mc1.soap.marketingcloudapis.com.evil.example/",
        "https://evil.example/mc1.soap.marketingcloudapis.com",
        "https://marketingcloudapis.com@evil.example/",
        "https://evil.example\\@mc1.soap.marketingcloudapis.com/",
        "https://mc1.soap.marketingcloudapis.com\\.evil.example/",
        "https://user:pass@mc1.soap.marketingcloudapis.com/",
        "https://@mc1.soap.marketingcloudapis.com/",
        "https://mc1.soap.marketingcloudapis.com/?next=evil",
        "https://mc1.soap.marketingcloudapis.com/?",
        "https://mc1.soap.marketingcloudapis.com/#x",
        "https://mc1.soap.marketingcloudapis.com/#",
        "https://mc1.soap.marketingcloudapis.com:8443/",
        "https://mc1.soap.marketingcloudapis.com:80/",
        "https://mc1.soap.marketingcloudapis.com:0/",
        "https://mc1.soap.marketingcloudapis.com:443x/",
        "https://mc1.soap.marketingcloudapis.com:65979/",
        "https://mc1.soap.marketingcloudapis.com:٤٤٣/",
        "https://mc1.soap.marketingcloudapis.com./",
        "https://.marketingcloudapis.com/",
        "https://mc1..marketingcloudapis.com/",
        "https://-mc1.marketingcloudapis.com/",
        "https://m_c1.marketingcloudapis.com/",
        f"https://{'m' * 64}.marketingcloudapis.com/",
        "https://evil.example%2f.marketingcloudapis.com/",
        "https://evil.example%00.marketingcloudapis.com/",
        "https://mc1.soap.mаrketingcloudapis.com/",  # a Cyrillic а
        "https://mc1.soap.mar\u212aetingcloudapis.com/",  # the sign of Kelvin
        "https://mc1。soap。marketingcloudapis.com/",
        "https://mc1.soap.marketingcloudapis．com/",
        "https://evil.example／.marketingcloudapis.com/",
        "https://mc1.soap.marketing\u00adcloudapis.com/",
        "https://mc1.soap.xn--mrketingcloudapis-wwk.com/",
        "https://mc1.soap.marketingcloudapis.com/ä",
        "https://mc1.soap\n.marketingcloudapis.com/",
        "https://mc1.soap\t.marketingcloudapis.com/",
        " https://mc1.soap.marketingcloudapis.com/",
        "https://mc1.soap.marketingcloudapis.com/\r\nHost: evil.example",
        "https://mc1.soap.marketingcloudapis.com/ x",
        "\x00https://mc1.soap.marketingcloudapis.com/",
        "http://mc1.soap.marketingcloudapis.com/",
        "HTTP://mc1.soap.marketingcloudapis.com/",
        "ftp://mc1.soap.marketingcloudapis.com/",
        "file:///etc/passwd",
        "//mc1.soap.marketingcloudapis.com/",
        "https:mc1.soap.marketingcloudapis.com",
        "mc1.soap.marketingcloudapis.com",
        "https://marketingcloudapis/",
        "https://[::1",
        "https://127.0.0.2/",
        "https://169.254.169.254/",
        "https:///x",
        "",
    ],
)
def test_an_endpoint_outside_the_allowed_hosts_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        validate_endpoint(url)


@pytest.mark.parametrize(
    "host",
    [
        "8.8.8.8",
        "10.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "127.0.0.0x1",
        "[2606:4700::1111]",
        "[::ffff:127.0.0.1]",
        "[fe80::1%25eth0]",
        "localhost.",
        "localhost6",
        "metadata",
        "١٢٧.0.0.1",
    ],
)
def test_no_pattern_allows_a_number_or_a_short_name(
    host: str, settings: Settings
) -> None:
    settings.MCDASH_ENDPOINT_HOSTS = ["*"]
    with pytest.raises(ValidationError, match=r"not the full name|not an address"):
        validate_endpoint(f"https://{host}/Service.asmx")


@pytest.mark.parametrize(
    "url",
    [
        SOAP,
        AUTH,
        "https://MC1.soap.MarketingCloudApis.com",
        "HTTPS://mc1.soap.marketingcloudapis.com:443/Service.asmx",
        "https://webservice.s10.exacttarget.com/Service.asmx",
    ],
)
def test_an_endpoint_of_the_vendor_is_allowed(url: str) -> None:
    validate_endpoint(url)


def test_another_port_is_allowed_where_the_setting_names_it(
    settings: Settings,
) -> None:
    settings.MCDASH_ENDPOINT_HOSTS = ["soap.example.org:8443", "auth.example.org"]
    validate_endpoint("https://soap.example.org:8443/Service.asmx")
    validate_endpoint("https://auth.example.org")
    for url in ("https://soap.example.org/", "https://auth.example.org:8443/"):
        with pytest.raises(ValidationError, match="MCDASH_ENDPOINT_HOSTS"):
            validate_endpoint(url)


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "localhost", "[::1]:8765"])
def test_loopback_is_allowed_only_where_the_setting_says_so(
    host: str, settings: Settings
) -> None:
    validate_endpoint(f"http://{host}/Service.asmx")
    settings.MCDASH_ALLOW_LOOPBACK = False
    with pytest.raises(ValidationError):
        validate_endpoint(f"http://{host}/Service.asmx")


def test_other_hosts_are_allowed_by_setting(settings: Settings) -> None:
    settings.MCDASH_ENDPOINT_HOSTS = ["soap.example.org"]
    validate_endpoint("https://soap.example.org/Service.asmx")
    with pytest.raises(ValidationError):
        validate_endpoint(SOAP)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("mid", "7"),
        ("subdomain", "mc2"),
        ("auth_url", AUTH),
        ("soap_url", SOAP),
    ],
)
def test_the_business_unit_is_frozen_once_definitions_are_known(
    field: str, value: str
) -> None:
    account = AccountFactory.create()
    setattr(account, field, value)
    account.clean()
    account.refresh_from_db()
    ImportDefinitionFactory.create(account=account)
    setattr(account, field, value)
    (message,) = faults(account)[field]
    assert "Add a new account" in message


def test_credentials_may_change_while_definitions_are_known() -> None:
    account = ImportDefinitionFactory.create().account
    account.client_id, account.secret = "another", "another secret"
    account.clean()


def test_refusals_are_noted_once_in_the_order_they_came() -> None:
    account = Account(refused_properties=["ImportDefinition:MaxFileAge"])
    refused = ("ImportDefinition:FileType", "ImportDefinition:MaxFileAge")
    assert account.noted_refusals(refused) == [
        "ImportDefinition:MaxFileAge",
        "ImportDefinition:FileType",
    ]
