"""Errors named by what the caller may do next."""

from __future__ import annotations


class MarketingCloudError(Exception):
    """Marketing Cloud did not do, or did not say that it did, what we asked.

    `code` is the vendor's ErrorCode or fault code, `request_id` the vendor's
    RequestID; both are None where the answer had none. The message is fit for a
    person and never contains a credential or a token.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.request_id = request_id


class AuthenticationError(MarketingCloudError):
    """The credentials were refused; asking again with them is pointless."""


class RequestRefusedError(MarketingCloudError):
    """An answer proves that the request was not carried out."""


class UnavailableError(MarketingCloudError):
    """Proven that nothing was sent; the same request may be made again."""


class OutcomeUnknownError(MarketingCloudError):
    """The request was sent and no readable answer came.

    A read may be repeated. A Perform may have started an import: never again.
    """
