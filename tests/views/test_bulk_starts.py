"""Starting several: one question that names them all, each started once."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from imports.models import AccessLevel, Account, ImportDefinition, ImportRun, RunStatus
from tests.factories import (
    AccountFactory,
    ImportDefinitionFactory,
    ImportRunFactory,
    UserFactory,
    grant,
)

from .reading import (
    HTMX,
    a_worker_beats,
    client_of,
    content,
    reader,
    triggers,
    viewer,
    words,
)

pytestmark = pytest.mark.django_db
URL = "/definitions/start/"


@pytest.fixture
def account() -> Account:
    a_worker_beats()
    made: Account = AccountFactory.create(name="Nordlicht DE")
    return made


def define(account: Account, name: str, **facts: Any) -> ImportDefinition:
    made: ImportDefinition = ImportDefinitionFactory.create(
        account=account, name=name, **{"update_type": "AddAndUpdate"} | facts
    )
    return made


def ask(client: Client, *chosen: ImportDefinition, **options: Any) -> Any:
    return client.get(URL, {"definition": [one.pk for one in chosen]}, **options)


def form(response: Any) -> dict[str, Any]:
    """The hidden fields of the question, as a browser would send them."""
    page = content(response)
    batch = re.search(r'name="batch" value="([^"]+)"', page)
    assert batch
    chosen = re.findall(r'name="chosen" value="([^"]+)"', page)
    return {"batch": batch[1], "chosen": chosen}


def press(client: Client, response: Any, **options: Any) -> Any:
    return client.post(URL, form(response), **options)


def test_the_question_names_every_object_and_its_effect(account: Account) -> None:
    prices = define(
        account, "Prices", update_type="Overwrite", destination="price_list"
    )
    ImportRunFactory.create(definition=prices, completed=True, total_rows=412006)
    consents = define(AccountFactory.create(name="Nordlicht SE"), "Consents")
    client = reader(account, consents.account)
    answer = ask(client, prices, consents)
    seen = words(answer)
    assert answer.status_code == 200
    for text in (
        "Start 2 imports?",
        "1 of these overwrites every row in its destination.",
        "Prices",
        "Nordlicht DE",
        "Overwrite: replaces every row",
        "Last successful run: 412,006 rows",
        "Consents",
        "Nordlicht SE",
        "Add and update",
        "You can’t stop them from here.",
        "Start 2, replace rows",
    ):
        assert text in seen
    assert 'class="button danger"' in content(answer)
    assert ImportRun.objects.active().count() == 0


def test_where_nothing_is_replaced_the_question_is_calm(account: Account) -> None:
    answer = ask(reader(account), define(account, "Consents"))
    assert "No rows are replaced." in words(answer)
    assert "Start 1 import?" in words(answer)
    assert 'class="button primary"' in content(answer)


def test_with_a_script_the_question_is_a_dialog_with_cancel_in_focus(
    account: Account,
) -> None:
    answer = ask(reader(account), define(account, "Consents"), headers=HTMX)
    page = content(answer)
    assert page.strip().startswith("<dialog")
    assert "<html" not in page
    assert answer.headers["HX-Retarget"] == "#dialog-slot"
    assert re.search(r"data-dialog-close\s+data-focus autofocus>Cancel", page)
    assert "data-once" in page


def test_each_is_queued_once_in_one_batch(account: Account) -> None:
    other = AccountFactory.create()
    chosen = [define(account, "A"), define(account, "B"), define(other, "C")]
    client = reader(account, other)
    answer = press(client, ask(client, *chosen), headers=HTMX)
    assert answer.status_code == 200
    runs = ImportRun.objects.all()
    assert {run.definition for run in runs} == set(chosen)
    assert {run.status for run in runs} == {RunStatus.QUEUED}
    assert len({run.batch for run in runs}) == 1
    assert {run.started_by_name for run in runs} == {"Ana Ruiz"}


def test_where_all_went_well_a_toast_says_so_and_the_selection_is_cleared(
    account: Account,
) -> None:
    client = reader(account)
    question = ask(client, define(account, "A"), define(account, "B"))
    answer = press(client, question, headers=HTMX)
    page = content(answer)
    assert 'hx-swap-oob="beforeend:#toasts"' in page
    assert "<dialog" not in page
    assert "2 imports are queued." in words(answer)
    assert set(triggers(answer)) == {"mcdash:changed", "mcdash:several-started"}


def test_the_same_press_again_starts_nothing_twice(account: Account) -> None:
    client = reader(account)
    question = ask(client, define(account, "A"), define(account, "B"))
    first, second = press(client, question), press(client, question)
    assert ImportRun.objects.count() == 2
    assert words(first) == words(second)


def test_the_same_press_again_is_known_even_after_a_change(account: Account) -> None:
    client = reader(account)
    question = ask(client, define(account, "A"))
    press(client, question)
    ImportRun.objects.update(status=RunStatus.CANCELLED)
    ImportDefinition.objects.update(digest="f" * 64)
    again = press(client, question, headers=HTMX)
    assert ImportRun.objects.count() == 1
    assert "1 import is queued." in words(again)


def test_a_fresh_question_is_a_fresh_press(account: Account) -> None:
    client = reader(account)
    one = define(account, "A")
    batches = {form(ask(client, one))["batch"] for _ in range(3)}
    assert len(batches) == 3


def test_without_a_script_every_outcome_stands_on_a_page(account: Account) -> None:
    client = reader(account)
    chosen = [define(account, "A"), define(account, "B")]
    question = ask(client, *chosen)
    run = ImportRunFactory.create(definition=chosen[0], running=True)
    answer = press(client, question)
    seen = words(answer)
    assert answer.status_code == 200
    assert "1 started, 1 not" in seen
    assert f"run {run.pk} was started and is running" in seen
    new = ImportRun.objects.get(definition=chosen[1])
    assert f'href="/runs/{new.pk}/"' in content(answer)
    assert ImportRun.objects.count() == 2


def test_with_a_script_mixed_outcomes_stay_in_the_dialog(account: Account) -> None:
    client = reader(account)
    chosen = [define(account, "A"), define(account, "B")]
    question = ask(client, *chosen)
    ImportRunFactory.create(definition=chosen[0], running=True)
    answer = press(client, question, headers=HTMX)
    assert "<dialog" in content(answer)
    assert "1 started, 1 not" in words(answer)
    assert "mcdash:several-started" in triggers(answer)


def test_where_nothing_could_be_started_it_says_so_with_a_409(account: Account) -> None:
    client = reader(account)
    question = ask(client, define(account, "A"))
    Account.objects.update(starts_paused=True)
    answer = press(client, question)
    assert answer.status_code == 409
    assert "Nothing was started" in words(answer)
    assert "Starts are paused" in words(answer)


def test_what_changed_since_it_was_seen_is_asked_again_and_nothing_started(
    account: Account,
) -> None:
    client = reader(account)
    same, changed = define(account, "Same"), define(account, "Changed")
    question = ask(client, same, changed)
    changed.digest = "f" * 64
    changed.update_type = "Overwrite"
    changed.save()
    answer = press(client, question, headers=HTMX)
    assert answer.status_code == 409
    assert "“Changed” changed in Marketing Cloud while you were looking." in words(
        answer
    )
    assert "1 of these overwrites every row" in words(answer)
    assert ImportRun.objects.count() == 0
    assert press(client, answer).status_code == 200
    assert ImportRun.objects.count() == 2


@pytest.mark.parametrize(
    ("trouble", "sentence"),
    [
        ({"account__starts_paused": True}, "Starts are paused in this account"),
        ({"account__credentials_refused_at": timezone.now()}, "credentials"),
    ],
)
def test_what_cannot_be_started_now_is_named_and_left_out(
    account: Account, trouble: dict[str, Any], sentence: str
) -> None:
    good = define(account, "Good")
    bad: ImportDefinition = ImportDefinitionFactory.create(name="Bad", **trouble)
    client = reader(account, bad.account)
    answer = ask(client, good, bad)
    assert "Start 1 import?" in words(answer)
    assert sentence in words(answer).split("Not started now")[1]
    press(client, answer)
    assert [run.definition for run in ImportRun.objects.all()] == [good]


@pytest.mark.parametrize("mark", ["not_listed_since", "not_seen_since"])
def test_what_is_not_listed_is_started_with_a_warning(
    account: Account, mark: str
) -> None:
    good = define(account, "Good")
    unlisted = define(account, "Unlisted", **{mark: timezone.now()})
    client = reader(account)
    answer = ask(client, good, unlisted)
    assert "Start 2 imports?" in words(answer)
    assert words(answer).count("Marketing Cloud hasn’t listed it since") == 1
    assert "Marketing Cloud refuses the start and nothing runs." in words(answer)
    press(client, answer)
    assert ImportRun.objects.filter(definition=unlisted).exists()


def test_what_is_under_way_is_named_with_who_started_it(account: Account) -> None:
    busy = define(account, "Busy")
    ImportRunFactory.create(definition=busy, running=True, started_by_name="Tom")
    answer = ask(reader(account), busy)
    assert "It is already running, started by Tom." in words(answer)
    assert "Nothing to start" in words(answer)
    assert '<button class="button danger' not in content(answer)


def test_at_most_fifty_are_started_in_one_go(account: Account) -> None:
    chosen = [define(account, f"D{number}") for number in range(51)]
    client = reader(account)
    answer = ask(client, *chosen)
    assert answer.status_code == 400
    assert "You chose 51 definitions, but only 50" in words(answer)
    fields = {"batch": uuid.uuid4(), "chosen": [f"{c.pk}:{c.digest}" for c in chosen]}
    assert client.post(URL, fields).status_code == 400
    assert ImportRun.objects.count() == 0
    assert ask(client, *chosen[:50]).status_code == 200


def test_nothing_chosen_is_a_sentence(account: Account) -> None:
    client = reader(account)
    answer = client.get(URL)
    assert answer.status_code == 400
    assert "You didn’t choose a definition" in words(answer)
    dialog = client.get(URL, headers=HTMX)
    assert "<dialog" in content(dialog)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"batch": "x", "chosen": "1:" + "0" * 64},
        {"batch": str(uuid.uuid4())},
        {"batch": str(uuid.uuid4()), "chosen": "1"},
        {"batch": str(uuid.uuid4()), "chosen": "1:short"},
        {"batch": str(uuid.uuid4()), "chosen": "\x00"},
        {"batch": str(uuid.uuid4()), "chosen": "9" * 400 + ":" + "0" * 64},
        {"batch": "\x00", "chosen": "<script>"},
    ],
)
def test_a_form_that_is_not_complete_starts_nothing(
    account: Account, fields: dict[str, str]
) -> None:
    answer = reader(account).post(URL, fields)
    assert answer.status_code == 400
    assert "Something was missing, so nothing was started." in words(answer)
    assert ImportRun.objects.count() == 0


@pytest.mark.parametrize("text", ["x", "-1", "1.5", "", "\x00", "9" * 5000, "١", "1 "])
def test_what_is_no_id_is_a_404(account: Account, text: str) -> None:
    assert reader(account).get(URL, {"definition": text}).status_code == 404


def test_one_that_may_not_be_seen_makes_all_of_it_a_404(account: Account) -> None:
    mine, theirs = define(account, "Mine"), define(AccountFactory.create(), "Theirs")
    client = reader(account)
    assert ask(client, mine, theirs).status_code == 404
    chosen = [f"{one.pk}:{one.digest}" for one in (mine, theirs)]
    answer = client.post(URL, {"batch": uuid.uuid4(), "chosen": chosen})
    assert answer.status_code == 404
    assert ImportRun.objects.count() == 0


def test_who_may_only_look_is_refused_in_words_and_nothing_starts(
    account: Account,
) -> None:
    other = AccountFactory.create(name="Only to look at")
    person = UserFactory.create()
    grant(person, account, AccessLevel.START)
    grant(person, other, AccessLevel.VIEW)
    chosen = [define(account, "Mine"), define(other, "Theirs")]
    client = client_of(person)
    answer = ask(client, *chosen)
    assert answer.status_code == 403
    assert "You have view-only access to “Only to look at”" in words(answer)
    fields = [f"{one.pk}:{one.digest}" for one in chosen]
    sent = client.post(URL, {"batch": uuid.uuid4(), "chosen": fields})
    assert sent.status_code == 403
    assert ImportRun.objects.count() == 0
    assert ask(viewer(account), chosen[0]).status_code == 403


def test_names_are_shown_as_text(account: Account) -> None:
    evil = define(account, "<script>alert(1)</script>", destination="<img src=x>")
    client = reader(account)
    question = ask(client, evil)
    answer = press(client, question)
    for page in (content(question), content(answer)):
        assert "<script>alert" not in page
        assert "<img src=x" not in page


def test_the_question_takes_the_same_queries_for_two_and_for_twenty(
    account: Account,
) -> None:
    chosen = [define(account, f"D{number}") for number in range(20)]
    for one in chosen:
        ImportRunFactory.create(definition=one, completed=True)
    client = reader(account)

    def queries(number: int) -> int:
        with CaptureQueriesContext(connection) as found:
            assert ask(client, *chosen[:number]).status_code == 200
        return len(found)

    assert queries(2) == queries(20)


def test_other_methods_are_refused(account: Account) -> None:
    assert reader(account).delete(URL).status_code == 405
