"""A wrong setting stops the start with a sentence, never with a traceback."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from mcdash import environment, settings

ROOT = Path(__file__).resolve().parent.parent
KEY = Fernet.generate_key().decode()


def check(
    folder: Path, *options: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """`manage.py check` with these settings, and no others of ours."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MCDASH_", "DATABASE_URL", "DJANGO_"))
    }
    settings = {
        "MCDASH_SECRET_KEY": "k" * 50,
        "MCDASH_FIELD_KEYS": KEY,
        "MCDASH_DATA_DIR": str(folder),
    }
    return subprocess.run(
        [sys.executable, "manage.py", "check", *options],
        cwd=ROOT,
        env=inherited | settings | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_least_settings_start(tmp_path: Path) -> None:
    done = check(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_a_data_folder_that_is_not_there_is_made(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "var"
    assert check(folder).returncode == 0
    assert folder.is_dir()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("MCDASH_SECRET_KEY", "", "is not set"),
        ("MCDASH_FIELD_KEYS", "", "is not set"),
        ("MCDASH_FIELD_KEYS", "{key},short", "Key 2 of MCDASH_FIELD_KEYS"),
        ("MCDASH_DEBUG", "maybe", "must be 1 or 0"),
        ("MCDASH_ALLOW_LOOPBACK", "2", "must be 1 or 0"),
        ("MCDASH_DATA_DIR", "{folder}/a file/var", "cannot be made a folder"),
        ("DATABASE_URL", "mysql://user:pass@host/db", "sqlite:/// or postgresql://"),
        ("DATABASE_URL", "postgresql://user:pass@host:port/db", "is not an address"),
        ("DATABASE_URL", "sqlite:///{folder}/nowhere/db", "there is no folder"),
        ("DATABASE_URL", "sqlite:///{folder}", "is a folder, not a file"),
        ("DATABASE_URL", "sqlite://:memory:", "SQLite needs a file"),
        ("DATABASE_URL", "", "must start with sqlite:///"),
        ("DATABASE_URL", "$OTHER", "must start with sqlite:///"),
        ("DATABASE_URL", "postgresql://host", "names no database"),
        ("DATABASE_URL", "postgresql://host/db?foo=1", "does not know, among: foo"),
        ("MCDASH_DATA_DIR", "$HOME/var", "variables are not looked up"),
        ("MCDASH_DATA_DIR", "", "must be the whole name of a folder"),
        ("MCDASH_PROXY_URL", "foo", "must name a host and a port"),
        ("MCDASH_METRICS_TOKEN", "sixteen letters é", "without a blank"),
        ("MCDASH_FIELD_KEYS", "{key};{key}", "Key 1 of MCDASH_FIELD_KEYS"),
        ("MCDASH_TRUSTED_PROXIES", "127.0.0.1,proxy", "'proxy' is no address"),
        ("MCDASH_HOSTS", "a;b", "'a;b' is no name of a host"),
        ("MCDASH_HOSTS", "*", "'*' is no name of a host"),
        ("MCDASH_HOSTS", "https://a/mcdash", "a setting of its own: MCDASH_PATH"),
        ("MCDASH_TRUSTED_ORIGINS", "dash.example", "does not say how it is reached"),
        ("MCDASH_PATH", "/a b", "must be a path as in /mcdash"),
        ("MCDASH_ENDPOINT_HOSTS", "a.com;b.com", "is no name of a host"),
        ("MCDASH_FIELD_KEYS", " , ", "has no key in it"),
        ("MCDASH_CONNECT_TIMEOUT_SECONDS", "soon", "must be a whole number"),
        ("MCDASH_READ_TIMEOUT_SECONDS", "0", "must be a whole number"),
        ("MCDASH_CALL_DEADLINE_SECONDS", "-1", "must be a whole number"),
        ("MCDASH_MAX_ANSWER_MB", "1.5", "must be a whole number of MB from 1 to 1024"),
        ("MCDASH_START_EXPIRES_SECONDS", "", "must be a whole number"),
        ("MCDASH_START_LEASE_SECONDS", "604801", "must be a whole number"),
        ("MCDASH_UNKNOWN_GRACE_SECONDS", "ten", "must be a whole number"),
        ("MCDASH_LOG_FORMAT", "xml", "must be one of text, json, not 'xml'"),
        ("MCDASH_LOG_LEVEL", "LOUD", "must be one of DEBUG, INFO"),
        ("MCDASH_ACCESS_LOG", "all", "must be 1 or 0"),
        ("MCDASH_METRICS_TOKEN", "short", "at least 16 characters"),
        ("MCDASH_SIGN_IN_FAILURES", "0", "from 1 to 1000"),
        ("MCDASH_SIGN_IN_FAILURES_PER_ADDRESS", "4", "must not be less than"),
        ("MCDASH_SIGN_IN_COOL_OFF_SECONDS", "٣٠٠", "must be a whole number"),
        ("MCDASH_SESSION_IDLE_SECONDS", "60", "from 300 to 2592000"),
        ("MCDASH_SESSION_SECONDS", "3600", "must not be less than"),
        ("MCDASH_HSTS_SECONDS", "-1", "from 0 to 63072000"),
        ("MCDASH_HSTS_SUBDOMAINS", "all", "must be 1 or 0"),
        ("MCDASH_DATABASE_CONNECTIONS", "1", "from 2 to 1000"),
        ("MCDASH_PREPARED_STATEMENTS", "maybe", "must be 1 or 0"),
    ],
)
def test_a_wrong_setting_stops_the_start_with_a_sentence(
    tmp_path: Path, name: str, value: str, said: str
) -> None:
    (tmp_path / "a file").touch()
    done = check(tmp_path, **{name: value.format(folder=tmp_path, key=KEY)})
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("mcdash cannot start: ")
    assert line.endswith(".")
    assert name in line
    assert said in line


@pytest.mark.slow
def test_no_sentence_repeats_a_secret(tmp_path: Path) -> None:
    done = check(tmp_path, MCDASH_FIELD_KEYS="my-secret-but-no-fernet-key")
    assert "my-secret" not in done.stderr
    for name, value in (
        ("DATABASE_URL", "postgresql://user:my-secret@host:port/db"),
        ("DATABASE_URL", "postgresql://user:my-secret#@host:5432/db"),
        ("MCDASH_HOSTS", "https://user:my-secret@dash.example.com"),
        ("MCDASH_ENDPOINT_HOSTS", "user:my-secret@soap.example.org"),
        ("MCDASH_PATH", "https://user:my-secret@dash.example.com/mcdash"),
    ):
        done = check(tmp_path, **{name: value})
        assert done.returncode == 1
        assert "my-secret" not in done.stderr


@pytest.mark.parametrize("separator", [",", " , ", "\n", " ", ",\n"])
def test_field_keys_are_all_found_whatever_separates_them(
    monkeypatch: pytest.MonkeyPatch, separator: str
) -> None:
    """Fernet takes the first of several in one text, and the others would be lost."""
    monkeypatch.setenv("MCDASH_FIELD_KEYS", separator.join(["k" * 43 + "=", KEY]))
    assert environment.fernet_keys("MCDASH_FIELD_KEYS") == ["k" * 43 + "=", KEY]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u:p@ss@host/db", {"PASSWORD": "p@ss", "HOST": "host"}),
        ("postgresql://u:a%23b%2Fc@host/db", {"PASSWORD": "a#b/c"}),
        ("postgresql://%2Frun%2Fpostgresql/db", {"HOST": "/run/postgresql"}),
        ("sqlite:///var/../m.sqlite3", {"NAME": str(ROOT / "var/../m.sqlite3")}),
        ("sqlite:////{folder}/a%23b", {"NAME": "{folder}/a#b"}),
    ],
)
def test_the_databases_address_is_understood_as_people_write_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str, expected: dict[str, str]
) -> None:
    monkeypatch.setattr(settings, "BASE_DIR", ROOT)
    folder = str(tmp_path).lstrip("/")
    (ROOT / "var").mkdir(exist_ok=True)
    monkeypatch.setenv("DATABASE_URL", url.format(folder=folder))
    database = settings._database()
    told = {name: value.format(folder=tmp_path) for name, value in expected.items()}
    assert {name: database[name] for name in told} == told


ODD = """
import importlib, os, sys
from django.core.exceptions import ImproperlyConfigured
import mcdash.settings as settings
names, shapes = eval(sys.stdin.read())
for name in names:
    usual = os.environ.get(name)
    for shape in shapes:
        os.environ[name] = shape
        try:
            importlib.reload(settings)
        except ImproperlyConfigured as error:
            said = str(error)
            assert name in said and said.endswith("."), (name, shape, said)
            assert "my-secret" not in said, (name, shape, said)
    os.environ.pop(name) if usual is None else os.environ.__setitem__(name, usual)
"""


@pytest.mark.exhaustive
def test_no_setting_however_odd_ends_in_a_traceback(tmp_path: Path) -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    names = [found[1] for line in lines if (found := re.match(r"#?([A-Z_]+)=", line))]
    assert len(names) > 30
    names.remove("MCDASH_DATA_DIR")  # each would make a folder
    passwords = [
        f"{scheme}://u:my-secret{sign}x@h:1/0?a=b"
        for sign in "#/?%:@[]\\ "
        for scheme in ("postgresql", "http", "sqlite")
    ]
    shapes = [
        *("", " ", "'", '""', ",", ";", "\n", "\N{NO-BREAK SPACE}", "\ufeff", "#", "%"),
        *("*", "/", "//", "://", ":", "@", "$X", "\N{FULLWIDTH DIGIT ONE}", "é"),
        *(
            "1" * 5000,
            "-0",
            "\udcff",
            "http://",
            "http://[",
            "postgresql://",
        ),
        *passwords,
    ]
    done = subprocess.run(
        [sys.executable, "-c", ODD],
        cwd=ROOT,
        env={
            "MCDASH_SECRET_KEY": "k" * 50,
            "MCDASH_FIELD_KEYS": KEY,
            "MCDASH_DATA_DIR": str(tmp_path),
        },
        input=repr((names, shapes)),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("deadline", "lease", "starts"),
    [("180", "180", False), ("180", "181", True), ("300", "240", False)],
)
def test_a_claim_must_outlast_a_call(
    tmp_path: Path, deadline: str, lease: str, starts: bool
) -> None:
    done = check(
        tmp_path,
        MCDASH_CALL_DEADLINE_SECONDS=deadline,
        MCDASH_START_LEASE_SECONDS=lease,
    )
    assert (done.returncode == 0) is starts
    assert ("must exceed MCDASH_CALL_DEADLINE_SECONDS" in done.stderr) is not starts


def test_keys_made_by_setup_are_found_in_the_data_folder(tmp_path: Path) -> None:
    (tmp_path / "keys.env").write_text(
        f"MCDASH_SECRET_KEY={'s' * 50}\nMCDASH_FIELD_KEYS={KEY}\n"
    )
    environment = {"MCDASH_SECRET_KEY": "", "MCDASH_FIELD_KEYS": ""}
    assert "is not set" in check(tmp_path, **environment).stderr
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MCDASH_", "DATABASE_URL", "DJANGO_"))
    }
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env=clean | {"MCDASH_DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_claim_that_was_committed_survives_a_power_cut() -> None:
    """With less than FULL the run would be queued again, and Perform sent twice."""
    from mcdash.settings import SQLITE_OPTIONS

    assert "synchronous=FULL" in SQLITE_OPTIONS["init_command"]
    assert SQLITE_OPTIONS["transaction_mode"] == "IMMEDIATE"


DEPLOYED = {
    "MCDASH_SECRET_KEY": "".join(chr(ord("0") + n) for n in range(60)),
    "MCDASH_HOSTS": "dash.example.com",
    "MCDASH_TRUSTED_PROXIES": "10.0.0.1",
    "MCDASH_HSTS_SECONDS": "31536000",
}


@pytest.mark.slow
def test_a_deployment_has_nothing_to_mend(tmp_path: Path) -> None:
    done = check(tmp_path, "--deploy", "--fail-level", "INFO", **DEPLOYED)
    assert (done.returncode, done.stderr) == (0, "")
    assert "no issues (2 silenced)" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("MCDASH_HSTS_SECONDS", "0", "security.W004"),
        ("MCDASH_HOSTS", "", "security.W020"),
        ("MCDASH_ALLOW_LOOPBACK", "1", "mcdash.E001"),
        ("MCDASH_TRUSTED_PROXIES", "", "mcdash.W102"),
    ],
)
def test_what_a_deployment_lacks_is_told(
    tmp_path: Path, name: str, value: str, told: str
) -> None:
    done = check(
        tmp_path, "--deploy", "--fail-level", "INFO", **DEPLOYED | {name: value}
    )
    assert done.returncode == 1
    assert told in done.stderr


def test_a_frozen_worker_does_not_keep_its_locks_on_postgresql(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:p@127.0.0.1:5432/name")
    options = settings._database()["OPTIONS"]["options"]
    assert "idle_in_transaction_session_timeout=30000" in options


def test_queries_are_prepared_on_postgresql_unless_a_pooler_forbids_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:p@127.0.0.1:5432/name")
    options = settings._database()["OPTIONS"]
    assert (options["server_side_binding"], options["prepare_threshold"]) == (True, 5)
    monkeypatch.setenv("MCDASH_PREPARED_STATEMENTS", "0")
    options = settings._database()["OPTIONS"]
    assert not {"server_side_binding", "prepare_threshold"} & set(options)
