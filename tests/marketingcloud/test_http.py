"""What the wall makes of broken, slow and hostile servers, over real sockets."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from imports.marketingcloud.client import MarketingCloudClient
from imports.marketingcloud.errors import (
    MarketingCloudError,
    OutcomeUnknownError,
    RequestRefusedError,
    UnavailableError,
)
from imports.marketingcloud.records import Limits, StartedImport
from tests.marketingcloud.conftest import (
    FOR_DRIPPING,
    ROOMY,
    MemoryTokens,
    oauth_client,
)
from tests.marketingcloud.playing import (
    Stage,
    answer,
    cut,
    drip,
    hang,
)
from tests.marketingcloud.wording import definition, performed, retrieved, started

GOOD = performed(started())
OK_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n"
ENDLESS = OK_HEAD + b"Content-Length: 100000\r\n\r\n"
CHUNKED = OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def _start(client: MarketingCloudClient) -> StartedImport:
    return client.start_definition(customer_key="customers-daily")


def test_a_good_answer_is_a_start_and_perform_is_sent_once(
    stage: Stage, client: MarketingCloudClient
) -> None:
    stage.plays(answer(GOOD))
    assert _start(client).task_id == "129159023"
    [request] = stage.received
    assert request.path == "/Service.asmx"
    assert request.headers["soapaction"] == '"Perform"'
    assert request.headers["content-type"] == "text/xml; charset=utf-8"


def test_a_server_that_hangs_up_without_reading_leaves_the_outcome_unknown(
    stage: Stage, client: MarketingCloudClient
) -> None:
    stage.plays(cut(reads=False))
    with pytest.raises(OutcomeUnknownError):
        _start(client)


@pytest.mark.parametrize(
    "head",
    [b"", b"HTTP/1.1 200 OK\r\nX-A: ", ENDLESS, OK_HEAD + b"\r\n"],
    ids=["nothing", "in a header", "in a body", "in a body without a length"],
)
def test_a_perform_whose_answer_drips_is_unknown_after_the_deadline(
    stage: Stage, tokens: MemoryTokens, head: bytes
) -> None:
    stage.plays(drip(head))
    before = time.monotonic()
    with pytest.raises(OutcomeUnknownError, match=r"within 0\.5 seconds"):
        _start(oauth_client(stage, tokens, limits=FOR_DRIPPING))
    assert 0.4 < time.monotonic() - before < 8  # it drips for ten seconds
    assert len(stage.received) == 1


def test_a_kept_connection_serves_the_request_of_whichever_thread_uses_it(
    stage: Stage, tokens: MemoryTokens
) -> None:
    client = oauth_client(stage, tokens, limits=FOR_DRIPPING)
    stage.plays(answer(retrieved()), drip(ENDLESS), answer(retrieved()))
    client.all_results()
    with ThreadPoolExecutor(1) as other:
        late = other.submit(client.all_results)
        with pytest.raises(OutcomeUnknownError, match=r"within 0\.5 seconds"):
            late.result()
    # what was cut off is not used again
    assert client.all_results().results == ()
    client.close()
    assert len(stage.received) == 3


def test_a_redirects_body_is_not_waited_for(
    stage: Stage, client: MarketingCloudClient
) -> None:
    head = b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 9999\r\n\r\n"
    stage.plays(drip(head))
    before = time.monotonic()
    with pytest.raises(RequestRefusedError, match="HTTP 302"):
        _start(client)
    assert time.monotonic() - before < 8  # it drips for ten seconds


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429])
def test_a_4xx_is_a_refusal_even_when_its_body_cannot_be_read(
    stage: Stage, client: MarketingCloudClient, status: int
) -> None:
    head = f"HTTP/1.1 {status} No\r\nContent-Length: 999\r\n\r\nno".encode()
    stage.plays(answer("<html>No</html>", status=status), cut(head))
    for _ in range(2):
        with pytest.raises(RequestRefusedError, match=f"HTTP {status}"):
            _start(client)


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _unavailable(client: MarketingCloudClient) -> UnavailableError:
    with pytest.raises(UnavailableError, match="Nothing was sent") as caught:
        _start(client)
    return caught.value


def test_a_refused_connection_proves_that_nothing_was_sent(
    stage: Stage, tokens: MemoryTokens, closed_port: int
) -> None:
    url = f"http://127.0.0.1:{closed_port}/Service.asmx"
    error = _unavailable(oauth_client(stage, tokens, soap_url=url))
    assert "refused" in error.message


def test_a_name_that_cannot_be_looked_up_proves_that_nothing_was_sent(
    stage: Stage, tokens: MemoryTokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere(*args: object, **options: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    error = _unavailable(oauth_client(stage, tokens, soap_url="https://no.invalid/x"))
    assert "no.invalid: its name could not be looked up" in error.message


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/x", "http://", "no address", ""])
def test_an_address_that_is_none_proves_that_nothing_was_sent(
    stage: Stage, tokens: MemoryTokens, url: str
) -> None:
    _unavailable(oauth_client(stage, tokens, soap_url=url))


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A listener that accepts and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield int(sock.getsockname()[1])


def test_a_tls_handshake_without_an_answer_proves_that_nothing_was_sent(
    stage: Stage, tokens: MemoryTokens, silent_port: int
) -> None:
    url = f"https://127.0.0.1:{silent_port}/Service.asmx"
    limits = Limits(connect_timeout_seconds=0.3)
    _unavailable(oauth_client(stage, tokens, soap_url=url, limits=limits))


@pytest.fixture
def dripping_tls_port() -> Iterator[int]:
    """A server whose TLS handshake comes one byte at a time, without end."""
    over = threading.Event()

    def serve(listener: socket.socket) -> None:
        sock, _ = listener.accept()
        with sock:
            sock.sendall(b"\x16\x03\x03\x40\x00")  # a record of 16 kB begins
            while not over.wait(0.05):
                try:
                    sock.sendall(b"\x02")
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        yield int(listener.getsockname()[1])
        over.set()
        thread.join()


def test_the_deadline_ends_a_dripping_handshake_with_nothing_sent(
    stage: Stage, tokens: MemoryTokens, dripping_tls_port: int
) -> None:
    url = f"https://127.0.0.1:{dripping_tls_port}/Service.asmx"
    patient = Limits(connect_timeout_seconds=8, call_deadline_seconds=0.3)
    before = time.monotonic()
    _unavailable(oauth_client(stage, tokens, soap_url=url, limits=patient))
    assert time.monotonic() - before < 5


def test_a_proxy_that_refuses_to_connect_proves_that_nothing_was_sent(
    stage: Stage, tokens: MemoryTokens
) -> None:
    stage.plays()  # the stage is the proxy: GET and CONNECT are not its business
    client = oauth_client(
        stage, tokens, soap_url="https://127.0.0.1:9/x", proxy=stage.url
    )
    error = _unavailable(client)
    assert "the proxy did not let the connection through" in error.message
    assert stage.received == []


def test_a_plain_request_goes_through_the_proxy(
    stage: Stage, tokens: MemoryTokens
) -> None:
    stage.plays(answer(GOOD))
    client = oauth_client(
        stage, tokens, soap_url="http://mc.invalid/Service.asmx", proxy=stage.url
    )
    assert _start(client).task_id == "129159023"
    assert stage.received[0].path == "http://mc.invalid/Service.asmx"
    client.close()


def test_proxies_and_passwords_of_the_environment_are_not_used(
    stage: Stage,
    client: MarketingCloudClient,
    closed_port: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{closed_port}")
    monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{closed_port}")
    stage.plays(answer(GOOD))
    assert _start(client).task_id == "129159023"
    assert "authorization" not in stage.received[0].headers


def test_nothing_is_sent_after_send_before(
    stage: Stage, client: MarketingCloudClient
) -> None:
    with pytest.raises(UnavailableError, match="nothing was sent"):
        client.start_definition(customer_key="a", send_before=time.monotonic() - 0.001)
    stage.plays(answer(GOOD))
    client.start_definition(customer_key="a", send_before=time.monotonic() + 60)
    assert len(stage.received) == 1


def test_send_before_is_looked_at_after_the_connection_stands(
    stage: Stage, tokens: MemoryTokens
) -> None:
    client = oauth_client(stage, tokens, check_peer=lambda _: time.sleep(0.1))
    with pytest.raises(UnavailableError, match="nothing was sent"):
        client.start_definition(customer_key="a", send_before=time.monotonic() + 0.05)
    assert stage.received == []


def test_the_peers_address_is_checked_before_anything_is_sent(
    stage: Stage, tokens: MemoryTokens
) -> None:
    seen: list[str] = []

    def forbid(address: str) -> None:
        seen.append(address)
        raise UnavailableError("This address is not allowed. Nothing was sent.")

    error = _unavailable(oauth_client(stage, tokens, check_peer=forbid))
    assert error.message.startswith("This address is not allowed")
    assert seen == ["127.0.0.1"]
    assert stage.received == []


def test_reads_keep_their_connection_and_each_perform_takes_a_fresh_one(
    stage: Stage, client: MarketingCloudClient
) -> None:
    page = answer(retrieved(definition("a")))
    stage.plays(page, page, answer(GOOD), answer(GOOD))
    client.list_definitions()
    client.list_definitions()
    _start(client)
    _start(client)
    ports = [request.port for request in stage.received]
    assert ports[0] == ports[1]
    assert len(set(ports)) == 3


def test_cookies_are_not_kept(stage: Stage, client: MarketingCloudClient) -> None:
    page = retrieved(definition("a"))
    stage.plays(answer(page, Set_Cookie="session=1; Path=/"), answer(page))
    client.list_definitions()
    client.list_definitions()
    assert "cookie" not in stage.received[1].headers


def test_no_envelope_is_ever_logged(
    stage: Stage, client: MarketingCloudClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    stage.plays(answer(GOOD))
    _start(client)
    assert "token-one" not in caplog.text
    assert "Envelope" not in caplog.text
    assert logging.getLogger("zeep.transports").getEffectiveLevel() >= logging.INFO


def test_something_unforeseen_before_sending_leaves_nothing_sent(
    stage: Stage, client: MarketingCloudClient, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(UnavailableError, match="Nothing was sent"):
        client.start_definition(customer_key="control \x01 character")
    assert "Traceback" in caplog.text
    assert stage.received == []


def test_every_limit_is_the_callers(stage: Stage, tokens: MemoryTokens) -> None:
    limits = replace(ROOMY, call_deadline_seconds=0.2)
    client = oauth_client(stage, tokens, limits=limits)
    stage.plays(hang())
    with pytest.raises(MarketingCloudError, match=r"within 0\.2 seconds"):
        _start(client)
