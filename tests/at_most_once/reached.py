"""The sandbox's account and definitions as rows of ours, and what it performed."""

from __future__ import annotations

from collections import Counter
from typing import Any

from imports.management.commands.run_sandbox import WSDL
from imports.models import Account, ImportDefinition
from imports.sandbox.nordlicht import DE
from imports.sandbox.server import SandboxServer
from tests.factories import AccountFactory, ImportDefinitionFactory

__all__ = ["WSDL", "account_of", "definition_of", "performed"]


def account_of(sandbox: SandboxServer, **fields: Any) -> Account:
    """Nordlicht DE at that sandbox, signed in with OAuth 2."""
    usual = {
        "name": DE.name,
        "mid": str(DE.mid),
        "client_id": DE.client_id,
        "secret": DE.client_secret,
        "subdomain": "",
        "auth_url": sandbox.url,
        "soap_url": sandbox.soap_url,
    }
    return AccountFactory.create(**(usual | fields))


def definition_of(
    sandbox: SandboxServer, account: Account, customer_key: str
) -> ImportDefinition:
    """The sandbox's definition of that key, as a sync would enter it."""
    known = sandbox.world.find(DE.mid, customer_key=customer_key)
    assert known
    return ImportDefinitionFactory.create(
        account=account,
        customer_key=customer_key,
        object_id=known.object_id,
        name=known.facts["Name"],
    )


def performed(sandbox: SandboxServer) -> Counter[str]:
    """How often each definition was performed, by the journal."""
    return Counter(str(line["customer_key"]) for line in sandbox.world.performed())
