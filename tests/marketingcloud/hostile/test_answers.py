"""Every broken or hostile answer, over real HTTP: to a start, a read, a token."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext

import pytest
from _pytest.mark import ParameterSet

from imports.marketingcloud.errors import MarketingCloudError
from tests.marketingcloud.conftest import MemoryTokens, oauth_client
from tests.marketingcloud.hostile.answers import ANSWERS, KEY, SOME
from tests.marketingcloud.hostile.endings import Case, End
from tests.marketingcloud.playing import Stage
from tests.marketingcloud.wording import performed, result, retrieved, started

PERFORMED = performed(started().replace("customers-daily", KEY))
RETRIEVED = retrieved(
    result("129159023", ImportDefinitionCustomerKey=KEY, NumberErrors="3")
)
TOKEN = json.dumps(
    {"access_token": "token-two", "expires_in": 1079, "scope": KEY}, ensure_ascii=False
)
SIGNING_IN = {n: case for n, case in ANSWERS.items() if case.signing_in}


def _others_rarely(names: Iterable[str]) -> list[ParameterSet]:
    """Some always, the others among the exhaustive tests. Starts meet all always."""
    rarely = pytest.mark.exhaustive
    return [pytest.param(n, marks=() if n in SOME else rarely) for n in names]


def _play(stage: Stage, case: Case, good: str) -> None:
    stage.plays(case.spoil(good, stage.url))


def _ends(end: End, words: str) -> AbstractContextManager[object]:
    return pytest.raises(end.error, match=words) if end.error else nullcontext()


def _nothing_further(stage: Stage, path: str) -> None:
    """One request was sent, and nothing that the answer named was asked for."""
    assert [one.path for one in stage.received] == [path]
    assert stage.fetched == []


@pytest.mark.parametrize("name", ANSWERS)
def test_a_start_ends_as_the_table_says_and_is_sent_once(
    stage: Stage, tokens: MemoryTokens, name: str
) -> None:
    case = ANSWERS[name]
    _play(stage, case, PERFORMED)
    client = oauth_client(stage, tokens, limits=case.limits)
    with _ends(case.starting, case.words):
        started = client.start_definition(customer_key=KEY)
        assert (started.task_id, started.contradiction) == ("129159023", None)
    _nothing_further(stage, "/Service.asmx")


@pytest.mark.parametrize("name", _others_rarely(ANSWERS))
def test_a_read_ends_as_the_table_says(
    stage: Stage, tokens: MemoryTokens, name: str
) -> None:
    case = ANSWERS[name]
    _play(stage, case, RETRIEVED)
    client = oauth_client(stage, tokens, limits=case.limits)
    with _ends(case.reading, case.words):
        [row] = client.results_of_tasks(["129159023"]).results
        assert (row.customer_key, row.errors) == (KEY, 3)
    client.close()
    _nothing_further(stage, "/Service.asmx")


@pytest.mark.parametrize("name", _others_rarely(SIGNING_IN))
def test_a_start_without_a_token_ends_as_the_table_says_with_no_perform_sent(
    stage: Stage, name: str
) -> None:
    case, tokens = SIGNING_IN[name], MemoryTokens(None)
    _play(stage, case, TOKEN)
    client = oauth_client(stage, tokens, limits=case.limits)
    if case.signing_in is End.READ:
        client.authenticate()
        assert tokens.token is not None
        assert tokens.token.value == "token-two"
    else:
        with pytest.raises(MarketingCloudError, match="gave no access token") as caught:
            client.start_definition(customer_key=KEY)
        assert case.signing_in is not None
        assert caught.type is case.signing_in.error
    _nothing_further(stage, "/v2/token")
