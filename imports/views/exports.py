"""`/runs/export.csv` and `.json`: every run that the History's filters leave.

Any number of runs passes through here a batch at a time: memory does not grow, and
between two batches nothing is held open in the database. What a batch says is as it
was when that batch was read.

An export that breaks off is not taken for a whole one. JSON lacks its closing bracket
and the connection ends early; CSV ends in a line that says so.
"""

from __future__ import annotations

import csv
import json
import logging
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

from django.http import HttpResponse, StreamingHttpResponse
from django.utils import timezone
from django.views.decorators.http import require_GET

from imports.filters import RunFilter
from imports.models import FINISHED, Counts, ImportRun
from imports.templatetags.texts import visible
from imports.views.access import SignedInRequest, signed_in
from imports.views.cursors import batches
from imports.views.runs import order_of, problems_of

logger = logging.getLogger(__name__)

BATCH = 1000
# The columns and where they come from; docs/exports.md tells what they mean.
COLUMNS = {
    "id": "pk",
    "account": "account__name",
    "definition": "definition__name",
    "customer_key": "customer_key",
    "status": "status",
    "phase": "phase",
    "origin": "origin",
    "started_by": "started_by_name",
    "task_id": "task_id",
    "total_rows": "total_rows",
    "successful": "successful",
    "duplicated": "duplicated",
    "errors": "errors",
    "occurred_at": "occurred_at",
    "queued_at": "queued_at",
    "sent_at": "sent_at",
    "started_at": "started_at",
    "finished_at": "finished_at",
    "settled_at": "settled_at",
    "start_text": "start_text",
    "end_text": "end_text",
    "import_type": "import_type",
    "destination_id": "destination_id",
    "request_id": "request_id",
    "error_kind": "error_kind",
    "error_code": "error_code",
    "message": "message",
}
# Reckoned from the others.
UNACCOUNTED = "unaccounted_rows"
BROKEN_OFF = "INCOMPLETE: this export broke off after {} runs. Export again."
# Excel takes a CSV for UTF-8 only where it begins with this.
BYTE_ORDER_MARK = "\ufeff"

Row = dict[str, Any]
# The last four are wide letters, which Excel reads as the narrow ones.
_FORMULA = re.compile("[\t\r\n]|[\\s\u200c\u200d]*[=+\\-@\uff1d\uff0b\uff0d\uff20]")
# What could end a script element, should anybody put the text into a page.
_FOR_HTML = {ord(char): f"\\u{ord(char):04x}" for char in "<>&"}


@signed_in
@require_GET
def run_export(request: SignedInRequest, *, form: str) -> HttpResponse:
    """The runs of the page with the same address, all of them, in its order."""
    everything = ImportRun.objects.visible_to(request.user)
    found = RunFilter(request.GET, everything, request=request)
    if problems := problems_of(found):
        text = "\n".join(problems)
        return HttpResponse(text, status=400, content_type="text/plain; charset=utf-8")
    content_type, written = FORMS[form]
    order, many = order_of(found), found.are_many
    # it may take minutes: each batch asks again what the reader may see
    visible = found.qs.still_visible_to(request.user)
    runs = batches(visible, order, COLUMNS.values(), BATCH, are_many=many)
    name = f"mcdash-runs-{timezone.localdate().isoformat()}.{form}"
    response = StreamingHttpResponse(written(_rows(runs)), content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response  # type: ignore[return-value]  # both are HttpResponseBase


def _rows(found: Iterable[list[Row]]) -> Iterator[list[Row]]:
    """The batches with the columns' names; times as ISO 8601, always UTC."""
    for batch in found:
        yield [
            {name: _plain(row[path]) for name, path in COLUMNS.items()}
            | {UNACCOUNTED: _unaccounted(row)}
            for row in batch
        ]


def _unaccounted(row: Row) -> int | None:
    """As `ImportRun.unaccounted_rows`."""
    return Counts.read(row).unaccounted if row["status"] in FINISHED else None


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


class _Echo:
    """A file that gives back what is written to it."""

    def write(self, text: str) -> str:
        return text


def csv_lines(found: Iterable[list[Row]]) -> Iterator[str]:
    """Comma-separated, lines ended by CR LF, as RFC 4180 has it; see `cell`."""
    writer = csv.writer(_Echo())
    written = 0
    yield BYTE_ORDER_MARK + writer.writerow([*COLUMNS, UNACCOUNTED])
    try:
        for batch in found:
            yield "".join(writer.writerow(map(cell, row.values())) for row in batch)
            written += len(batch)
    except Exception:
        # the answer is under way, so that only its own text can still tell
        logger.exception("An export as CSV broke off after %d runs.", written)
        yield writer.writerow([BROKEN_OFF.format(f"{written:,}")])


def cell(value: Any) -> Any:
    """A text that a spreadsheet cannot take for a formula, and a terminal not for a
    command; numbers and what is unknown (an empty cell) as they are.
    """
    if not value or not isinstance(value, str):
        return value
    text = visible(value, kept="\t\r\n")
    return f"'{text}" if _FORMULA.match(text) else text


def json_lines(found: Iterable[list[Row]]) -> Iterator[str]:
    """One array, an object a line; unknown is null; ASCII alone."""
    between = "[\n"
    for batch in found:
        lines = (json.dumps(row).translate(_FOR_HTML) for row in batch)
        yield between + ",\n".join(lines)
        between = ",\n"
    yield "\n]\n" if between == ",\n" else "[]\n"


FORMS: dict[str, tuple[str, Callable[[Iterable[list[Row]]], Iterator[str]]]] = {
    "csv": ("text/csv; charset=utf-8", csv_lines),
    "json": ("application/json", json_lines),
}
