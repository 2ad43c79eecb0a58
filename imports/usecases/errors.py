"""Why a use case refused to do something, in words for the person who asked."""

from __future__ import annotations

# Faces may not import the wall; they meet its error here, with the others.
from imports.marketingcloud.errors import MarketingCloudError as MarketingCloudError
from imports.models import ImportDefinition, ImportRun
from imports.text import has_ink


class UseCaseError(Exception):
    """Refused; the message says what happened and what to do."""


class AlreadyRunningError(UseCaseError):
    """The definition has an active run of ours; `run` is that one."""

    def __init__(self, run: ImportRun) -> None:
        self.run = run
        who = f" by {run.started_by_name}" if has_ink(run.started_by_name) else ""
        super().__init__(
            f"“{run.definition}” is already running: run {run.pk} was started{who} and "
            f"is {run.get_status_display().lower()}. Nothing was started a second time."
        )


class NotStartableError(UseCaseError):
    """The definition cannot be started at all."""

    def __init__(self, definition: ImportDefinition, reason: str) -> None:
        super().__init__(f"“{definition}” was not started. {reason}")


class RunningElsewhereError(UseCaseError):
    """Another account of the same business unit has an active run of it. `run` is
    that one; None for somebody who must not know of that account.
    """

    def __init__(self, definition: ImportDefinition, run: ImportRun | None) -> None:
        self.run = run
        where = "in an account that you cannot see"
        if run:
            where = (
                f"in the account “{run.account}”: run {run.pk} is "
                f"{run.get_status_display().lower()}"
            )
        super().__init__(
            f"“{definition}” is already running {where}. Both accounts are the same "
            "business unit, so nothing was started a second time. Wait until that run "
            "has ended or been settled."
        )


class NotCancellableError(UseCaseError):
    """The run is no longer queued."""


class NameTakenError(UseCaseError):
    """Another account has the name; nothing was saved."""


class UnitTakenError(UseCaseError):
    """Another active account is the same business unit; nothing was saved."""


class AccountBusyError(UseCaseError):
    """Another process is doing the same work for the account right now."""
