"""What does `processor entity` do?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from processor.cli.tables import tell_table
from processor.cli.telling import Json, iso, tell, tell_json
from processor.domain.errors import ConfigurationError
from processor.domain.ids import dead_letter_id
from processor.runtime.held import sentence

if TYPE_CHECKING:
    from processor.ports.views import EntitySeen
    from processor.ports.waiting_room import Waiting
    from processor.settings import Settings

_HEADS = ("job", "generation", "state", "lane", "place", "due", "since")


def entity(
    name: Annotated[str, typer.Argument(metavar="ENTITY", help="Its name, as it was submitted.")],
    tenant: Annotated[str | None, typer.Option("--tenant", metavar="NAME", help="Whose.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Waiting jobs told.")] = 20,
    json: Json = False,
) -> None:
    """Tell what goes first of an entity, what blocks it, and what waits behind it.

    Jobs that are still in their lane, unread or in a worker's memory, are not among them.
    """
    from processor.cli.finding import find_settings
    from processor.cli.running import run

    if not name:
        raise ConfigurationError("which entity is meant is not said: it is empty")
    found = run(_entity(find_settings(), name, tenant, limit))
    if json:
        tell_json(_as_json(name, tenant, found), indent=2)
        return
    for hold in found.holds:
        tell(sentence(hold))
    if found.head is None:
        tell(f"nothing holds {name}")
    else:
        tell(f"{name} waits for {_head(found.head)}")
    if found.waiting:
        tell_table(_HEADS, [_row(one) for one in found.waiting])
    total = sum(found.by_state.values())
    told = len(found.waiting) + (found.head is not None)
    if total > told:
        tell(f"and {total - told:,} more")


def _head(head: Waiting) -> str:
    wait = head.wait
    state = wait.state.name.lower()
    letter = dead_letter_id(wait.job, wait.generation)
    blocks = f"; replay or discard dead letter {letter}" if state == "blocking" else ""
    due = "" if wait.due_at is None or blocks else f", due {iso(wait.due_at)}"
    return f"job {wait.job}, {state} since {iso(head.since)}{due}{blocks}"


def _row(one: Waiting) -> tuple[object, ...]:
    wait = one.wait
    return (
        str(wait.job),
        wait.generation,
        wait.state.name.lower(),
        wait.lane.label,
        wait.place,
        iso(wait.due_at),
        iso(one.since),
    )


def _as_json(name: str, tenant: str | None, found: EntitySeen) -> dict[str, Any]:
    return {
        "entity": name,
        "tenant": tenant,
        "head": None if found.head is None else dict(zip(_HEADS, _row(found.head), strict=True)),
        "waiting": [dict(zip(_HEADS, _row(one), strict=True)) for one in found.waiting],
        "by_state": {state.name.lower(): count for state, count in found.by_state.items()},
        "holds": [
            {"kind": one.kind, "value": one.value, "by": one.by, "because": one.why}
            for one in found.holds
        ],
    }


async def _entity(settings: Settings, name: str, tenant: str | None, limit: int) -> EntitySeen:
    from processor.bootstrap.viewing import viewing

    async with viewing(settings) as views:
        return await views.entity(tenant, name, limit)
