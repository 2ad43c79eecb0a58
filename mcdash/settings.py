"""Settings, all read from the environment; `.env.example` explains each.

A value in the environment wins over `.env`, which wins over `keys.env` in the
data directory (made by `make setup`). A wrong value stops the start with a
sentence.
"""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import environ
from cryptography.fernet import Fernet
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from huey.serializer import SignedSerializer

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
env.read_env(BASE_DIR / ".env")


def _required(name: str, hint: str) -> str:
    value = env.str(name, default="")
    if not value:
        raise ImproperlyConfigured(f"{name} is not set. {hint}")
    return str(value)


def _seconds(name: str, default: int) -> int:
    text = env.str(name, default=str(default))
    if not text.isdecimal() or not 0 < int(text) <= 7 * 24 * 3600:
        raise ImproperlyConfigured(
            f"{name} must be a whole number from 1 to 604800, not {text!r}."
        )
    return int(text)


def _flag(name: str) -> bool:
    text = env.str(name, default="0").strip().lower()
    if text not in {"0", "1", "true", "false", "yes", "no", ""}:
        raise ImproperlyConfigured(f"{name} must be 1 or 0, not {text!r}.")
    return text in {"1", "true", "yes"}


def _data_dir() -> Path:
    folder = BASE_DIR / env.str("MCDASH_DATA_DIR", default="var")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ImproperlyConfigured(
            f"MCDASH_DATA_DIR: {folder} cannot be made a folder ({error.strerror})."
        ) from error
    return folder


def _scheme(name: str, url: str) -> str:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} is not an address: {error}.") from error
    return parts.scheme


def _sqlite_file(name: str, url: str) -> str:
    path = Path(unquote(url.removeprefix("sqlite:///")))
    if not path.parent.is_dir():
        raise ImproperlyConfigured(f"{name}: there is no folder {path.parent}.")
    return str(path)


def _field_keys() -> list[str]:
    keys = _required(
        "MCDASH_FIELD_KEYS",
        "It holds the Fernet keys that encrypt stored secrets, newest first; "
        "`make setup` makes one.",
    ).split(",")
    for position, key in enumerate(keys, start=1):
        try:
            Fernet(key.strip())
        except ValueError as error:
            raise ImproperlyConfigured(
                f"Key {position} of MCDASH_FIELD_KEYS is not a Fernet key "
                "(32 bytes in URL-safe base64)."
            ) from error
    return [key.strip() for key in keys]


def _trusted_proxies() -> list[str]:
    texts = [text.strip() for text in env.list("MCDASH_TRUSTED_PROXIES", default=[])]
    for text in texts:
        try:
            ip_network(text, strict=False)
        except ValueError as error:
            raise ImproperlyConfigured(
                f"MCDASH_TRUSTED_PROXIES: {text!r} is no address and no network."
            ) from error
    return texts


def _database() -> dict[str, Any]:
    url = env.str("DATABASE_URL", default=f"sqlite:///{DATA_DIR / 'mcdash.sqlite3'}")
    scheme = _scheme("DATABASE_URL", url)
    if scheme not in {"sqlite", "postgresql", "postgres"}:
        raise ImproperlyConfigured(
            "DATABASE_URL must start with sqlite:/// or postgresql://."
        )
    database: dict[str, Any] = env.db_url_config(url)
    if scheme == "sqlite":
        _sqlite_file("DATABASE_URL", url)
        database["OPTIONS"] = SQLITE_OPTIONS
        # a file: Django's shared in-memory test database loses threaded writes
        database["TEST"] = {"NAME": str(DATA_DIR / "test.sqlite3")}
    else:
        database |= {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
    return database


# synchronous=FULL: a claim that was committed before the wire must survive a
# power cut, or the run would be queued again and Perform sent twice.
SQLITE_OPTIONS: dict[str, Any] = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": (
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-16000;"
    ),
}


def _huey() -> dict[str, Any]:
    url = env.str("MCDASH_QUEUE_URL", default=f"sqlite:///{DATA_DIR / 'queue.sqlite3'}")
    scheme = _scheme("MCDASH_QUEUE_URL", url)
    if scheme == "sqlite":
        storage = {
            "huey_class": "huey.SqliteHuey",
            "filename": _sqlite_file("MCDASH_QUEUE_URL", url),
            "create_tables": False,
        }
    elif scheme in {"postgresql", "postgres"}:
        storage = {
            "huey_class": "huey.PostgresHuey",
            "dsn": url,
            "create_tables": False,
        }
    elif scheme in {"redis", "rediss"}:
        storage = {"huey_class": "huey.PriorityRedisHuey", "url": url}
    else:
        raise ImproperlyConfigured(
            "MCDASH_QUEUE_URL must start with sqlite:///, postgresql:// or redis://."
        )
    return storage | {
        "name": "mcdash",
        "immediate": False,
        "results": False,
        "serializer": SignedSerializer(secret=SECRET_KEY, salt="mcdash.queue"),
        "consumer": {
            "workers": 8,
            "worker_type": "thread",
            "initial_delay": 0.05,
            "max_delay": 0.1,
            "graceful_signal": "TERM",
            "shutdown_timeout": MCDASH_CALL_DEADLINE_SECONDS + 20,
        },
    }


DATA_DIR = _data_dir()
env.read_env(DATA_DIR / "keys.env")
SECRET_KEY = _required("MCDASH_SECRET_KEY", "`make setup` makes one.")
DEBUG = _flag("MCDASH_DEBUG")
MCDASH_FIELD_KEYS = _field_keys()
MCDASH_ALLOW_LOOPBACK = _flag("MCDASH_ALLOW_LOOPBACK")
MCDASH_ENDPOINT_HOSTS = env.list(
    "MCDASH_ENDPOINT_HOSTS", default=["*.marketingcloudapis.com", "*.exacttarget.com"]
)
MCDASH_TRUSTED_PROXIES = _trusted_proxies()
MCDASH_PROXY_URL = env.str("MCDASH_PROXY_URL", default="") or None
MCDASH_CONNECT_TIMEOUT_SECONDS = _seconds("MCDASH_CONNECT_TIMEOUT_SECONDS", 10)
MCDASH_READ_TIMEOUT_SECONDS = _seconds("MCDASH_READ_TIMEOUT_SECONDS", 120)
MCDASH_CALL_DEADLINE_SECONDS = _seconds("MCDASH_CALL_DEADLINE_SECONDS", 180)
MCDASH_MAX_ANSWER_MB = _seconds("MCDASH_MAX_ANSWER_MB", 50)
MCDASH_START_EXPIRES_SECONDS = _seconds("MCDASH_START_EXPIRES_SECONDS", 900)
MCDASH_START_LEASE_SECONDS = _seconds("MCDASH_START_LEASE_SECONDS", 240)
MCDASH_UNKNOWN_GRACE_SECONDS = _seconds("MCDASH_UNKNOWN_GRACE_SECONDS", 900)
if MCDASH_START_LEASE_SECONDS <= MCDASH_CALL_DEADLINE_SECONDS:
    raise ImproperlyConfigured(
        "MCDASH_START_LEASE_SECONDS "
        f"({MCDASH_START_LEASE_SECONDS}) must exceed MCDASH_CALL_DEADLINE_SECONDS "
        f"({MCDASH_CALL_DEADLINE_SECONDS}): a start must not be given up while its "
        "Perform may still be on the wire."
    )

LOOPBACK_HOSTS = ["127.0.0.1", "localhost", "[::1]"]
ALLOWED_HOSTS = env.list("MCDASH_HOSTS", default=[])
if MCDASH_ALLOW_LOOPBACK:
    ALLOWED_HOSTS += LOOPBACK_HOSTS
CSRF_TRUSTED_ORIGINS = [
    f"https://{host.removeprefix('.')}" for host in ALLOWED_HOSTS if host != "*"
]

INSTALLED_APPS = [
    "imports.apps.ImportsConfig",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django_htmx",
    "django_filters",
    "heroicons",
    "csp",
    "huey.contrib.djhuey",
]

MIDDLEWARE = [
    "imports.middleware.TrustedProxyMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    # masks the length of its answers, and CSRF tokens differ each time (BREACH)
    "django.middleware.gzip.GZipMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "imports.middleware.ReaderZoneMiddleware",
]

ROOT_URLCONF = "mcdash.urls"
WSGI_APPLICATION = "mcdash.wsgi.application"
ASGI_APPLICATION = "mcdash.asgi.application"

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
HUEY = _huey()

AUTH_USER_MODEL = "imports.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "imports:dashboard"
LOGOUT_REDIRECT_URL = "login"

LANGUAGE_CODE = "en"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"

STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
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
CSRF_FAILURE_VIEW = "imports.views.problems.form_refused"
X_FRAME_OPTIONS = "DENY"
# With "no-referrer" browsers send "Origin: null" with forms, which Django's CSRF check
# refuses; other hosts learn nothing either way.
SECURE_REFERRER_POLICY = "same-origin"
SECURE_SSL_REDIRECT = not MCDASH_ALLOW_LOOPBACK
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not MCDASH_ALLOW_LOOPBACK
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "format": "{asctime} {levelname} {name}: {message}",
            "style": "{",
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "loggers": {
        "django": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
        "imports": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
        "huey": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
        # zeep prints whole envelopes, secrets included, at DEBUG
        "zeep": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
    },
}
