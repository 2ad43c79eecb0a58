"""Remember what an account's answers teach about the questions it takes."""

from __future__ import annotations

from imports.marketingcloud.records import ImportResults
from imports.models import Account


def learn_answers(account: Account, answer: ImportResults) -> None:
    """Keep on `account` whether it takes IN and which properties it refuses."""
    refused = account.noted_refusals(answer.refused_properties)
    takes_in = account.takes_in if answer.takes_in is None else answer.takes_in
    if (takes_in, refused) == (account.takes_in, account.refused_properties):
        return
    account.takes_in, account.refused_properties = takes_in, refused
    account.save(update_fields=["takes_in", "refused_properties"])
