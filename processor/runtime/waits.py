"""Which row does a waiting job get?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from processor.ports.waiting_room import Wait, WaitingState

if TYPE_CHECKING:
    from processor.runtime.delivery import Delivery


def wait_of(
    delivery: Delivery,
    state: WaitingState,
    *,
    due_in: float | None = None,
    due_at: int | None = None,
    hold: int | None = None,
    body: bytes | None = None,
) -> Wait:
    """The row of a delivery in a state; whatever is not queued or scheduled holds its entity.

    Without a `body` it keeps the outcome that its row has had.
    """
    return Wait(
        job=delivery.record.job,
        generation=delivery.record.generation,
        entity_key=delivery.entity,
        state=state,
        lane=delivery.lane,
        place=delivery.offset,
        submission=delivery.value,
        holds=state not in (WaitingState.QUEUED, WaitingState.SCHEDULED),
        due_in=due_in,
        due_at=due_at,
        hold=hold,
        attempt=delivery.attempt,
        runs=delivery.runs,
        faults=delivery.faults,
        body=delivery.body if body is None else body,
    )
