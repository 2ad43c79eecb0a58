"""`start_import --wait` needs no worker: two processes, real HTTP and SOAP."""

from __future__ import annotations

import json
import re

import pytest

from tests.e2e.site import Site, wait_until

START = ("start_import", "Nordlicht DE", "customers-daily", "--wait")


@pytest.mark.slow
def test_a_waited_for_import_walks_through_its_phases_and_is_recorded(
    site: Site,
) -> None:
    site.start_sandbox("--pace", "3")
    site.prepare()
    done = site.manage(*START)
    assert (done.returncode, done.stderr) == (0, "")
    shown = re.findall(r"Run \d+  (\w+)(?:  (New|Processing|IOWork))?", done.stdout)
    statuses = list(dict.fromkeys(status for status, _phase in shown))
    assert statuses == ["Queued", "Running", "Completed"]
    assert {"New", "Processing", "IOWork"}.intersection(phase for _, phase in shown)
    (run,) = site.ours()
    (line,) = site.performed()
    assert (run["status"], run["phase"]) == ("completed", "Completed")
    assert run["task_id"] == str(line["task_id"])
    assert run["successful"] + run["duplicated"] == run["total_rows"] > 0
    assert run["started_by"] != ""


@pytest.mark.slow
def test_ctrl_c_before_anything_was_sent_cancels_the_run(site: Site) -> None:
    site.start_sandbox()
    site.prepare()
    site.must("sync_definitions")
    site.change("DELETE FROM imports_accounttoken")
    site.order(rule={"what": "hang", "operation": "token"})
    tokens = site.calls("token")
    waiting = site.start(*START)
    wait_until(lambda: site.calls("token") > tokens, "a token that hangs")
    waiting.interrupt()
    assert waiting.wait() == 130
    assert "Cancelled: nothing was sent." in waiting.said
    assert "Traceback" not in waiting.said
    assert [run["status"] for run in site.ours()] == ["cancelled"]
    assert site.performed() == []


@pytest.mark.slow
def test_json_from_a_process_is_one_document_on_stdout(site: Site) -> None:
    site.start_sandbox("--pace", "0.5")
    site.prepare()
    done = site.manage(
        "start_import", "Nordlicht DE", "customer-consents-daily", "--wait", "--json"
    )
    assert done.returncode == 5
    assert json.loads(done.stdout)["status"] == "completed_with_errors"
    assert done.stderr == ""


def test_a_database_that_was_never_migrated_is_a_sentence(site: Site) -> None:
    for file in site.folder.glob("mcdash.sqlite3*"):
        file.unlink()
    done = site.manage(*START, "--json")
    assert done.returncode == 1
    assert "was “manage.py migrate” run?" in json.loads(done.stdout)["error"]
    assert "Traceback" not in done.stderr
