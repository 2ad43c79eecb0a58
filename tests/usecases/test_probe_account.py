"""An account that does not answer is asked once a minute whether it is back."""

from __future__ import annotations

import pytest

from imports.marketingcloud.errors import UnavailableError
from imports.models import Lease, database_now
from imports.models.account import BREAKER_OPENS_AT
from imports.usecases.accounts import STATUS_ONCE_IN_SECONDS, probe_account
from tests.factories import AccountFactory
from tests.fakes import FakeMarketingCloud

pytestmark = pytest.mark.django_db


def test_an_answer_closes_the_breaker(cloud: FakeMarketingCloud) -> None:
    account = AccountFactory.create(failures_in_row=BREAKER_OPENS_AT)
    assert probe_account(account=account)
    account.refresh_from_db()
    assert (account.failures_in_row, account.is_breaker_open) == (0, False)
    assert cloud.calls == {"check_connection": 1}


def test_a_probe_is_sent_once_a_minute_whether_it_fails_or_not(
    cloud: FakeMarketingCloud,
) -> None:
    account = AccountFactory.create(failures_in_row=BREAKER_OPENS_AT)
    cloud.fail("check_connection", UnavailableError("No."))
    with pytest.raises(UnavailableError):
        probe_account(account=account)
    assert not probe_account(account=account)
    assert cloud.calls == {"check_connection": 1}
    account.refresh_from_db()
    assert account.failures_in_row == BREAKER_OPENS_AT + 1
    left = Lease.objects.get().expires_at - database_now()
    assert STATUS_ONCE_IN_SECONDS - 5 < left.total_seconds() <= STATUS_ONCE_IN_SECONDS
