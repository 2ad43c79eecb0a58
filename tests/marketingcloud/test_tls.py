"""The same exchange over TLS, with a certificate made for the occasion."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from imports.marketingcloud.client import MarketingCloudClient
from imports.marketingcloud.errors import OutcomeUnknownError, UnavailableError
from tests.marketingcloud.conftest import FOR_DRIPPING, MemoryTokens, oauth_client
from tests.marketingcloud.playing import Stage, answer, drip
from tests.marketingcloud.wording import performed, started


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stage")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "stage.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def tls_client(
    stage: Stage, tokens: MemoryTokens, certificate: Path
) -> Iterator[MarketingCloudClient]:
    """A client whose SOAP address is the stage behind TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    # The handshake belongs to the connection's own thread, not to the listener's.
    stage.socket = context.wrap_socket(
        stage.socket, server_side=True, do_handshake_on_connect=False
    )
    url = stage.url.replace("http:", "https:")
    client = oauth_client(stage, tokens, soap_url=f"{url}/Service.asmx")
    yield client
    client.close()


def test_a_certificate_that_nobody_vouches_for_gets_nothing(
    stage: Stage, tls_client: MarketingCloudClient
) -> None:
    stage.plays(answer(performed(started())))
    with pytest.raises(UnavailableError, match="secure connection could not be set up"):
        tls_client.start_definition(customer_key="customers-daily")
    assert stage.received == []


def test_a_trusted_certificate_is_spoken_to(
    stage: Stage, tls_client: MarketingCloudClient, certificate: Path
) -> None:
    tls_client._http._session.verify = str(certificate)
    stage.plays(answer(performed(started())))
    found = tls_client.start_definition(customer_key="customers-daily")
    assert found.task_id == "129159023"


def test_the_deadline_ends_an_answer_that_drips_through_tls(
    stage: Stage, tls_client: MarketingCloudClient, certificate: Path
) -> None:
    tls_client._http._session.verify = str(certificate)
    tls_client._http._limits = FOR_DRIPPING
    head = b"HTTP/1.1 200 OK\r\n"
    stage.plays(drip(head + b"Content-Length: 9999\r\n\r\n"), drip(head + b"X-A: "))
    for _ in range(2):
        with pytest.raises(OutcomeUnknownError, match=r"within 0\.5 seconds"):
            tls_client.start_definition(customer_key="customers-daily")
