"""Where a name led: only to public addresses, and to this machine by setting."""

from __future__ import annotations

import pytest

from imports.marketingcloud.errors import UnavailableError
from imports.marketingcloud.sockets import check_peer
from tests.marketingcloud.conftest import MemoryTokens, oauth_client
from tests.marketingcloud.listening import listening
from tests.marketingcloud.playing import Stage, answer
from tests.marketingcloud.wording import performed, started

LOOPBACK = ("127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1")
NEVER = {
    "10.0.0.1": "private",
    "172.31.255.255": "private",
    "192.168.1.1": "private",
    "fd00:ec2::254": "private, a cloud's metadata",
    "fc00::1": "private",
    "fec0::1": "site-local",
    "169.254.169.254": "link-local, a cloud's metadata",
    "fe80::1": "link-local",
    "fe80::1%eth0": "link-local with its zone",
    "100.64.0.1": "shared by a carrier",
    "100.100.100.200": "shared by a carrier, a cloud's metadata",
    "224.0.0.1": "multicast",
    "239.255.255.255": "multicast",
    "ff02::1": "multicast",
    "ff0e::1": "multicast",
    "240.0.0.1": "reserved",
    "255.255.255.255": "broadcast",
    "0.0.0.0": "unspecified",
    "0.1.2.3": "this network",
    "::": "unspecified",
    "192.0.0.1": "protocols' own",
    "192.0.2.1": "documentation",
    "198.18.0.1": "benchmarks",
    "198.51.100.1": "documentation",
    "203.0.113.1": "documentation",
    "192.88.99.1": "relay of 6to4",
    "100::1": "discard",
    "2001:db8::1": "documentation",
    "3fff::1": "documentation",
    "2001:2::1": "benchmarks",
    "2001::1": "Teredo",
    "2001:0:4136:e378:8000:63bf:f5ff:fffe": "Teredo around 10.0.0.1",
    "5f00::1": "segment routing",
    "4000::1": "not given out",
    "::ffff:10.0.0.1": "private, mapped",
    "::ffff:169.254.169.254": "link-local, mapped",
    "::ffff:0.0.0.0": "unspecified, mapped",
    "::ffff:0:10.0.0.1": "private, translated",
    "::10.0.0.1": "private, compatible",
    "::127.0.0.1": "loopback, compatible",
    "2002:7f00:1::1": "6to4 of loopback",
    "2002:a00:1::1": "6to4 of private",
    "2002:a9fe:a9fe::1": "6to4 of link-local",
    "64:ff9b::7f00:1": "NAT64 of loopback",
    "64:ff9b::a00:1": "NAT64 of private",
    "64:ff9b::a9fe:a9fe": "NAT64 of link-local",
    "64:ff9b:1::808:808": "somebody's own NAT64",
}
PUBLIC = (
    "13.110.204.1",
    "8.8.8.8",
    "223.255.255.254",
    "2606:4700::1111",
    "2a02:ec80::1",
    "::ffff:8.8.8.8",
    "2002:808:808::1",
    "64:ff9b::808:808",
)


@pytest.mark.parametrize("allow_loopback", [False, True])
@pytest.mark.parametrize("address", NEVER, ids=[f"{a} {w}" for a, w in NEVER.items()])
def test_an_address_that_is_not_public_is_never_spoken_to(
    address: str, allow_loopback: bool
) -> None:
    with pytest.raises(UnavailableError, match=r"not on the public Internet.*Nothing"):
        check_peer(address, allow_loopback=allow_loopback)


@pytest.mark.parametrize("address", LOOPBACK)
def test_this_machine_is_spoken_to_only_where_that_is_allowed(address: str) -> None:
    check_peer(address, allow_loopback=True)
    with pytest.raises(UnavailableError, match="not on the public Internet"):
        check_peer(address, allow_loopback=False)


@pytest.mark.parametrize("allow_loopback", [False, True])
@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_spoken_to(address: str, allow_loopback: bool) -> None:
    check_peer(address, allow_loopback=allow_loopback)


def test_the_address_that_a_token_names_is_never_called(stage: Stage) -> None:
    with listening() as ear:
        named = f"http://127.0.0.1:{ear.port}/"
        stage.plays(
            answer(
                '{"access_token": "t", "expires_in": 1079,'
                f' "soap_instance_url": "{named}", "rest_instance_url": "{named}"}}'
            ),
            answer(performed(started())),
        )
        client = oauth_client(stage, MemoryTokens(None))
        client.start_definition(customer_key="customers-daily")
        client.close()
    assert [one.path for one in stage.received] == ["/v2/token", "/Service.asmx"]
    assert ear.connections == 0
