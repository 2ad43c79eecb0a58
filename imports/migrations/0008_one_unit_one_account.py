from collections import Counter
from uuid import UUID

from django.db import migrations, models

ACTIVE = ("queued", "running", "starting", "unknown")


def name_units(apps, schema_editor):
    """Say of each account which business unit it is. What is doubled already is
    marked, which the constraint lets pass; its starts are refused from now on.
    """
    Account = apps.get_model("imports", "Account")
    units = {account.pk: unit_of(account) for account in Account.objects.all()}
    active = Account.objects.filter(is_active=True).values_list("pk", flat=True)
    taken = Counter(units[pk] for pk in active)
    for account in Account.objects.all():
        unit = units[account.pk]
        doubled = account.is_active and unit is not None and taken[unit] > 1
        Account.objects.filter(pk=account.pk).update(unit=unit, is_doubled=doubled)


def unit_of(account):
    mid = account.mid.strip()
    if mid:
        return str(int(mid)) if mid.isdecimal() else mid
    is_oauth = account.auth_kind == "oauth"
    name = (account.client_id if is_oauth else account.username).strip().casefold()
    return f"{account.auth_kind}:{name}" if name else None


def guard_runs(apps, schema_editor):
    """Guard what is under way; of two that are the same, the first."""
    ImportRun = apps.get_model("imports", "ImportRun")
    active = ImportRun.objects.filter(status__in=ACTIVE).exclude(origin="outside")
    guarded = set()
    for run in active.exclude(definition=None).select_related("definition__account"):
        guard = guard_of(run.definition)
        if guard not in guarded:
            guarded.add(guard)
            ImportRun.objects.filter(pk=run.pk).update(guard=guard)


def guard_of(definition):
    object_id = definition.object_id or ""
    try:
        number = UUID(object_id)
    except ValueError:
        number = None
    if number and number.int:
        return f"object:{number}"
    account = definition.account
    unit = account.unit or f"account:{account.pk}"
    return f"{unit}:{object_id or definition.key_digest}"


class Migration(migrations.Migration):

    dependencies = [
        ("imports", "0007_who_looks_at_runs"),
    ]

    operations = [
        migrations.AddField(
            model_name="account",
            name="unit",
            field=models.CharField(editable=False, max_length=220, null=True, verbose_name="business unit"),
        ),
        migrations.AddField(
            model_name="account",
            name="learned_unit",
            field=models.CharField(editable=False, max_length=220, null=True),
        ),
        migrations.AddField(
            model_name="account",
            name="is_doubled",
            field=models.BooleanField(db_default=False, default=False, editable=False),
        ),
        migrations.AddField(
            model_name="importrun",
            name="guard",
            field=models.TextField(editable=False, null=True),
        ),
        migrations.AlterField(
            model_name="importrun",
            name="error_kind",
            field=models.CharField(blank=True, choices=[('', '–'), ('credentials_refused', 'Credentials refused'), ('refused', 'Refused by Marketing Cloud'), ('unavailable', 'Not reached, nothing sent'), ('expired', 'Queued too long'), ('held_up', 'Held up before sending'), ('paused', 'Starts are paused'), ('doubled', 'Business unit is two accounts'), ('not_answering', 'Account does not answer'), ('stopped', 'Worker stopped before sending'), ('no_trace', 'No trace found'), ('no_answer', 'Sent, no readable answer'), ('lease_over', 'Worker vanished while sending'), ('too_old', 'No final phase for 24 hours')], max_length=20),
        ),
        # before the rows are filled: PostgreSQL changes no table with pending rows
        migrations.AddConstraint(
            model_name="account",
            constraint=models.UniqueConstraint(condition=models.Q(("is_active", True), ("is_doubled", False)), fields=("unit",), name="account_unit_once"),
        ),
        migrations.AddConstraint(
            model_name="importrun",
            constraint=models.UniqueConstraint(condition=models.Q(("status__in", ["queued", "running", "starting", "unknown"]), models.Q(("origin", "outside"), _negated=True)), fields=("guard",), name="run_one_active_in_unit"),
        ),
        migrations.RunPython(name_units, migrations.RunPython.noop),
        migrations.RunPython(guard_runs, migrations.RunPython.noop),
    ]
