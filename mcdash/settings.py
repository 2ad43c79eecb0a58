"""Settings, all read from the environment; `.env.example` explains each.

A value there wins over `.env`, which wins over `keys.env` in the data directory (made
by `make setup`). A wrong value stops the start with a sentence.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import environ
import psycopg
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from imports import logs
from mcdash import environment as env
from mcdash.environment import DAY, HOUR, LOOPBACK_HOSTS, flag, number, seconds

BASE_DIR = Path(__file__).resolve().parent.parent
env.read_file(BASE_DIR / ".env")

# Options of a connection that are Django's own, not PostgreSQL's.
DJANGO_OPTIONS = {"assume_role", "server_side_binding", "prepare_threshold"}


def _database() -> dict[str, Any]:
    url = env.value_of("DATABASE_URL", "sqlite:///")
    # A worker that freezes within a transaction must not keep its locks: they would
    # stop every other one. Threads share the process's connections, and those that
    # wait for Marketing Cloud hold none. A query that comes again is planned once.
    most = number("MCDASH_DATABASE_CONNECTIONS", 20, least=2, most=1000)
    postgres: dict[str, Any] = {
        "options": "-c idle_in_transaction_session_timeout=30000",
        "pool": {"min_size": 0, "max_size": most, "timeout": 30},
    }
    if flag("MCDASH_PREPARED_STATEMENTS", default="1"):
        postgres |= {"server_side_binding": True, "prepare_threshold": 5}
    if url.lower().startswith("sqlite:"):
        # the default is no address, in which # and ? would mean something
        file = str(DATA_DIR / "mcdash.sqlite3")
        if "DATABASE_URL" in os.environ:
            file = env.sqlite_file("DATABASE_URL", url, folder=BASE_DIR)
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": file,
            "CONN_MAX_AGE": 60,
            "OPTIONS": SQLITE_OPTIONS,
            # a file: Django's shared in-memory test database loses threaded writes
            "TEST": {"NAME": str(DATA_DIR / "test.sqlite3")},
        }
    hint, schemes = "sqlite:/// or postgresql://", ("postgresql", "postgres")
    parts = env.address("DATABASE_URL", url, schemes=schemes, hint=hint)
    database: dict[str, Any] = environ.Env.db_url_config(parts.geturl())
    given = database.get("OPTIONS", {})
    if not database["NAME"] and "service" not in given:
        raise ImproperlyConfigured(
            "DATABASE_URL names no database: postgresql://user:password@host:5432/name."
        )
    names = set(given) - DJANGO_OPTIONS
    try:
        psycopg.conninfo.make_conninfo(**{name: str(given[name]) for name in names})
    except psycopg.ProgrammingError:  # its words may repeat what it could not read
        raise ImproperlyConfigured(
            "DATABASE_URL has an option that PostgreSQL does not know, "
            f"among: {', '.join(sorted(names))}."
        ) from None
    return database | {
        "HOST": unquote(database["HOST"]),  # the folder of a Unix socket
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": postgres | given,
    }


# synchronous=FULL: a claim that was committed before the wire must survive a
# power cut, or the run would be queued again and Perform sent twice. Lists of
# definitions read rows all over the file: mapped into memory (1 GiB of it at most, as
# shared pages) they come two to three times as fast as with a read for each page.
SQLITE_OPTIONS: dict[str, Any] = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": (
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-16000;"
        "PRAGMA mmap_size=1073741824;"
    ),
}

DATA_DIR = env.folder("MCDASH_DATA_DIR", "var", base=BASE_DIR)
env.read_file(DATA_DIR / "keys.env")
SECRET_KEY = env.required("MCDASH_SECRET_KEY", "`make setup` makes one.")
DEBUG = flag("MCDASH_DEBUG")
MCDASH_FIELD_KEYS = env.fernet_keys("MCDASH_FIELD_KEYS")
MCDASH_ALLOW_LOOPBACK = flag("MCDASH_ALLOW_LOOPBACK")
MCDASH_ENDPOINT_HOSTS = env.endpoint_hosts(
    "MCDASH_ENDPOINT_HOSTS", "*.marketingcloudapis.com, *.exacttarget.com"
)
MCDASH_TRUSTED_PROXIES = env.networks("MCDASH_TRUSTED_PROXIES")
MCDASH_METRICS_TOKEN = env.metrics_token("MCDASH_METRICS_TOKEN")
MCDASH_PROXY_URL = env.proxy_url("MCDASH_PROXY_URL")
MCDASH_CONNECT_TIMEOUT_SECONDS = seconds("MCDASH_CONNECT_TIMEOUT_SECONDS", 10)
MCDASH_READ_TIMEOUT_SECONDS = seconds("MCDASH_READ_TIMEOUT_SECONDS", 120)
MCDASH_CALL_DEADLINE_SECONDS = seconds("MCDASH_CALL_DEADLINE_SECONDS", 180)
MCDASH_MAX_ANSWER_MB = number("MCDASH_MAX_ANSWER_MB", 24, most=1024, unit="MB")
MCDASH_START_EXPIRES_SECONDS = seconds("MCDASH_START_EXPIRES_SECONDS", 900)
MCDASH_START_LEASE_SECONDS = seconds("MCDASH_START_LEASE_SECONDS", 240)
MCDASH_UNKNOWN_GRACE_SECONDS = seconds("MCDASH_UNKNOWN_GRACE_SECONDS", 900)
MCDASH_TYPE_NAME_ROWS = number("MCDASH_TYPE_NAME_ROWS", 100_000, least=0, most=10**12)
MCDASH_SIGN_IN_FAILURES = number("MCDASH_SIGN_IN_FAILURES", 5, most=1000)
MCDASH_SIGN_IN_FAILURES_PER_ADDRESS = number(
    "MCDASH_SIGN_IN_FAILURES_PER_ADDRESS", 50, most=100_000
)
MCDASH_SIGN_IN_COOL_OFF_SECONDS = seconds("MCDASH_SIGN_IN_COOL_OFF_SECONDS", 900)
MCDASH_SESSION_IDLE_SECONDS = number(
    "MCDASH_SESSION_IDLE_SECONDS", 8 * HOUR, least=300, most=30 * DAY
)
MCDASH_SESSION_SECONDS = number(
    "MCDASH_SESSION_SECONDS", 7 * DAY, least=300, most=30 * DAY
)
if MCDASH_SESSION_SECONDS < MCDASH_SESSION_IDLE_SECONDS:
    raise ImproperlyConfigured(
        f"MCDASH_SESSION_SECONDS ({MCDASH_SESSION_SECONDS}) must not be less than "
        f"MCDASH_SESSION_IDLE_SECONDS ({MCDASH_SESSION_IDLE_SECONDS})."
    )
if MCDASH_SIGN_IN_FAILURES_PER_ADDRESS < MCDASH_SIGN_IN_FAILURES:
    raise ImproperlyConfigured(
        "MCDASH_SIGN_IN_FAILURES_PER_ADDRESS "
        f"({MCDASH_SIGN_IN_FAILURES_PER_ADDRESS}) must not be less than "
        f"MCDASH_SIGN_IN_FAILURES ({MCDASH_SIGN_IN_FAILURES})."
    )
if MCDASH_START_LEASE_SECONDS <= MCDASH_CALL_DEADLINE_SECONDS:
    raise ImproperlyConfigured(
        "MCDASH_START_LEASE_SECONDS "
        f"({MCDASH_START_LEASE_SECONDS}) must exceed MCDASH_CALL_DEADLINE_SECONDS "
        f"({MCDASH_CALL_DEADLINE_SECONDS}): a start must not be given up while its "
        "Perform may still be on the wire."
    )

SITES = env.hosts("MCDASH_HOSTS")
ALLOWED_HOSTS = ["." * site.is_parent + site.host for site in SITES]
if MCDASH_ALLOW_LOOPBACK:
    ALLOWED_HOSTS += LOOPBACK_HOSTS
CSRF_TRUSTED_ORIGINS = [
    # all below a name only where a port says that their own check cannot do
    *(site.origin for site in SITES if site.port or not site.is_parent),
    *env.origins("MCDASH_TRUSTED_ORIGINS"),
]
# Whatever the proxy in front does with it, by stripping or passing it: links have it.
FORCE_SCRIPT_NAME = env.url_path("MCDASH_PATH") or None

INSTALLED_APPS = [
    "imports.apps.ImportsConfig",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_htmx",
    "django_filters",
    "heroicons",
    "csp",
    "axes",
]

MIDDLEWARE = [
    "imports.middleware.RequestIdMiddleware",
    "imports.middleware.MetricsMiddleware",
    "imports.middleware.PaceMiddleware",
    "imports.middleware.PathMiddleware",
    "imports.middleware.TrustedProxyMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "imports.middleware.ForMachinesMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    # masks the length of its answers, and CSRF tokens differ each time (BREACH)
    "django.middleware.gzip.GZipMiddleware",
    "csp.middleware.CSPMiddleware",
    "imports.middleware.AnswerHeadersMiddleware",
    "imports.middleware.KnownHostMiddleware",
    "imports.middleware.HttpsMiddleware",
    "imports.middleware.SessionMiddleware",
    "imports.middleware.UnwritableMiddleware",
    "imports.middleware.SessionEndMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "imports.signin.PageSessionMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "imports.middleware.ReaderZoneMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "mcdash.urls"
WSGI_APPLICATION = "mcdash.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASES = {"default": _database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "imports.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "imports.signin.PasswordBackend",
]
VALIDATORS = "django.contrib.auth.password_validation"
AUTH_PASSWORD_VALIDATORS: list[dict[str, Any]] = [
    {"NAME": f"{VALIDATORS}.UserAttributeSimilarityValidator"},
    {"NAME": f"{VALIDATORS}.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": f"{VALIDATORS}.CommonPasswordValidator"},
    {"NAME": f"{VALIDATORS}.NumericPasswordValidator"},
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "imports:dashboard"
LOGOUT_REDIRECT_URL = "login"

# What counts against the login throttle, and what is said: imports/signin.py.
AXES_HANDLER = "imports.signin.LoginThrottle"
AXES_LOCKOUT_CALLABLE = "imports.signin.too_many_failures"
AXES_USERNAME_CALLABLE = "imports.signin.throttled_name"
AXES_CLIENT_IP_CALLABLE = "imports.signin.throttled_address"
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"], ["ip_address"]]
AXES_FAILURE_LIMIT = MCDASH_SIGN_IN_FAILURES
AXES_COOLOFF_TIME = timedelta(seconds=MCDASH_SIGN_IN_COOL_OFF_SECONDS)
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_RESET_ON_SUCCESS = True
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = False
# Its log names the address. No name: people type passwords into that field.
AXES_SENSITIVE_PARAMETERS = ["username"]
AXES_VERBOSE = False

LANGUAGE_CODE = "en"
USE_I18N = False
TIME_ZONE = "UTC"

STATIC_URL = "static/"
# under whatever path: WhiteNoise sees what is behind it
WHITENOISE_STATIC_PREFIX = "/static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "mcdash.static.StaticFiles"},
}

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}
CSRF_FAILURE_VIEW = "imports.views.system.form_refused"
# Other hosts learn nothing from links and pictures, as with "no-referrer"; but with
# that browsers send "Origin: null" with our own forms too, which Django's CSRF check
# refuses (tried with Chromium).
SECURE_REFERRER_POLICY = "same-origin"
SECURE_SSL_REDIRECT = not MCDASH_ALLOW_LOOPBACK
# by HttpsMiddleware, which sends nobody in a circle
SECURE_REDIRECT_EXEMPT = [r""]
SECURE_HSTS_SECONDS = number("MCDASH_HSTS_SECONDS", 0, least=0, most=2 * 365 * DAY)
SECURE_HSTS_INCLUDE_SUBDOMAINS = flag("MCDASH_HSTS_SUBDOMAINS")
# HSTS for other names of the domain, and in the lists of browsers, is for the domain's
# owner to decide, not for one site in it.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]

# Browsers keep a "__Host-" cookie only from this very host and by https: no neighbour
# under the same domain can plant one.
COOKIE_PREFIX = "" if MCDASH_ALLOW_LOOPBACK else "__Host-"
# Cookies know neither port nor path, so two installations on one host tell theirs apart
# by name: the same for all processes of one, another with another key or path.
COOKIE_SUFFIX = hmac.new(
    SECRET_KEY.encode(),
    f"mcdash.cookies{FORCE_SCRIPT_NAME or ''}".encode(),
    hashlib.sha256,
).hexdigest()[:8]
SESSION_ENGINE = "imports.signin"
SESSION_COOKIE_NAME = f"{COOKIE_PREFIX}sessionid-{COOKIE_SUFFIX}"
CSRF_COOKIE_NAME = f"{COOKIE_PREFIX}csrftoken-{COOKIE_SUFFIX}"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not MCDASH_ALLOW_LOOPBACK
CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_AGE = MCDASH_SESSION_SECONDS
# Toasts name definitions: they stay on the server.
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"

LOGGING = logs.configuration(
    form=env.choice("MCDASH_LOG_FORMAT", "text", logs.FORMATTERS),
    level=env.choice("MCDASH_LOG_LEVEL", "INFO", logs.LEVELS),
    access=flag("MCDASH_ACCESS_LOG"),
)
