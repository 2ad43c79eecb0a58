"""The style guide shows every status and every colour, to staff alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from imports.models import Account, ImportRun, RunStatus
from imports.views.system import tokens
from imports.wording.status import status_look
from tests.factories import UserFactory

from .reading import client_of, content, words

pytestmark = pytest.mark.django_db
URL = "/styleguide/"
CSS = Path(__file__).resolve().parents[2] / "static" / "css" / "styleguide.css"


def test_it_shows_every_status_and_stores_nothing() -> None:
    page = client_of(UserFactory.create(is_staff=True)).get(URL)
    assert page.status_code == 200
    for status in RunStatus.values:
        assert status_look(status).label in words(page)
        assert f"s-{status_look(status).hue}" in content(page)
    assert not Account.objects.exists()
    assert not ImportRun.objects.exists()


def test_it_shows_every_colour_of_the_tokens() -> None:
    page = content(client_of(UserFactory.create(is_staff=True)).get(URL))
    painted = set(re.findall(r'\[data-token="([\w-]+)"\]', CSS.read_text()))
    assert painted == set(tokens())
    assert len(painted) >= 35
    for token in painted:
        assert f'data-token="{token}"' in page


def test_it_links_to_no_run_since_its_runs_are_invented() -> None:
    page = content(client_of(UserFactory.create(is_staff=True)).get(URL))
    assert not re.findall(r'href="/(?:runs|definitions|accounts)/\d', page)
    assert 'href="#tables"' in page


def test_it_is_not_for_marketers() -> None:
    assert client_of(UserFactory.create()).get(URL).status_code == 403
