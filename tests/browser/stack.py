"""mcdash as people meet it: sandbox, worker and web server, each a process of its own.

In earnest but for the addresses: DEBUG off, collected static files with hashed names
served by WhiteNoise, the Content-Security-Policy as shipped. Leaving a `Stack` ends
its processes by their ids.
"""

from __future__ import annotations

import json
import re
import secrets
import subprocess
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException

from tests.browser.people import ADMINISTRATOR, MARKETER, NEWCOMER, VIEWER
from tests.e2e.site import PYTHON, ROOT, Part, Site, wait_until

# An import is over when the worker looks for the second time at the latest; the slow
# one, ten times as long, is seen running by pages that ask every three seconds.
PACE_SECONDS = 0.5
SLOW = "product-catalogue-full"
# Runs of these never end: the first keeps pages asking every three seconds.
NEVER_ENDS = "customers-to-audience-copy"
NEVER_ENDS_EITHER = "returns-daily"


@dataclass(kw_only=True)
class Stack(Site):
    """One mcdash to be looked at with a browser."""

    pace_seconds: float = PACE_SECONDS
    history_days: int = 3
    web_port: int = 0
    web: Part | None = None
    worker: Part | None = None
    passwords: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.web_port}"

    def start_all(self) -> None:
        """All processes, accounts, definitions, history and people."""
        names = (MARKETER, VIEWER, NEWCOMER, ADMINISTRATOR)
        self.passwords = {name: secrets.token_urlsafe(9) for name in names}
        self.start_sandbox(
            *("--pace", str(self.pace_seconds)),
            *("--history-days", str(self.history_days)),
        )
        for key in (NEVER_ENDS, NEVER_ENDS_EITHER):
            self.order(rule={"what": "rows_never", "customer_key": key, "times": 1})
        self.fill()
        self.start_web()
        self.restart_worker()
        wait_until(self.serves, "the sign-in page", every_seconds=0.05)

    def fill(self) -> None:
        """Tables, static files, accounts, definitions, history and people."""
        done = subprocess.run(
            [PYTHON, "-m", "tests.browser.prepare", self.sandbox_url, NEVER_ENDS],
            input=json.dumps(self.passwords),
            cwd=ROOT,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode:
            raise AssertionError(f"{done.stdout}{done.stderr}")

    def start_web(self) -> None:
        """gunicorn, which takes a while until it serves."""
        self.web = self.start_program(
            "web",
            *("-m", "gunicorn", "mcdash.wsgi", "--no-control-socket"),
            *("--bind", "127.0.0.1:0", "--workers", "1"),
            *("--threads", "8", "--graceful-timeout", "1", "--log-level", "info"),
        )

    def serves(self) -> bool:
        """Whether the sign-in page is served."""
        assert self.web is not None
        if self.web.process.poll() is not None:
            raise AssertionError(self.web.said)
        told = re.search(r"Listening at: http://127\.0\.0\.1:(\d+)", self.web.said)
        self.web_port = int(told[1]) if told else 0
        return told is not None and answers(self.web_port)

    def said_by_web(self) -> str:
        """The last lines of the web server, tracebacks among them."""
        assert self.web is not None
        return "\n".join(self.web.said.splitlines()[-40:])

    def start_program(self, name: str, *arguments: str) -> Part:
        """Start Python with `arguments` and go on."""
        log = self.folder / f"{len(self.parts)}-{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [PYTHON, *arguments],
                cwd=ROOT,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.parts.append(Part(process=process, log=log))
        return self.parts[-1]

    def __exit__(self, *error: object) -> None:
        """gunicorn is asked, so that it ends its own children; the others are not."""
        if self.web is not None:
            self.web.process.terminate()
            try:
                self.web.wait(10)
            except subprocess.TimeoutExpired:
                self.web.kill()
        super().__exit__(*error)

    def restart_worker(self) -> None:
        """A worker, once it is heard of."""
        self.worker = self.start_worker()

    def stop_worker(self) -> None:
        """No worker any more, and none was heard of for a while."""
        assert self.worker is not None
        self.worker.kill()
        self.change("UPDATE imports_worker SET seen_at = '2020-01-01 00:00:00'")
        self.change("DELETE FROM imports_lease")
        self.worker = None

    def start_outside(self, customer_key: str, account: str = "Nordlicht DE") -> None:
        """Somebody starts a definition in Automation Studio; we hear of it."""
        self.order(start_outside={"account": account, "customer_key": customer_key})
        self.must("adopt_runs", account)

    def performed_of(self, customer_key: str) -> int:
        """How many Performs of ours the sandbox carried out for that definition."""
        lines = self.performed()
        return sum(line["customer_key"] == customer_key for line in lines)

    def starts_of(self, customer_key: str) -> int:
        """How often it was started, once that is settled: nothing waits to be sent
        and each run that was recorded was carried out.
        """
        sql = (
            "SELECT count(*) FROM imports_importrun WHERE origin != 'outside' "
            f"AND customer_key = '{customer_key}'"
        )
        wait_until(
            lambda: self.performed_of(customer_key) >= self.ask(sql)[0][0],
            f"as many Performs as runs of {customer_key}",
        )
        return self.performed_of(customer_key)

    def wait_for_end(self, customer_key: str) -> None:
        """Until the newest run of ours of that definition has ended."""
        sql = (
            "SELECT settled_at FROM imports_importrun WHERE origin != 'outside' "
            f"AND customer_key = '{customer_key}' ORDER BY id DESC LIMIT 1"
        )
        wait_until(lambda: self.ask(sql)[0][0], f"the end of {customer_key}")

    def wait_for_calm(self) -> None:
        """Until nothing is under way but what never ends."""
        sql = (
            "SELECT count(*) FROM imports_importrun "
            "WHERE status IN ('queued', 'starting', 'running') "
            f"AND customer_key NOT IN ('{NEVER_ENDS}', '{NEVER_ENDS_EITHER}')"
        )
        wait_until(lambda: self.ask(sql)[0][0] == 0, "calm")

    def definition(self, customer_key: str, account: str = "Nordlicht DE") -> int:
        """The id of a definition, for its address."""
        found: int = self.ask(
            "SELECT definition.id FROM imports_importdefinition definition "
            "JOIN imports_account account ON account.id = definition.account_id "
            f"WHERE account.name = '{account}' AND customer_key = '{customer_key}'"
        )[0][0]
        return found

    def last_run(self, status: str) -> int:
        """The id of the newest run of that status."""
        found: int = self.ask(
            "SELECT id FROM imports_importrun "
            f"WHERE status = '{status}' ORDER BY occurred_at DESC LIMIT 1"
        )[0][0]
        return found


def answers(port: int) -> bool:
    """Whether the sign-in page is served there."""
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/login/")
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
