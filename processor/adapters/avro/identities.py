"""How do sixteen bytes become an id?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from processor.domain import ids

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from processor.domain.ids import JobId


def uuid_of(raw: bytes) -> UUID:
    """The id; the caller answers for the length."""
    return ids.uuid_of(int.from_bytes(raw))


job_of: Final = cast("Callable[[bytes], JobId]", uuid_of)
"""The same as a job's id; to say `JobId(…)` costs a call."""
