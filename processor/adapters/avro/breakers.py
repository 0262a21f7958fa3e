"""How does the news of a breaker become Avro fields, and back?"""

from __future__ import annotations

from typing import Any

from processor.adapters.avro.fields import moment
from processor.domain.breaker import BreakerChanged, BreakerState


def breaker_changed_fields(event: BreakerChanged) -> dict[str, Any]:
    """The fields of the news that a breaker has opened or closed."""
    return {
        "event_id": event.event_id.bytes,
        "at": event.at,
        "state": event.state.value,
        "type": event.type,
        "release": event.release,
        "hold": event.hold,
        "because": event.because,
        "by": event.by,
        "opened_at": event.opened_at,
    }


def breaker_changed_of(fields: dict[str, Any]) -> BreakerChanged:
    """The news of its fields; raises `ValueError`. Its id is made of the others."""
    return BreakerChanged(
        state=BreakerState(fields["state"]),
        type=fields["type"],
        release=fields["release"],
        hold=fields["hold"],
        because=fields["because"],
        by=fields["by"],
        at=moment(fields["at"]),
        opened_at=moment(fields["opened_at"]),
    )
