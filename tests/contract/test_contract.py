"""One contract, held by the fake and by client + sandbox alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial

import pytest

from imports.marketingcloud.dates import read_time
from imports.marketingcloud.errors import (
    AuthenticationError,
    RequestRefusedError,
    UnavailableError,
)
from imports.marketingcloud.records import DefinitionRecord, ImportResult
from tests.contract.sides import (
    COMPLETES,
    ENDS_FAILED,
    ENDS_WITH_ERRORS,
    IS_REFUSED,
    KEYS,
    Side,
    fake_side,
    sandbox_side,
)

SIDES: dict[str, Callable[[], AbstractContextManager[Side]]] = {
    "fake": fake_side,
    "sandbox, OAuth": sandbox_side,
    "sandbox, UsernameToken": partial(sandbox_side, username_token=True),
}
UNKNOWN_TASK = "7"


@pytest.fixture(params=list(SIDES))
def side(request: pytest.FixtureRequest) -> Iterator[Side]:
    with SIDES[request.param]() as side:
        yield side


def start(side: Side, key: str = COMPLETES) -> str:
    return side.client.start_definition(customer_key=key).task_id


def row_of(side: Side, task_id: str) -> ImportResult:
    (row,) = side.client.results_of_tasks([task_id]).results
    return row


def test_a_start_gives_a_task_id_and_says_so_in_words(side: Side) -> None:
    started = side.client.start_definition(customer_key=COMPLETES)
    assert started.task_id.isdecimal()
    assert started.status_code == "OK"
    assert started.status_message == (
        f"ImportDefinition performed AsyncID:{started.task_id}"
    )
    assert started.request_id
    assert started.error_code is None
    assert started.contradiction is None
    assert side.performed() == [COMPLETES]


def test_each_start_is_another_task(side: Side) -> None:
    one, two = start(side), start(side)
    assert int(two) > int(one)
    assert side.performed() == [COMPLETES] * 2


def test_a_definition_without_a_key_is_started_by_its_object_id(side: Side) -> None:
    object_id = listed(side)[COMPLETES].object_id
    started = side.client.start_definition(customer_key="", object_id=object_id)
    side.wait()
    assert row_of(side, started.task_id).customer_key == COMPLETES


def test_a_task_walks_to_completed_with_counts(side: Side) -> None:
    task_id, phases, totals = start(side), [], []
    for _ in range(4):
        side.wait()
        row = row_of(side, task_id)
        phases.append(row.phase)
        totals.append(row.total_rows or 0)
    assert phases == ["New", "Processing", "IOWork", "Completed"]
    assert totals[0] == 0 < totals[1] <= totals[2] <= totals[3]
    assert row.errors == 0
    assert row.successful is not None
    assert row.duplicated is not None
    assert row.successful + row.duplicated == row.total_rows


def test_a_task_may_end_with_errors_counted(side: Side) -> None:
    task_id = start(side, ENDS_WITH_ERRORS)
    side.finish()
    row = row_of(side, task_id)
    assert (row.phase, (row.errors or 0) > 0) == ("Completed", True)
    counts = (row.successful or 0) + (row.duplicated or 0) + (row.errors or 0)
    assert counts == row.total_rows


def test_a_task_that_fails_has_no_counts(side: Side) -> None:
    task_id = start(side, ENDS_FAILED)
    side.finish()
    row = row_of(side, task_id)
    assert row.phase == "Error"
    assert row.total_rows is row.successful is row.duplicated is row.errors is None


def test_no_row_yet_is_a_normal_answer(side: Side) -> None:
    task_id = start(side)
    assert side.client.results_of_tasks([task_id]).results == ()
    assert side.client.results_of_definitions([COMPLETES]).results == ()
    side.wait()
    assert row_of(side, task_id).task_id == task_id


def test_a_task_that_never_was_has_no_row(side: Side) -> None:
    assert side.client.results_of_tasks([UNKNOWN_TASK]).results == ()


def test_rows_have_the_same_shape(side: Side) -> None:
    task_id = start(side)
    side.wait()
    new = row_of(side, task_id)
    assert new.customer_key == COMPLETES
    assert new.import_type == "Data Extensions"
    assert new.destination_id == "customers"
    assert new.object_id
    assert (new.successful, new.duplicated, new.errors) == (None, None, None)
    for _ in range(3):
        side.wait()
    ended = row_of(side, task_id)
    began = read_time(ended.start_text, offset_minutes=-360)
    done = read_time(ended.end_text, offset_minutes=-360)
    assert began
    assert done
    assert began < done
    assert (new.start_text, new.end_text) == (ended.start_text, "")


def test_an_unknown_key_is_refused_and_nothing_starts(side: Side) -> None:
    with pytest.raises(RequestRefusedError, match="not found: no-such-key") as caught:
        side.client.start_definition(customer_key="no-such-key")
    assert caught.value.code == "43010"
    assert caught.value.request_id
    assert side.performed() == []


def test_a_refused_definition_is_refused_in_words(side: Side) -> None:
    with pytest.raises(RequestRefusedError, match="no longer active") as caught:
        side.client.start_definition(customer_key=IS_REFUSED)
    assert caught.value.code == "43060"
    assert side.performed() == []


def test_a_start_that_comes_too_late_sends_nothing(side: Side) -> None:
    with pytest.raises(UnavailableError):
        side.client.start_definition(
            customer_key=COMPLETES, send_before=time.monotonic() - 0.01
        )
    assert side.performed() == []


def test_a_start_in_time_is_sent(side: Side) -> None:
    side.client.start_definition(
        customer_key=COMPLETES, send_before=time.monotonic() + 60
    )
    assert side.performed() == [COMPLETES]


def test_results_of_a_definition_are_all_its_tasks(side: Side) -> None:
    tasks = {start(side) for _ in range(3)}
    start(side, ENDS_WITH_ERRORS)
    side.wait()
    rows = side.client.results_of_definitions([COMPLETES]).results
    assert {row.task_id for row in rows} == tasks


def test_all_results_are_those_of_every_definition(side: Side) -> None:
    tasks = {start(side, key) for key in (COMPLETES, ENDS_WITH_ERRORS)}
    side.wait()
    answer = side.client.all_results()
    assert tasks <= {row.task_id for row in answer.results}
    assert answer.takes_in is None


def test_results_of_several_definitions_come_together(side: Side) -> None:
    tasks = {start(side, key) for key in (COMPLETES, ENDS_WITH_ERRORS)}
    side.wait()
    answer = side.client.results_of_definitions([COMPLETES, ENDS_WITH_ERRORS])
    assert {row.task_id for row in answer.results} == tasks
    assert answer.takes_in is True


def test_one_task_is_asked_for_by_equals_and_teaches_nothing(side: Side) -> None:
    task_id = start(side)
    side.wait()
    answer = side.client.results_of_tasks([task_id, task_id])
    assert [row.task_id for row in answer.results] == [task_id]
    assert answer.takes_in is None
    assert answer.refused_properties == ()


@pytest.mark.parametrize("takes_in", [True, False])
def test_many_tasks_are_found_with_in_and_without(side: Side, takes_in: bool) -> None:
    tasks = [start(side) for _ in range(3)]
    side.wait()
    if not takes_in:
        side.refuse_in()
    answer = side.client.results_of_tasks([*tasks, UNKNOWN_TASK])
    assert sorted(row.task_id for row in answer.results) == sorted(tasks)
    assert answer.takes_in is takes_in


def test_nothing_asked_is_nothing_answered(side: Side) -> None:
    for answer in (
        side.client.results_of_tasks([]),
        side.client.results_of_definitions([]),
    ):
        assert (answer.results, answer.takes_in) == ((), None)


def listed(side: Side) -> dict[str, DefinitionRecord]:
    found = side.client.list_definitions().definitions
    return {one.customer_key: one for one in found if one.customer_key in KEYS}


def test_definitions_are_listed_with_the_same_fields(side: Side) -> None:
    found = listed(side)
    assert set(found) == set(KEYS)
    for one in found.values():
        assert one.object_id
        assert one.name
        assert "%%Year%%" in one.file_spec
        assert one.update_type
        assert one.facts["CustomerKey"] == one.customer_key
        assert one.facts["ObjectID"] == one.object_id
        assert one.facts["FileSpec"] == one.file_spec
        assert one.facts["MaxFileAge"] == "0"


@pytest.mark.parametrize("takes_in", [True, False])
def test_a_definition_that_is_not_listed_is_found_by_its_names(
    side: Side, takes_in: bool
) -> None:
    if not takes_in:
        side.refuse_in()
    before = listed(side)
    side.unlist(COMPLETES)
    assert COMPLETES not in listed(side)
    nobody = "00000000-0000-0000-0000-00000000dead"
    by_key = (nobody, COMPLETES)
    by_id = (before[ENDS_FAILED].object_id, "another key by now")
    found = side.client.find_definitions([by_key, by_id, (None, "no such key")])
    assert {one.customer_key: one for one in found.definitions} == {
        key: before[key] for key in (COMPLETES, ENDS_FAILED)
    }
    assert found.is_whole


def test_listing_refuses_nothing_where_all_may_be_asked(side: Side) -> None:
    assert side.client.list_definitions().refused_properties == ()


def test_a_refused_property_is_left_out_and_told(side: Side) -> None:
    side.refuse_property("ImportDefinition:MaxFileAge")
    answer = side.client.list_definitions()
    assert answer.refused_properties == ("ImportDefinition:MaxFileAge",)
    assert len(answer.definitions) >= len(KEYS)
    assert all("MaxFileAge" not in one.facts for one in answer.definitions)


def test_a_connection_is_checked(side: Side) -> None:
    side.client.authenticate()
    report = side.client.check_connection()
    assert report.system_status == "OK"
    assert report.system_message


@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.check_connection(),
        lambda client: client.list_definitions(),
        lambda client: client.start_definition(customer_key=COMPLETES),
        lambda client: client.results_of_tasks([UNKNOWN_TASK]),
        lambda client: client.results_of_definitions([COMPLETES]),
    ],
    ids=["check", "list", "start", "tasks", "definitions"],
)
def test_wrong_credentials_are_refused_whatever_is_asked(
    side: Side, ask: Callable[[object], object]
) -> None:
    with pytest.raises(AuthenticationError):
        ask(side.stranger)
    assert side.performed() == []
