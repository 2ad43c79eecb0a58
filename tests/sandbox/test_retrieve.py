"""Retrieve: properties, filters, pages, errors in OverallStatus."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from imports.sandbox.catalogue import Catalogue
from imports.sandbox.nordlicht import API_USER, DE
from imports.sandbox.retrieve import DEFINITION_PROPERTIES
from imports.sandbox.server import SandboxServer
from imports.sandbox.world import World
from tests.sandbox.conftest import API, OUR_WSDL, SUMMARY, XSI, Caller, TurnedClock
from tests.sandbox.crowd import crowd


@pytest.fixture
def crowded(clock: TurnedClock) -> Iterator[Caller]:
    """Nordlicht DE with 23 plain definitions, ten a page."""
    catalogue = Catalogue(
        accounts=(DE,), users=(API_USER,), definitions=crowd(DE.mid, 23)
    )
    world = World(catalogue=catalogue, clock=clock)
    with SandboxServer(OUR_WSDL, world=world, page_size=10) as server:
        yield Caller(server).with_token()


def test_pages_are_chained_by_a_new_request_id_each(crowded: Caller) -> None:
    pages = [crowded.retrieve("ImportDefinition", ["CustomerKey"])]
    while pages[-1].find("OverallStatus") == "MoreDataAvailable":
        after = pages[-1].find("RequestID")
        pages.append(crowded.retrieve("ImportDefinition", [], after=after))
    assert [len(page.rows) for page in pages] == [10, 10, 3]
    assert len({page.find("RequestID") for page in pages}) == 3
    assert len({row["CustomerKey"] for page in pages for row in page.rows}) == 23
    assert pages[-1].find("OverallStatus") == "OK"


def test_unknown_continue_request_is_an_error(crowded: Caller) -> None:
    page = crowded.retrieve("ImportDefinition", ["Name"], after="0-0")
    assert (page.find("OverallStatus") or "").startswith("Error: ContinueRequest")


def test_batch_size_makes_the_first_page_smaller(crowded: Caller) -> None:
    small = crowded.retrieve(
        "ImportDefinition", ["Name"], rest="<Options><BatchSize>4</BatchSize></Options>"
    )
    assert (len(small.rows), small.find("OverallStatus")) == (4, "MoreDataAvailable")


def test_only_what_was_asked_for_comes_back_and_nil_keys_beside_it(
    caller: Caller,
) -> None:
    row = caller.retrieve("ImportDefinition", ["Name"]).rows[0]
    assert set(row) == {"PartnerKey", "ObjectID", "IsPlatformObject", "Name"}
    node = caller.retrieve("ImportDefinition", ["Name"]).root.find(
        f".//{{{API}}}Results"
    )
    assert node is not None
    assert node.get(f"{{{XSI}}}type") == "ImportDefinition"
    nil = node.find(f"{{{API}}}ObjectID")
    assert nil is not None
    assert nil.get(f"{{{XSI}}}nil") == "true"


def test_dotted_names_come_back_nested_and_typed(caller: Caller) -> None:
    answer = caller.retrieve(
        "ImportDefinition",
        ["DestinationObject.ID", "DestinationObject.ObjectID", "Client.ClientID1"],
        where=("CustomerKey", "equals", ["newsletter-subscribers-daily"]),
    )
    destination = answer.root.find(f".//{{{API}}}DestinationObject")
    assert destination is not None
    assert destination.get(f"{{{XSI}}}type") == "List"
    assert destination.findtext(f"{{{API}}}ID") == "1942714"
    assert answer.root.findtext(f".//{{{API}}}Client/{{{API}}}ID") == "510001"


@pytest.mark.parametrize(
    ("name", "value"),
    [("CustomerKey", "stores-weekly"), ("Name", "Stores weekly"), ("ObjectID", None)],
)
def test_definitions_are_found_by_key_name_or_object_id(
    caller: Caller, server: SandboxServer, name: str, value: str | None
) -> None:
    stores = server.world.find(510001, customer_key="stores-weekly")
    assert stores
    where = (name, "equals", [value or stores.object_id])
    found = caller.retrieve("ImportDefinition", ["FileSpec"], where=where)
    assert [row["FileSpec"] for row in found.rows] == ["stores_de.csv"]


def test_name_with_html_and_umlauts_survives_the_wire(caller: Caller) -> None:
    where = ("CustomerKey", "equals", ["kundinnen-grossstaedte"])
    (row,) = caller.retrieve("ImportDefinition", ["Name"], where=where).rows
    assert row["Name"] == 'Kundinnen & Kunden <b>Großstädte</b> "Süd"'


def test_every_property_of_the_vendors_program_is_answered(caller: Caller) -> None:
    answer = caller.retrieve("ImportDefinition", list(DEFINITION_PROPERTIES))
    assert answer.find("OverallStatus") == "OK"
    assert len(answer.rows) == 26


@pytest.mark.parametrize(
    ("object_type", "properties", "words"),
    [
        ("Importdefinition", ["Name"], "Error: Unable to find a handler for object "),
        ("ImportDefinition", ["Name", "FieldMaps"], "Error: The Request Property(s) "),
        ("ImportDefinition", ["name"], "Error: The Request Property(s) name"),
        ("ImportResultsSummary", ["CreatedDate"], "Error: The Request Property(s) "),
    ],
)
def test_unknown_names_are_refused_with_http_200(
    caller: Caller, object_type: str, properties: list[str], words: str
) -> None:
    answer = caller.retrieve(object_type, properties)
    assert answer.status == 200
    assert (answer.find("OverallStatus") or "").startswith(words)
    assert answer.rows == []


def test_results_are_found_by_one_task_by_many_and_by_key(
    caller: Caller, clock: TurnedClock
) -> None:
    ids = [caller.start("vouchers-daily"), caller.start("returns-daily")]
    clock.turn(5)
    assert {row["TaskResultID"] for row in caller.results(*ids)} == set(ids)
    where = ("TaskResultID", "equals", [ids[0]])
    one = caller.retrieve("ImportResultsSummary", SUMMARY, where=where)
    assert [row["TaskResultID"] for row in one.rows] == [ids[0]]
    where = ("ImportDefinitionCustomerKey", "equals", ["vouchers-daily"])
    of_key = caller.retrieve("ImportResultsSummary", SUMMARY, where=where)
    assert ids[0] in {row["TaskResultID"] for row in of_key.rows}
    assert {row["ImportDefinitionCustomerKey"] for row in of_key.rows} == {
        "vouchers-daily"
    }


def test_results_without_a_filter_are_the_accounts_whole_history(
    caller: Caller,
) -> None:
    answer = caller.retrieve("ImportResultsSummary", SUMMARY)
    assert 1_000 < len(answer.rows) < 2_000
    assert len({row["TaskResultID"] for row in answer.rows}) == len(answer.rows)


@pytest.mark.parametrize(
    ("where", "words"),
    [
        (("StartDate", "equals", ["x"]), "Error: Invalid column name 'StartDate'"),
        (("TaskResultID", "greaterThan", ["1"]), "Error: The operator greaterThan"),
        (("TaskResultID", "IN", []), "Error: The operator IN has a wrong value"),
    ],
)
def test_filters_that_the_object_does_not_know_are_refused(
    caller: Caller, where: tuple[str, str, list[str]], words: str
) -> None:
    answer = caller.retrieve("ImportResultsSummary", SUMMARY, where=where)
    assert (answer.find("OverallStatus") or "").startswith(words)
