"""Ways to put nginx in front of gunicorn, and what mcdash has to be told for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

DOCUMENTED = Path(__file__).resolve().parents[2] / "docs" / "operations"
NAME = "dash.example.com"
TELL = """
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto $scheme;
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where things listen: `port` is the browser's, `upstream` gunicorn's."""

    port: int
    other_port: int
    upstream: str
    certificate: Path
    key: Path

    @property
    def tls(self) -> str:
        return f"ssl_certificate {self.certificate}; ssl_certificate_key {self.key};"

    def server(self, inside: str) -> str:
        """A server by https for the browser."""
        return f"server {{ listen 127.0.0.1:{self.port} ssl; {self.tls} {inside} }}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """One way. `{port}` in a setting stands for the browser's port."""

    name: str
    nginx: Callable[[Place], str]
    settings: dict[str, str]
    scheme: str = "https"
    host: str = NAME
    path: str = ""
    by_socket: bool = False
    environ: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


def _location(place: Place, headers: str, path: str = "/", behind: str = "") -> str:
    return (
        f"location {path} {{ proxy_pass http://{place.upstream}{behind}; {headers} }}"
    )


def _plain(place: Place) -> str:
    inside = _location(place, "proxy_set_header Host $http_host;" + TELL)
    return f"server {{ listen 127.0.0.1:{place.port}; {inside} }}"


def _host_without_port(place: Place) -> str:
    return place.server(_location(place, "proxy_set_header Host $host;" + TELL))


def _another_name(place: Place) -> str:
    return place.server(_location(place, "proxy_set_header Host inner.test;" + TELL))


def _forwarded_host(place: Place) -> str:
    headers = "proxy_set_header X-Forwarded-Host $http_host;" + TELL
    return place.server(_location(place, headers))


def _forwarded_port(place: Place) -> str:
    headers = """
        proxy_set_header Host $host;
        proxy_set_header X-Forwarded-Port $server_port;
    """
    return place.server(_location(place, headers + TELL))


def _documented(place: Place) -> str:
    text = (DOCUMENTED / "nginx.conf").read_text()
    return _with_addresses(text, place)


def _documented_path(place: Place) -> str:
    text = (DOCUMENTED / "nginx-path.conf").read_text()
    return place.server(_with_addresses(text, place))


def _with_addresses(text: str, place: Place) -> str:
    changes = {
        "127.0.0.1:8000": place.upstream,
        "listen 443 ssl": f"listen 127.0.0.1:{place.port} ssl",
        "listen 80": f"listen 127.0.0.1:{place.other_port}",
        "/etc/ssl/certs/dash.example.com.pem": str(place.certificate),
        "/etc/ssl/private/dash.example.com.key": str(place.key),
    }
    for before, after in changes.items():
        text = text.replace(before, after)
    return text


def _path_taken_off(place: Place) -> str:
    headers = "proxy_set_header Host $http_host;" + TELL
    return place.server(_location(place, headers, "/tools/mcdash/", "/"))


def _script_name(place: Place) -> str:
    headers = "proxy_set_header Host $http_host; proxy_set_header SCRIPT_NAME /mcdash;"
    return place.server(_location(place, headers + TELL, "/mcdash/"))


def _path_in_environment(place: Place) -> str:
    headers = "proxy_set_header Host $http_host;" + TELL
    return place.server(_location(place, headers, "/mcdash"))


def _chain(place: Place) -> str:
    """Each adds what it saw itself: `X-Forwarded-Proto: https, http`."""
    headers = """
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto "$http_x_forwarded_proto, http";
    """
    inside = f"listen 127.0.0.1:{place.other_port}; {_location(place, headers)}"
    edge = Place(
        port=place.port,
        other_port=0,
        upstream=f"127.0.0.1:{place.other_port}",
        certificate=place.certificate,
        key=place.key,
    )
    outer = "proxy_set_header Host $http_host;" + TELL
    return f"server {{ {inside} }}" + edge.server(_location(edge, outer))


def _two_fields(place: Place) -> str:
    """The same field twice, and others that say otherwise."""
    headers = """
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-Proto HTTPS;
        proxy_set_header x-forwarded-proto http;
        proxy_set_header X-Forwarded-Ssl off;
        proxy_set_header Forwarded "for=192.0.2.1;proto=http";
    """
    return place.server(_location(place, headers))


OURS = {"MCDASH_TRUSTED_PROXIES": "127.0.0.1"}
HERE = {"MCDASH_HOSTS": f"{NAME}:{{port}}"}
LAYOUTS = (
    Layout(
        name="plain",
        nginx=_plain,
        settings=OURS | {"MCDASH_ALLOW_LOOPBACK": "1"},
        scheme="http",
        host="127.0.0.1",
    ),
    Layout(
        name="as documented", nginx=_documented, settings=OURS | {"MCDASH_HOSTS": NAME}
    ),
    Layout(
        name="as documented, under a path",
        nginx=_documented_path,
        settings=OURS | {"MCDASH_HOSTS": NAME, "MCDASH_PATH": "/mcdash"},
        path="/mcdash",
    ),
    Layout(
        name="a host without its port",
        nginx=_host_without_port,
        settings=OURS
        | {
            "MCDASH_HOSTS": NAME,
            "MCDASH_TRUSTED_ORIGINS": f"https://{NAME}:{{port}}",
        },
    ),
    Layout(
        name="a host without its port, which MCDASH_HOSTS has",
        nginx=_host_without_port,
        settings=OURS | HERE,
    ),
    Layout(
        name="a host without its port, told apart",
        nginx=_forwarded_port,
        settings=OURS | {"MCDASH_HOSTS": NAME},
    ),
    Layout(
        name="another name",
        nginx=_another_name,
        settings=OURS
        | {
            "MCDASH_HOSTS": "inner.test",
            "MCDASH_TRUSTED_ORIGINS": f"https://{NAME}:{{port}}/",
        },
    ),
    Layout(
        name="the name in a header of its own",
        nginx=_forwarded_host,
        settings=OURS | {"MCDASH_HOSTS": NAME},
    ),
    Layout(
        name="the path taken off",
        nginx=_path_taken_off,
        settings=OURS | HERE | {"MCDASH_PATH": "tools/mcdash/"},
        path="/tools/mcdash",
    ),
    Layout(
        name="the path in SCRIPT_NAME, by header",
        nginx=_script_name,
        settings=OURS | HERE,
        path="/mcdash",
    ),
    Layout(
        name="the path in SCRIPT_NAME, by environment",
        nginx=_path_in_environment,
        settings=OURS | HERE,
        environ={"SCRIPT_NAME": "/mcdash"},
        path="/mcdash",
    ),
    Layout(name="two in a chain", nginx=_chain, settings=OURS | HERE),
    Layout(name="fields that disagree", nginx=_two_fields, settings=OURS | HERE),
    Layout(
        name="by a Unix socket",
        nginx=_path_taken_off,
        settings=HERE
        | {"MCDASH_TRUSTED_PROXIES": "unix", "MCDASH_PATH": "/tools/mcdash"},
        path="/tools/mcdash",
        by_socket=True,
    ),
)
