"""What do the commands `processor plans …` do?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from processor.cli.telling import Because, By, Json, JsonLines, iso, tell, tell_json, who, why
from processor.cli.words import Command

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from processor.ports.plans import Plan
    from processor.runtime.plans import Plans
    from processor.settings import Settings

Number = Annotated[int, typer.Argument(metavar="PLAN", min=1, help="The plan's number.")]

app = typer.Typer(
    name="plans",
    help="Look at plans over dead letters; stop and resume them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("list", cls=Command)
def list_(
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    json: JsonLines = False,
) -> None:
    """List the plans, the newest first."""
    from processor.cli.plan_running import as_json
    from processor.cli.tables import tell_table

    found = _run(lambda plans: plans.recent(limit))
    if json:
        for plan in found:
            tell_json(as_json(plan))
        return
    tell_table(
        ("plan", "kind", "state", "letters", "done", "refused", "made", "by", "selection"),
        [
            (
                str(plan.id),
                plan.kind,
                plan.state,
                plan.letters,
                plan.done,
                plan.refused,
                iso(plan.at),
                plan.draft.by,
                plan.selection.words(),
            )
            for plan in found
        ],
    )


@app.command(cls=Command)
def show(plan: Number, json: Json = False) -> None:
    """Tell everything about one plan."""
    _tell(_run(lambda plans: plans.get(plan)), json=json)


@app.command(cls=Command)
def stop(plan: Number, because: Because = None, by: By = None, json: Json = False) -> None:
    """Stop a plan after the letters that are on their way; it can be resumed."""
    actor, reason = who(by), why(because)
    _tell(_run(lambda plans: plans.stop(plan, by=actor, because=reason)), json=json)


@app.command(cls=Command)
def resume(
    plan: Number,
    because: Because = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Leave it to the workers, and do not wait for its end.")
    ] = False,
    by: By = None,
    json: Json = False,
) -> None:
    """Go on with a plan that was stopped; after a failed canary with a canary of the next letters.

    It is run here; where this process dies a worker goes on with it.
    """
    from processor.cli.finding import find_settings
    from processor.cli.running import run

    actor, reason = who(by), why(because)
    run(_resume(find_settings(), plan, actor, reason, detach=detach, json=json))


async def _resume(
    settings: Settings, number: int, by: str, because: str, *, detach: bool, json: bool
) -> None:
    from processor.bootstrap.operating import operating_on
    from processor.cli.plan_running import run_here

    async with operating_on(settings) as operations:
        plan = await operations.plans.resume(number, by=by, because=because)
        if detach:
            _tell(plan, json=json)
        else:
            await run_here(operations.plans, number, json=json)


def _run(ask: Callable[[Plans], Awaitable[Any]]) -> Any:  # noqa: ANN401 - what was asked for
    from processor.cli.finding import find_settings
    from processor.cli.running import run

    return run(_asked(find_settings(), ask))


async def _asked(settings: Settings, ask: Callable[[Plans], Awaitable[Any]]) -> Any:  # noqa: ANN401
    from processor.bootstrap.operating import operating_on

    async with operating_on(settings) as operations:
        return await ask(operations.plans)


def _tell(plan: Plan, *, json: bool) -> None:
    from processor.cli.plan_running import as_json, describe

    if json:
        tell_json(as_json(plan), indent=2)
    else:
        tell(*describe(plan))
