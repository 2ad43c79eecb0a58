"""Whatever an address asks the administration for, it answers without an error."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.test import Client

from .test_pages import MODELS, fill

# Queries fail in the database itself here; PostgreSQL then ends the transaction.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.exhaustive]

HUGE = "9" * 40
LOOKUPS = (
    *(("exact", "abc"), ("exact", HUGE), ("exact", "a\x00b"), ("icontains", "a\x00b")),
    *(("regex", "("), ("iregex", "["), ("in", "abc"), ("in", HUGE), ("in", ",")),
    *(("range", "1"), ("range", "1,2,3"), ("range", f"{HUGE},{HUGE}")),
    *(("gte", HUGE), ("gte", "abc"), ("lt", ""), ("isnull", "x"), ("year", "0")),
    *(("year", HUGE), ("year", "abc"), ("week_day", "99999"), ("date", "0")),
    *(("time", "abc"), ("iso_year__in", "0,99999"), ("nonsense", "x"), ("0", "x")),
    *(("has_key", "a\x00b"), ("contained_by", "{")),
)
VALUES = (
    *("0", "-1", "1", HUGE, f"-{HUGE}", "abc", "", "(", "1,2", ",", "\x00", "a\x00b"),
    *("%", "\\", "'", "nan", "2026-13-99", "1" * 5000, "\udcff", "٣", "🙂", "None"),
)
OTHER = (
    *({"p": v} for v in VALUES),
    *({"o": v} for v in (*VALUES, "99", "-99", "1.-1.99", "1..2")),
    *({"q": v} for v in VALUES),
    *({"e": v} for v in ("1", "x")),
    *({"all": v} for v in ("", "1", "x")),
    *({"_popup": v} for v in ("1", "x")),
    *({"_to_field": v} for v in ("id", "password", "secret", "nonsense", "\x00")),
    *({"_facets": v} for v in ("True", "x")),
    *(
        {name: "1"}
        for name in ("nonsense", "__", "id__", "__id", "pk", "pk__in", "\x00")
    ),
    {"id__in": ",".join(map(str, range(2000)))},
    {"status__exact": "nonsense", "origin__exact": "\x00"},
)
WRONG_PKS = (
    *("0", "-1", HUGE, f"-{HUGE}", "abc", "x y", "1.5", "_00", "_", "__", "(", "%"),
    *("é", "1" * 5000, "_2F..", "\udcff", "٣", "\x01"),
)


def ask(client: Client, path: str, query: dict[str, Any] | None = None) -> int:
    """The status of the page, at the end of all redirects, which lead nowhere else."""
    encoded = {
        key.encode("utf-8", "surrogatepass"): value.encode("utf-8", "surrogatepass")
        for key, value in (query or {}).items()
    }
    address = quote(path.encode("utf-8", "surrogatepass"), safe="/")
    answer = client.get(f"{address}?{urlencode(encoded)}", follow=True)
    assert len(getattr(answer, "redirect_chain", [])) <= 2
    return answer.status_code


def fields_of(model: str) -> list[str]:
    """A field of each kind, and one of another model."""
    app, name = model.split("/")
    kind = apps.get_model(app, name)
    found = {type(field): field.name for field in kind._meta.concrete_fields}
    related = [f.name for f in kind._meta.concrete_fields if f.is_relation]
    many = [field.name for field in kind._meta.many_to_many]
    return [*found.values(), *(f"{name}__id" for name in related[:1]), *many[:1]]


@pytest.fixture
def patient(admin: Client) -> Client:
    """Answers 500 as a server does, instead of raising what went wrong."""
    fill()
    admin.raise_request_exception = False
    return admin


@pytest.mark.parametrize("model", MODELS)
def test_no_lookup_of_a_list_is_an_error_of_ours(patient: Client, model: str) -> None:
    queries = [
        {f"{field}__{lookup}": value}
        for field in fields_of(model)
        for lookup, value in LOOKUPS
    ]
    asked = {str(query): ask(patient, f"/admin/{model}/", query) for query in queries}
    assert {q: s for q, s in asked.items() if s not in (200, 400)} == {}


@pytest.mark.parametrize("model", MODELS)
def test_no_other_parameter_of_a_list_is_an_error_of_ours(
    patient: Client, model: str
) -> None:
    asked = {str(query): ask(patient, f"/admin/{model}/", query) for query in OTHER}
    assert {q: s for q, s in asked.items() if s not in (200, 400)} == {}


@pytest.mark.parametrize("model", MODELS)
def test_no_number_of_an_object_is_an_error_of_ours(
    patient: Client, model: str
) -> None:
    kind = ContentType.objects.get_by_natural_key(*model.split("/"))
    pages = [
        f"/admin/{model}/{pk}/{page}"
        for pk in WRONG_PKS
        for page in ("change/", "history/", "delete/", "password/")
    ]
    pages += [f"/admin/r/{kind.pk}/{pk}/" for pk in WRONG_PKS]
    pages += [f"/admin/r/{pk}/1/" for pk in WRONG_PKS]
    asked = {page: ask(patient, page) for page in pages}
    assert {p: s for p, s in asked.items() if s not in (200, 400, 403, 404)} == {}
