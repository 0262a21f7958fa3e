"""How is an answer told, as a line and as JSON?"""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from processor.bench.comparing import Comparison
from processor.bench.question import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from processor.settings import Settings

SETTINGS: Final = ("partitions", "replication", "slots", "connections", "look_ahead")
"""Those that the figures depend on."""
QUIET: Final = 0.15
"""Cores; as much as looking on takes."""


def lines(answer: Answer | Comparison) -> list[str]:
    """A line; of a comparison the ratios, and a line for either."""
    if isinstance(answer, Answer):
        return [_line(answer)]
    return _lines(answer)


def _line(answer: Answer) -> str:
    """The median of the rounds, the lowest and the highest; CPU and memory by process."""
    wanted = answer.wanted
    crew = f", {wanted.workers} workers" if wanted.workers > 1 else ""
    figures = answer.median(lambda one: one.figures)
    told = " · ".join(_figure(answer, unit, value) for unit, value in figures.items())
    rounds = len(answer.rounds)
    number = f"{wanted.jobs:,} jobs, {rounds} round{'s' * (rounds > 1)}"
    parts = [f"{answer.question.name} ({answer.question.what}{crew}; {number}): {told}"]
    if cpu := answer.median(lambda one: one.cpu):
        whole = sum(cpu.values())
        parts.append(f"CPU s/1,000 {whole:.3f}: " + _by_process(cpu, ".3f"))
    if memory := answer.median(lambda one: one.memory):
        parts.append("MiB: " + _by_process(memory, ",.0f"))
    if (others := max(one.others for one in answer.rounds)) > QUIET:
        parts.append(f"not alone: others took up to {others:.1f} cores")
    return " | ".join(parts)


def _lines(comparison: Comparison) -> list[str]:
    ours, theirs = comparison.ours, comparison.theirs
    ratios = [_ratio(comparison, figure, value) for figure, value in comparison.median().items()]
    return [
        f"{ours.question.name} against {comparison.peer}: " + " · ".join(ratios),
        f"  ours   {_line(ours)}",
        f"  theirs {_line(theirs)}",
    ]


def as_json(answers: Sequence[Answer | Comparison], settings: Settings) -> dict[str, Any]:
    """Everything that was measured, and on what."""
    alone = [one for one in answers if isinstance(one, Answer)]
    compared = [one for one in answers if isinstance(one, Comparison)]
    return {
        "machine": machine(),
        "settings": {name: getattr(settings, name) for name in SETTINGS},
        "answers": [_answer(one) for one in alone],
        "comparisons": [_comparison(one) for one in compared],
    }


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    return {
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "release": version("job-processor"),
    }


def _answer(answer: Answer) -> dict[str, Any]:
    return {
        "name": answer.question.name,
        "what": answer.question.what,
        "jobs": answer.wanted.jobs,
        "workers": answer.wanted.workers,
        "median": answer.median(lambda one: one.figures),
        "cpu_seconds_per_1000": answer.median(lambda one: one.cpu),
        "memory_mib": answer.median(lambda one: one.memory),
        "rounds": [
            {
                "jobs": one.jobs,
                "figures": dict(one.figures),
                "cpu_seconds_per_1000": dict(one.cpu),
                "memory_mib": dict(one.memory),
                "others_cores": one.others,
            }
            for one in answer.rounds
        ],
    }


def _comparison(comparison: Comparison) -> dict[str, Any]:
    return {
        "peer": comparison.peer,
        "ours_by_theirs": comparison.median(),
        "rounds_ours_by_theirs": {
            figure: comparison.ratios(figure) for figure in comparison.theirs.rounds[0].figures
        },
        "ours": _answer(comparison.ours),
        "theirs": _answer(comparison.theirs),
    }


def _ratio(comparison: Comparison, figure: str, value: float) -> str:
    found = comparison.ratios(figure)
    return f"{value:.2f} times their {figure} ({min(found):.2f} to {max(found):.2f})"


def _figure(answer: Answer, unit: str, value: float) -> str:
    low, high = answer.spread(unit)
    return f"{_number(value)} {unit} ({_number(low)} to {_number(high)})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1_000 else f"{value:.3g}"  # noqa: PLR2004 - four digits


def _by_process(values: Mapping[str, float], form: str) -> str:
    return " · ".join(f"{name} {value:{form}}" for name, value in values.items())
