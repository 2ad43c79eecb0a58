"""Judge what is stored as new rows are judged: completed runs by all their counts, and
dates by whether they can be true. Rows that are right already are not touched.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import migrations, models
from django.db.models import F, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

CLOCKS_DIFFER = timedelta(minutes=5)


def judge_counts(apps: Any, _schema_editor: Any) -> None:
    """A run was green wherever no error was counted, rows missing or nothing known."""
    runs = apps.get_model("imports", "ImportRun").objects
    counted = F("successful") + Coalesce("duplicated", 0) + Coalesce("errors", 0)
    is_open = (
        Q(total_rows__gt=counted)
        | Q(errors=None) & (Q(total_rows=None) | Q(successful=None))
        | Q(errors=0, total_rows__gt=0, successful=None)
        | Q(successful__gt=F("total_rows"))
        | Q(duplicated__gt=F("total_rows"))
    )
    wrong = runs.filter(is_open, status="completed")
    definitions = set(wrong.exclude(definition=None).values_list("definition"))
    accounts = {pk for (pk,) in set(wrong.values_list("account"))}
    wrong.update(status="completed_with_errors")
    for (pk,) in definitions:
        _redraw(apps.get_model("imports", "ImportDefinition").objects.get(pk=pk))
    # pages and counts that are kept by an account's revision are read anew
    for counter in apps.get_model("imports", "Revision").objects.filter(pk=1):
        counter.number += 1
        counter.save(update_fields=["number"])
        changed = apps.get_model("imports", "Account").objects.filter(pk__in=accounts)
        changed.update(revision=counter.number)


def _redraw(definition: Any) -> None:
    """Those bars of the strip that are another status now."""
    shown = [bar["run"] for bar in definition.strip]
    is_open = Q(status="completed_with_errors") & (Q(errors=None) | Q(errors=0))
    runs = {run.pk: run for run in definition.runs.filter(is_open, pk__in=shown)}
    for bar in definition.strip:
        if run := runs.get(bar["run"]):
            bar |= {"status": run.status, "unaccounted": _unaccounted(run)}
    definition.save(update_fields=["strip"])


def _unaccounted(run: Any) -> int | None:
    if run.total_rows is None or run.successful is None:
        return None
    if max(run.successful, run.duplicated or 0) > run.total_rows:
        return None
    return max(0, run.total_rows - run.successful - (run.duplicated or 0))


def judge_dates(apps: Any, _schema_editor: Any) -> None:
    """Marketing Cloud's dates were believed whatever they said."""
    runs = apps.get_model("imports", "ImportRun").objects
    events = apps.get_model("imports", "RunEvent").objects
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


class Migration(migrations.Migration):
    dependencies = (("imports", "0008_one_unit_one_account"),)

    operations = (
        migrations.AddField(
            model_name="importrun",
            name="first_seen_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.RunPython(judge_counts, migrations.RunPython.noop),
        migrations.RunPython(judge_dates, migrations.RunPython.noop),
    )
