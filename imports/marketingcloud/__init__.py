"""The wall: everything in mcdash that knows SOAP.

Its law: nothing of zeep, lxml or requests leaves this package, and nothing of
Django or our models enters it. What leaves is a frozen record
(`records.py`) or a `MarketingCloudError` (`errors.py`), named by what the
caller may do next. Perform is sent at most once per call of
`MarketingCloudClient.start_definition`; only "Token Expired", which proves that
nothing was performed, is followed by a second send with a new token.
"""

from __future__ import annotations
