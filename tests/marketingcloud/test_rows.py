from __future__ import annotations

from typing import TypeVar

import pytest

from imports.marketingcloud.http import Answer
from imports.marketingcloud.parse import DEFINITIONS, RESULTS, Kind, read_message
from imports.marketingcloud.records import DefinitionRecord, ImportResult
from imports.marketingcloud.retrieve import Retriever
from tests.marketingcloud.wording import definition, result, retrieved

T = TypeVar("T")


def _read(kind: Kind[T], *rows: str) -> list[T]:
    body = retrieved(*rows).encode()
    message = read_message(Answer(status=200, body=body), "RetrieveResponseMsg")
    return Retriever(lambda *_: message, refused=(), takes_in=None).rows(kind).rows


def _definition(row: str) -> DefinitionRecord:
    [record] = _read(DEFINITIONS, row)
    return record


def _result(row: str) -> ImportResult:
    [record] = _read(RESULTS, row)
    return record


def test_a_definition_keeps_every_fact_under_its_requested_name() -> None:
    facts = {
        "ObjectID": "guid",
        "Description": " two  words ",
        "FileSpec": "c_%%Year%%.csv",
        "UpdateType": "Overwrite",
        "AllowErrors": "true",
    }
    record = _definition(
        definition(
            "customers-daily",
            **facts,
            DestinationObject__ObjectID="de-guid",
            DateFormattingLocale__LocaleCode="de-DE",
            IsPlatformObject="false",
        )
    )
    assert (record.customer_key, record.object_id) == ("customers-daily", "guid")
    assert (record.name, record.description) == ("N customers-daily", " two  words ")
    assert (record.file_spec, record.update_type) == ("c_%%Year%%.csv", "Overwrite")
    assert record.destination == "de-guid"
    assert record.facts == {
        **facts,
        "CustomerKey": "customers-daily",
        "Name": "N customers-daily",
        "DestinationObject.ObjectID": "de-guid",
        "DateFormattingLocale.LocaleCode": "de-DE",
    }


@pytest.mark.parametrize("inner", ["ID", "ClientID", "ClientID1"])
def test_the_business_unit_is_read_from_each_element_that_may_carry_it(
    inner: str,
) -> None:
    record = _definition(definition("a", **{f"Client__{inner}": "7206381"}))
    assert record.facts["Client.ClientID1"] == "7206381"


@pytest.mark.parametrize(
    ("row", "destination"),
    [
        (definition("a", DestinationObject__ID="1942713"), "1942713"),
        (
            '<Results><CustomerKey>a</CustomerKey><DestinationObject xsi:type="List">'
            "<ID>1942713</ID><ObjectID>guid</ObjectID></DestinationObject></Results>",
            "1942713",
        ),
        (
            "<Results><CustomerKey>a</CustomerKey><DestinationObject>"
            "<ID>0</ID><ObjectID>guid</ObjectID></DestinationObject></Results>",
            "guid",
        ),
        (
            "<Results><CustomerKey>a</CustomerKey><DestinationObject>"
            '<ID>5</ID><ObjectID xsi:nil="true"/></DestinationObject></Results>',
            "5",
        ),
        ("<Results><CustomerKey>a</CustomerKey><DestinationObject/></Results>", ""),
        (definition("a"), ""),
    ],
)
def test_the_destination_is_the_lists_id_or_the_data_extensions_object_id(
    row: str, destination: str
) -> None:
    assert _definition(row).destination == destination


@pytest.mark.parametrize(
    "row",
    [
        "<Results><CustomerKey>a</CustomerKey><Name>n</Name></Results>",
        "<Results><Name>n</Name><CustomerKey>a</CustomerKey></Results>",
        '<Results xsi:type="Newer"><x/><CustomerKey>a</CustomerKey><y><z>1</z></y>'
        "<Name>n</Name></Results>",
        '<Results xsi:type="q:Odd" xmlns:q="urn:q" xmlns="urn:other">'
        "<Name>n</Name><CustomerKey>a</CustomerKey></Results>",
        '<Results><PartnerKey xsi:nil="true"/><ObjectID xsi:nil="true"/>'
        "<!-- c --><CustomerKey>a</CustomerKey><?pi x?><Name>n</Name></Results>",
    ],
)
def test_unknown_elements_order_types_and_nils_do_not_hide_what_is_there(
    row: str,
) -> None:
    record = _definition(row)
    assert (record.customer_key, record.name, record.object_id) == ("a", "n", None)


def test_a_nested_name_is_not_taken_for_the_definitions_own() -> None:
    record = _definition(
        "<Results><DestinationObject><Name>of the list</Name><CustomerKey>no"
        "</CustomerKey></DestinationObject><CustomerKey>a</CustomerKey></Results>"
    )
    assert (record.customer_key, record.name) == ("a", "")


def test_a_definition_without_any_key_is_left_out_and_said_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rows = _read(DEFINITIONS, "<Results><Name>n</Name></Results>", definition("a"))
    assert [row.customer_key for row in rows] == ["a"]
    assert "without CustomerKey and ObjectID" in caplog.text


def test_a_result_keeps_the_vendors_texts_and_counts() -> None:
    record = _result(
        result(
            "129159023",
            ImportDefinitionCustomerKey="customers-daily",
            ImportStatus="IOWork",
            ImportType="Data Extensions",
            DestinationID="UsingAPI_For_Market2Lead_Key",
            ObjectID="guid",
            StartDate="10/27/2009 12:27:51 PM",
            EndDate="",
            TotalRows="412000",
            NumberSuccessful="411990",
            NumberDuplicated="0",
            NumberErrors="10",
        )
    )
    assert record == ImportResult(
        task_id="129159023",
        customer_key="customers-daily",
        phase="IOWork",
        import_type="Data Extensions",
        destination_id="UsingAPI_For_Market2Lead_Key",
        object_id="guid",
        start_text="10/27/2009 12:27:51 PM",
        end_text="",
        total_rows=412000,
        successful=411990,
        duplicated=0,
        errors=10,
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "-1",
        "+1",
        "1.5",
        "1,000",
        "1 000",
        "1e3",
        "many",
        "NaN",
        "٣",
        "2147483648",
    ],
)
def test_a_count_that_is_no_whole_number_is_unknown_and_never_0(text: str) -> None:
    record = _result(result("1", NumberErrors=text, TotalRows=f" {100} "))
    assert (record.errors, record.total_rows) == (None, 100)


def test_an_absent_or_nil_count_is_unknown() -> None:
    record = _result(
        '<Results><TaskResultID>1</TaskResultID><TotalRows xsi:nil="true"/></Results>'
    )
    assert record.total_rows is None
    assert record.errors is None


def test_a_result_without_a_task_is_left_out_and_said_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rows = _read(RESULTS, "<Results><ID>1</ID></Results>", result("2"))
    assert [row.task_id for row in rows] == ["2"]
    assert "without TaskResultID" in caplog.text
