"""Judge what is stored as new rows are judged: completed runs by all their counts, and
dates by whether they can be true. Rows that are right already are not touched.

A history may have millions of runs, and workers go on while it is judged: each batch is
a transaction of its own, short enough to wait for. Interrupted, it is done again.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.db import migrations, transaction
from django.db.models import F, Max, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

CLOCKS_DIFFER = timedelta(minutes=5)
RUNS = 5000
STRIP_LENGTH = 20
ACTIVE = ("queued", "running", "starting", "unknown")


def judge(apps: Any, _schema_editor: Any) -> None:
    for runs in _batches(apps.get_model("imports", "ImportRun").objects, size=RUNS):
        with transaction.atomic():
            _judge_counts(runs)
            _judge_dates(runs, apps.get_model("imports", "RunEvent").objects)
    definitions = apps.get_model("imports", "ImportDefinition").objects
    for some in _batches(definitions.exclude(last_run=None), size=100):
        with transaction.atomic():
            # locked, since a worker may be drawing it as well
            for definition in some.select_for_update():
                _redraw(definition)
    _tell_pages(apps)


def _batches(rows: Any, *, size: int) -> Iterator[Any]:
    last = rows.aggregate(last=Max("pk"))["last"] or 0
    for start in range(0, last + 1, size):
        yield rows.filter(pk__gte=start, pk__lt=start + size)


def _judge_counts(runs: Any) -> None:
    """A run was green wherever no error was counted, rows missing or nothing known."""
    counted = F("successful") + Coalesce("duplicated", 0) + Coalesce("errors", 0)
    is_open = (
        Q(total_rows__gt=counted)
        | Q(errors=None) & (Q(total_rows=None) | Q(successful=None))
        | Q(errors=0, total_rows__gt=0, successful=None)
        | Q(successful__gt=F("total_rows"))
        | Q(duplicated__gt=F("total_rows"))
    )
    runs.filter(is_open, status="completed").update(status="completed_with_errors")


def _judge_dates(runs: Any, events: Any) -> None:
    """Marketing Cloud's dates were believed whatever they said."""
    first = events.filter(run=OuterRef("pk")).order_by("at").values("at")[:1]
    runs.filter(status="running", origin="outside").update(
        first_seen_at=Subquery(first)
    )
    latest = timezone.now() + CLOCKS_DIFFER
    before_send = F("sent_at") - CLOCKS_DIFFER
    for name in ("started_at", "finished_at"):
        is_wrong = Q(**{f"{name}__gt": latest}) | Q(**{f"{name}__lt": before_send})
        runs.filter(is_wrong).update(**{name: None})
    runs.filter(finished_at__lt=F("started_at")).update(finished_at=None)
    for name in ("settled_at", "occurred_at"):  # both came from those of outside
        runs.filter(**{f"{name}__gt": latest}).update(
            **{name: Coalesce(Subquery(first), "last_checked_at", Now())}
        )


def _redraw(definition: Any) -> None:
    """The last run and the strip, as the history has them now."""
    runs = definition.runs.order_by("-occurred_at", "-id")
    ends = list(runs.exclude(status__in=ACTIVE)[:STRIP_LENGTH])
    drawn = runs.values_list("pk", flat=True)[0], [_bar(run) for run in reversed(ends)]
    if drawn != (definition.last_run_id, definition.strip):
        definition.last_run_id, definition.strip = drawn
        definition.save(update_fields=["last_run", "strip"])


def _bar(run: Any) -> dict[str, Any]:
    bar = {
        "run": run.pk,
        "status": run.status,
        "rows": run.total_rows,
        "errors": run.errors,
        "at": run.occurred_at.isoformat(),
    }
    if run.status == "completed_with_errors" and not run.errors:
        bar["unaccounted"] = _unaccounted(run)
    return bar


def _unaccounted(run: Any) -> int | None:
    if run.total_rows is None or run.successful is None:
        return None
    if max(run.successful, run.duplicated or 0) > run.total_rows:
        return None
    return max(0, run.total_rows - run.successful - (run.duplicated or 0))


def _tell_pages(apps: Any) -> None:
    """Pages, and counts that are kept by an account's revision, are read anew."""
    counter = apps.get_model("imports", "Revision").objects.filter(pk=1)
    with transaction.atomic():
        if counter.update(number=F("number") + 1):
            number = counter.values_list("number", flat=True).get()
            apps.get_model("imports", "Account").objects.update(revision=number)


class Migration(migrations.Migration):
    atomic = False

    dependencies = (("imports", "0009_first_seen"),)

    operations = (migrations.RunPython(judge, migrations.RunPython.noop),)
