"""Many definitions, for tests of size."""

from __future__ import annotations

from imports.sandbox.catalogue import Definition, data_extension, made_id


def crowd(mid: int, count: int) -> tuple[Definition, ...]:
    """`count` plain definitions without a schedule."""
    return tuple(
        Definition(
            mid=mid,
            number=60,
            object_id=made_id(mid, f"crowd-{place:05}"),
            customer_key=f"crowd-{place:05}",
            name=f"Crowd {place:05}",
            description=f"Definition {place} of a crowd",
            file_spec=f"crowd_{place:05}_%%Year%%%%Month%%%%Day%%.csv",
            update_type="AddAndUpdate",
            destination=data_extension(mid, f"crowd_{place:05}"),
            rows=1000 + place,
        )
        for place in range(count)
    )
