"""Perform, and how a task walks from New to its end."""

from __future__ import annotations

import pytest

from imports.sandbox.server import SandboxServer
from imports.sandbox.world import World
from tests.sandbox.conftest import API, SUMMARY, Caller, TurnedClock

COUNTS = ("TotalRows", "NumberSuccessful", "NumberDuplicated", "NumberErrors")


def walk(
    caller: Caller, clock: TurnedClock, task_id: str, *seconds: float
) -> list[dict[str, str | None]]:
    """The task's row after each further number of seconds."""
    rows = []
    for step in seconds:
        clock.turn(step)
        rows += caller.results(task_id)
    return rows


def test_perform_answers_with_the_shape_of_the_vendors_sample(caller: Caller) -> None:
    answer = caller.perform("customers-daily")
    task_id = answer.root.findtext(f".//{{{API}}}Task/{{{API}}}ID")
    assert answer.status == 200
    assert answer.find("StatusMessage") == (
        f"ImportDefinition performed AsyncID:{task_id}"
    )
    assert answer.find("ErrorCode") is None
    assert answer.find("OverallStatus") == "OK"
    assert answer.find("OverallStatusMessage") == ""
    assert answer.find("RequestID")


def test_task_has_no_row_at_first_and_then_walks_to_completed(
    caller: Caller, clock: TurnedClock
) -> None:
    task_id = caller.start("customers-daily")
    assert caller.results(task_id) == []
    rows = walk(caller, clock, task_id, 1, 2, 4, 2, 1, 500)
    phases = [row["ImportStatus"] for row in rows]
    assert phases == ["New", "Processing", "IOWork", "IOWork"] + ["Completed"] * 2
    assert not set(COUNTS) & set(rows[0])
    assert rows[4] == rows[5]


def test_counts_grow_and_add_up_at_the_end(caller: Caller, clock: TurnedClock) -> None:
    task_id = caller.start("customer-consents-daily")
    rows = walk(caller, clock, task_id, 2, 2, 2, 2, 2)
    totals = [int(row["TotalRows"] or 0) for row in rows]
    good = [int(row["NumberSuccessful"] or 0) for row in rows]
    assert totals == sorted(totals)
    assert good == sorted(set(good))
    total, *parts = (int(rows[-1][name] or 0) for name in COUNTS)
    assert total == sum(parts)
    assert 35_000 < total < 42_000


def test_consents_complete_with_errors_counted(
    caller: Caller, clock: TurnedClock
) -> None:
    task_id = caller.start("customer-consents-daily")
    (row,) = walk(caller, clock, task_id, 10)
    assert row["ImportStatus"] == "Completed"
    assert int(row["NumberErrors"] or 0) > 0


def test_price_list_fails_without_any_count(caller: Caller, clock: TurnedClock) -> None:
    task_id = caller.start("price-list-full")
    (row,) = walk(caller, clock, task_id, 10)
    assert row["ImportStatus"] == "Error"
    assert not set(COUNTS) & set(row)
    assert row["EndDate"]


def test_birthday_club_completes_with_counts_of_zero(
    caller: Caller, clock: TurnedClock
) -> None:
    task_id = caller.start("birthday-club-weekly")
    (row,) = walk(caller, clock, task_id, 10)
    assert [row[name] for name in COUNTS] == ["0"] * 4
    assert row["ImportStatus"] == "Completed"


def test_product_catalogue_takes_ten_times_the_pace(
    caller: Caller, clock: TurnedClock
) -> None:
    task_id = caller.start("product-catalogue-full")
    rows = walk(caller, clock, task_id, 99, 1)
    assert [row["ImportStatus"] for row in rows] == ["IOWork", "Completed"]


@pytest.mark.parametrize(
    ("key", "code"),
    [("outlet-stock-nightly", "43060"), ("no-such-key", "43010"), (None, "43000")],
)
def test_refused_start_is_a_result_with_http_200_and_no_task(
    caller: Caller, server: SandboxServer, key: str | None, code: str
) -> None:
    answer = caller.perform(key)
    assert answer.status == 200
    assert (answer.find("StatusCode"), answer.find("ErrorCode")) == ("Error", code)
    assert answer.find("OverallStatus") == "Error"
    assert answer.root.find(f".//{{{API}}}Task/{{{API}}}ID") is None
    assert server.world.performed() == []


def test_other_actions_than_start_are_refused(caller: Caller) -> None:
    assert caller.perform("customers-daily", action="Start").find("StatusCode") == "OK"
    assert caller.perform("customers-daily", action="stop").find("ErrorCode") == "5"


def test_definition_without_a_key_starts_by_its_object_id(
    caller: Caller, server: SandboxServer, clock: TurnedClock
) -> None:
    (legacy,) = [
        one for one in server.world.definitions([510001]) if one.customer_key is None
    ]
    assert caller.perform(object_id=legacy.object_id).find("OverallStatus") == "OK"
    line = server.world.performed()[0]
    assert (line["customer_key"], line["identified_by"]) == (None, "ObjectID")
    clock.turn(10)
    (row,) = caller.results(str(line["task_id"]))
    assert "ImportDefinitionCustomerKey" not in row


def test_mixed_batch_has_errors_and_starts_the_good_one(caller: Caller) -> None:
    one = '<Definition xsi:type="ImportDefinition"><CustomerKey>{}</CustomerKey>'
    definitions = "</Definition>".join(
        [one.format("customers-daily"), one.format("nowhere"), ""]
    )
    answer = caller.soap(
        "Perform",
        f'<PerformRequestMsg xmlns="{API}"><Action>start</Action><Definitions>'
        f"{definitions}</Definitions></PerformRequestMsg>",
    )
    assert answer.find("OverallStatus") == "Has Errors"
    assert len(caller.server.world.performed()) == 1


def test_each_perform_is_a_task_of_its_own(caller: Caller) -> None:
    ids = [caller.start("customers-daily") for _ in range(3)]
    assert len(set(ids)) == 3


def test_dates_are_us_text_of_the_vendors_clock(
    caller: Caller, clock: TurnedClock
) -> None:
    task_id = caller.start("customers-daily")
    (row,) = walk(caller, clock, task_id, 12)
    assert row["StartDate"] == "3/18/2026 6:00:00 AM"
    assert row["EndDate"] == "3/18/2026 6:00:10 AM"


def test_list_has_its_number_and_data_extension_its_key_as_destination(
    caller: Caller, clock: TurnedClock
) -> None:
    ids = [caller.start(f"newsletter-{k}-daily") for k in ("subscribers",)]
    ids += [caller.start("vouchers-daily"), caller.start("sms-opt-ins-daily")]
    clock.turn(10)
    rows = {row["TaskResultID"]: row for row in caller.results(*ids)}
    kinds = [(rows[i]["ImportType"], rows[i].get("DestinationID")) for i in ids]
    assert kinds == [
        ("Subscriber List", "1942714"),
        ("Data Extensions", "vouchers"),
        ("SMS", None),
    ]


def test_start_outside_is_seen_by_retrieve_and_is_no_perform(
    caller: Caller, server: SandboxServer, clock: TurnedClock
) -> None:
    task = server.world.start_outside("Nordlicht DE", "returns-daily")
    clock.turn(1)
    where = ("ImportDefinitionCustomerKey", "equals", ["returns-daily"])
    rows = caller.retrieve("ImportResultsSummary", SUMMARY, where=where).rows
    assert str(task.task_id) in {row["TaskResultID"] for row in rows}
    assert server.world.performed() == []
    assert [line["origin"] for line in server.world.performed("outside")] == ["outside"]


def test_task_ids_stay_apart_when_starts_outnumber_the_seconds() -> None:
    world = World(clock=TurnedClock())
    definition = world.find(510001, customer_key="customers-daily")
    assert definition
    ids = {world.start(definition, "perform", 0).task_id for _ in range(2000)}
    scheduled = {task.task_id for task in world.tasks([510001, 510002])} - ids
    assert len(ids) == 2000
    assert len(scheduled) > 1000
