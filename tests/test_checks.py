"""Settings that are dangerous together are told of by `manage.py check`."""

from __future__ import annotations

from typing import Any

import pytest
from django.core import checks
from pytest_django import Settings

from imports.checks import check_deployment, check_settings

EARNEST: dict[str, Any] = {
    "DEBUG": False,
    "MCDASH_ALLOW_LOOPBACK": False,
    "ALLOWED_HOSTS": ["dash.example.com"],
    "MCDASH_TRUSTED_PROXIES": ["10.0.0.1", "10.1.0.0/16"],
    "SECURE_HSTS_SECONDS": 31536000,
    "MCDASH_ENDPOINT_HOSTS": ["*.marketingcloudapis.com", "*.exacttarget.com"],
}
TRIAL = EARNEST | {
    "MCDASH_ALLOW_LOOPBACK": True,
    "ALLOWED_HOSTS": ["127.0.0.1", "localhost", "[::1]"],
    "MCDASH_TRUSTED_PROXIES": [],
    "SECURE_HSTS_SECONDS": 0,
}


@pytest.fixture(autouse=True)
def in_earnest(settings: Settings) -> None:
    give(settings, EARNEST)


def give(settings: Settings, values: dict[str, Any]) -> None:
    for name, value in values.items():
        setattr(settings, name, value)


def ids() -> list[str]:
    return [str(one.id) for one in (*check_settings(), *check_deployment())]


def test_an_installation_in_earnest_has_nothing_to_mend() -> None:
    assert ids() == []


def test_a_trial_on_ones_own_machine_is_only_told_at_deployment(
    settings: Settings,
) -> None:
    give(settings, TRIAL)
    assert check_settings() == []
    assert ids() == ["mcdash.W101"]


@pytest.mark.parametrize(
    ("base", "changes", "found"),
    [
        (TRIAL, {"ALLOWED_HOSTS": ["127.0.0.1", "dash.example.com"]}, "mcdash.E001"),
        (EARNEST, {"DEBUG": True}, "mcdash.E002"),
        (TRIAL, {"SECURE_HSTS_SECONDS": 60}, "mcdash.W003"),
        (EARNEST, {"MCDASH_TRUSTED_PROXIES": ["0.0.0.0/0"]}, "mcdash.E004"),
        (EARNEST, {"MCDASH_TRUSTED_PROXIES": ["10.0.0.1", "::/0"]}, "mcdash.E004"),
        (EARNEST, {"MCDASH_ENDPOINT_HOSTS": ["*"]}, "mcdash.E006"),
        (EARNEST, {"MCDASH_ENDPOINT_HOSTS": ["*.com"]}, "mcdash.E006"),
        (EARNEST, {"MCDASH_ENDPOINT_HOSTS": ["*.*"]}, "mcdash.E006"),
        (EARNEST, {"MCDASH_TRUSTED_PROXIES": []}, "mcdash.W102"),
    ],
)
def test_what_is_dangerous_together_has_an_id_and_a_hint(
    settings: Settings, base: dict[str, Any], changes: dict[str, Any], found: str
) -> None:
    give(settings, base)
    before = ids()
    give(settings, changes)
    assert [one for one in ids() if one not in before] == [found]
    (said,) = (
        one for one in (*check_settings(), *check_deployment()) if one.id == found
    )
    assert said.hint
    assert (said.level >= checks.ERROR) is ("E" in found)


def test_tracebacks_may_be_shown_on_ones_own_machine(settings: Settings) -> None:
    give(settings, TRIAL | {"DEBUG": True})
    assert check_settings() == []


def test_the_checks_are_registered() -> None:
    registry = checks.registry.registry
    assert check_settings in registry.get_checks()
    assert check_deployment not in registry.get_checks()
    assert check_deployment in registry.get_checks(include_deployment_checks=True)
