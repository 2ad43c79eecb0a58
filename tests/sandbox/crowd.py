"""Many definitions, for tests of size."""

from __future__ import annotations

from imports.sandbox.catalogue import NEVER, Definition, new_definition


def crowd(mid: int, count: int) -> tuple[Definition, ...]:
    """`count` plain definitions without a schedule."""
    return tuple(
        new_definition(
            mid,
            60,
            (
                f"crowd-{place:05}",
                f"crowd_{place:05}_%%Year%%%%Month%%%%Day%%.csv",
                "AddAndUpdate",
                f"crowd_{place:05}",
                1000 + place,
                NEVER,
                {},
            ),
        )
        for place in range(count)
    )
