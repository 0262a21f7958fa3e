"""What does `processor audit` do?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from processor.cli.selecting import moment
from processor.cli.telling import JsonLines, id_of, iso, tell, tell_json
from processor.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from processor.ports.operations import AuditQuery, Operation, OperationKind
    from processor.settings import Settings


def audit(
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="From then on, or for so long: 7d, 2h."),
    ] = None,
    kind: Annotated[
        str | None, typer.Option("--kind", metavar="WORD", help="replay, discard, hold, …")
    ] = None,
    by: Annotated[str | None, typer.Option("--by", metavar="NAME", help="What they did.")] = None,
    job: Annotated[
        str | None, typer.Option("--job", metavar="ID", help="What one job saw.")
    ] = None,
    singly: Annotated[
        bool, typer.Option("--singly", help="Also each letter that a plan took.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 1000,
    json: JsonLines = False,
) -> None:
    """Tell who did what, when and why, the newest first."""
    from processor.cli.finding import find_settings
    from processor.cli.running import run
    from processor.domain.ids import JobId
    from processor.ports.operations import AuditQuery

    query = AuditQuery(
        since=moment(since),
        kind=_kind(kind),
        actor=by,
        job=None if job is None else JobId(id_of(job, "job")),
        singly=singly or job is not None,
        limit=limit,
    )
    for one in run(_asked(find_settings(), query)):
        if json:
            tell_json(as_json(one))
        else:
            tell(line_of(one))


async def _asked(settings: Settings, query: AuditQuery) -> list[Operation]:
    from processor.bootstrap.operating import auditing

    async with auditing(settings) as told:
        return await told(query)


def _kind(word: str | None) -> OperationKind | None:
    from processor.ports.operations import OperationKind

    try:
        return None if word is None else OperationKind(word)
    except ValueError:
        words = ", ".join(OperationKind)
        raise ConfigurationError(
            f"{word!r} is nothing that is audited; use one of {words}"
        ) from None


def line_of(one: Operation) -> str:
    """One operation in one line."""
    what = one.subject
    if one.job is not None:
        what = f"job {one.job}, generation {one.generation}"
    if one.plan is not None and one.job is not None:
        what += f", plan {one.plan}"
    if one.changes:
        from projections.timeline import told_change

        what += f" ({', '.join(map(told_change, one.changes))})"
    why = f": {one.reason}" if one.reason else ""
    return f"{iso(one.at)}  {one.kind:<8} {what}  by {one.actor or 'nobody named'}{why}"


def as_json(one: Operation) -> dict[str, Any]:
    """One operation for programs, its time in ISO 8601 (UTC)."""
    return {
        "number": one.number,
        "at": iso(one.at),
        "kind": one.kind,
        "by": one.actor,
        "because": one.reason,
        "subject": one.subject,
        "job": one.job,
        "generation": one.generation,
        "plan": one.plan,
        "changes": [
            {"path": change.path, "before": change.before, "after": change.after}
            for change in one.changes
        ],
    }
