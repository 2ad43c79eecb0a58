"""nginx and gunicorn as processes, in one of the layouts, over the data of a stack."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.browser.stack import Stack
from tests.e2e.site import PYTHON, ROOT, Part, wait_until
from tests.proxy.layouts import NAME, Layout, Place

NO_NGINX = "no nginx on PATH"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
CONFIGURATION = """
daemon off; {user}
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {servers}
}}
"""


@dataclass(frozen=True, kw_only=True)
class Front:
    """What browsers reach: `base` is the dashboard's address without a last slash."""

    layout: Layout
    place: Place
    web: Part
    log: Path

    @property
    def origin(self) -> str:
        layout = self.layout
        return f"{layout.scheme}://{layout.host}:{self.place.port}"

    @property
    def base(self) -> str:
        return self.origin + self.layout.path

    def trusts(self) -> ssl.SSLContext:
        """What a browser needs to believe the certificate."""
        return ssl.create_default_context(cafile=str(self.place.certificate))


@contextmanager
def standing(
    stack: Stack, layout: Layout, folder: Path, **more: str
) -> Iterator[Front]:
    """gunicorn over the stack's data with the layout's settings, nginx in front."""
    folder.mkdir()
    certificate, key = _certificate(folder)
    socket_file = f"unix:{folder}/mcdash.sock"
    place = Place(
        port=_free_port(),
        other_port=_free_port(),
        upstream=socket_file if layout.by_socket else f"127.0.0.1:{_free_port()}",
        certificate=certificate,
        key=key,
    )
    settings = {k: v.format(port=place.port) for k, v in layout.settings.items()}
    env = stack.env | {"MCDASH_ALLOW_LOOPBACK": "0"} | settings | layout.environ | more
    gunicorn = (
        *(PYTHON, "-m", "gunicorn", "-c", "python:mcdash.gunicorn", "mcdash.wsgi"),
        *("--no-control-socket", "--bind", place.upstream, "--threads", "4"),
        *("--graceful-timeout", "1"),
    )
    if layout.by_socket:  # nginx wants a path behind the socket's own
        place = replace(place, upstream=f"{socket_file}:")
    web = _started(gunicorn, folder / "web.log", env)
    parts = [web]
    try:
        wait_until(lambda: "Listening at" in web.said, f"gunicorn: {layout}")
        nginx = _started(_nginx(layout, place, folder), folder / "nginx.log", {})
        parts.append(nginx)
        front = Front(layout=layout, place=place, web=web, log=folder / "web.log")
        wait_until(lambda: _answers(front), f"the way through: {layout}")
        yield front
    finally:
        for part in reversed(parts):
            _end(part)


def _nginx(layout: Layout, place: Place, folder: Path) -> tuple[str, ...]:
    assert NGINX is not None
    file = folder / "nginx.conf"
    # started by root it would hand its workers to nobody, who may not read this folder
    user = "user root;" if os.geteuid() == 0 else ""
    servers = layout.nginx(place)
    text = CONFIGURATION.format(folder=folder, user=user, servers=servers)
    file.write_text(text)
    return (NGINX, "-p", str(folder), "-c", str(file), "-e", str(folder / "error.log"))


def _started(command: tuple[str, ...], log: Path, env: dict[str, str]) -> Part:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=env or None,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    return Part(process=process, log=log)


def _end(part: Part) -> None:
    part.process.send_signal(signal.SIGTERM)
    try:
        part.wait(15)
    except subprocess.TimeoutExpired:
        part.kill()


def _answers(front: Front) -> bool:
    """Whether the way leads through to mcdash."""
    try:
        with closing(connect(front)) as connection:
            connection.request("GET", f"{front.layout.path}/healthz")
            return connection.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False


def connect(front: Front) -> HTTPConnection:
    """A connection to nginx, whatever name the layout has for this machine."""
    if front.layout.scheme == "http":
        return HTTPConnection("127.0.0.1", front.place.port, timeout=30)
    plain = socket.create_connection(("127.0.0.1", front.place.port), timeout=30)
    try:
        secure = front.trusts().wrap_socket(plain, server_hostname=front.layout.host)
    except OSError:
        plain.close()
        raise
    connection = HTTPConnection("127.0.0.1", front.place.port)
    connection.sock = secure
    return connection


def _free_port() -> int:
    with socket.socket() as attempt:
        attempt.bind(("127.0.0.1", 0))
        port: int = attempt.getsockname()[1]
    return port


def _certificate(folder: Path) -> tuple[Path, Path]:
    """One that signs itself, for the names of the layouts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    now = dt.datetime.now(dt.UTC)
    names = [x509.DNSName(NAME), x509.IPAddress(ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return files
