"""Odd contents over real HTTP: kept as text, or left out, never obeyed."""

from __future__ import annotations

from xml.sax.saxutils import escape

import pytest

from imports.marketingcloud.client import MarketingCloudClient
from imports.marketingcloud.dates import read_time
from imports.marketingcloud.errors import (
    AuthenticationError,
    RequestRefusedError,
    UnavailableError,
)
from tests.marketingcloud.conftest import MemoryTokens, oauth_client
from tests.marketingcloud.hostile.contents import (
    CONTENTS,
    DATES,
    INSTANCE_URLS,
    NO_TOKENS,
    ODD_TEXTS,
    TASK,
    json_answer,
    token_answer,
)
from tests.marketingcloud.playing import Stage, answer
from tests.marketingcloud.replies import soap_fault
from tests.marketingcloud.wording import (
    definition,
    fault,
    performed,
    refused,
    result,
    retrieved,
    started,
    system_status,
)


@pytest.mark.parametrize("name", CONTENTS)
def test_rows_are_read_as_the_table_says(
    stage: Stage, client: MarketingCloudClient, name: str
) -> None:
    content = CONTENTS[name]
    stage.plays(answer(retrieved(*content.rows)))
    found = client.results_of_tasks([TASK]).results
    assert len(found) == len(content.kept)
    for row, kept in zip(found, content.kept, strict=True):
        assert {field: getattr(row, field) for field in kept} == kept


def test_an_identity_that_no_index_could_hold_is_none(
    stage: Stage, client: MarketingCloudClient
) -> None:
    endless = "1" * 10_000
    stage.plays(
        answer(retrieved(result(endless), result("2" * 200))),
        answer(
            retrieved(
                definition("by-key", ObjectID=endless),
                definition("", ObjectID=endless),
            )
        ),
    )
    assert [row.task_id for row in client.all_results().results] == ["2" * 200]
    [found] = client.list_definitions().definitions
    assert (found.customer_key, found.object_id) == ("by-key", None)


@pytest.mark.parametrize("name", DATES)
def test_an_unreadable_date_is_no_moment(name: str) -> None:
    [row] = DATES[name].kept
    assert read_time(str(row["start_text"]), offset_minutes=-360) is None


@pytest.mark.parametrize("name", ODD_TEXTS)
def test_a_starts_odd_words_are_kept_as_text(
    stage: Stage, client: MarketingCloudClient, name: str
) -> None:
    words = f"AsyncID:{TASK} {ODD_TEXTS[name]}"
    usual = f"ImportDefinition performed AsyncID:{TASK}"
    stage.plays(answer(performed(started().replace(usual, escape(words)))))
    found = client.start_definition(customer_key="customers-daily")
    assert (found.task_id, found.status_message) == (TASK, words.strip())
    assert found.contradiction is None


@pytest.mark.parametrize("name", ODD_TEXTS)
def test_a_refusals_odd_words_are_quoted_on_one_line_without_control_characters(
    stage: Stage, client: MarketingCloudClient, name: str
) -> None:
    words = f"No: {ODD_TEXTS[name]}"
    for play in (
        answer(performed(refused(words, code=escape(words)))),
        soap_fault(fault("soap:Client", words)),
    ):
        stage.plays(play)
        with pytest.raises(RequestRefusedError, match="“No: ") as caught:
            client.start_definition(customer_key="customers-daily")
        _is_fit_for_a_person(caught.value)


def _is_fit_for_a_person(error: RequestRefusedError | AuthenticationError) -> None:
    for text in (error.message, str(error), error.code or ""):
        assert not any(_is_control(mark) for mark in text)
        assert len(text) < 700
        text.encode()


def _is_control(mark: str) -> bool:
    return ord(mark) < 0x20 or 0x7F <= ord(mark) < 0xA0


@pytest.mark.parametrize("name", NO_TOKENS)
def test_what_is_no_token_is_not_taken_for_one_and_nothing_is_performed(
    stage: Stage, name: str
) -> None:
    tokens = MemoryTokens(None)
    stage.plays(NO_TOKENS[name])
    with pytest.raises(UnavailableError, match="gave no access token"):
        oauth_client(stage, tokens).start_definition(customer_key="a")
    assert [one.path for one in stage.received] == ["/v2/token"]
    assert tokens.token is None


@pytest.mark.parametrize("words", ["nul \x00", "half \ud800", "red \x1b[31m", "\x9b"])
def test_what_the_token_address_says_is_fit_for_a_database_and_a_terminal(
    stage: Stage, words: str
) -> None:
    stage.plays(json_answer({"error": words, "error_description": f"No: {words}"}, 401))
    with pytest.raises(AuthenticationError, match="“No: ") as caught:
        oauth_client(stage, MemoryTokens(None)).authenticate()
    _is_fit_for_a_person(caught.value)


@pytest.mark.parametrize("name", INSTANCE_URLS)
def test_the_address_that_a_token_names_is_only_reported(
    stage: Stage, name: str
) -> None:
    named, reported = INSTANCE_URLS[name]
    stage.plays(token_answer(soap_instance_url=named), answer(system_status()))
    client = oauth_client(stage, MemoryTokens(None))
    assert client.check_connection().soap_instance_url == reported
    client.close()
    assert [one.path for one in stage.received] == ["/v2/token", "/Service.asmx"]
