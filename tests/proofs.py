"""Which proofs is the README's table made of, and how often did each run?

A proof is a command of pytest and the tests that it runs. A test says how many runs it made by
`record_property("runs", number)`; one that says nothing made one. With `--proofs` the runs of a
session, and how many of its tests failed, are kept in `proofs.json`, and the README's table is
written anew from there: so no figure is in it that no run has made. To have a row made, add the
proof here and run its command with `--proofs` behind it. The long ones are hours together.
"""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

Record = Callable[[str, object], None]
"""`record_property`."""

ROOT: Final = Path(__file__).parents[1]
README: Final = ROOT / "README.md"
FIGURES: Final = Path(__file__).parent / "proofs.json"
BEGIN, END = "<!-- proofs: made by pytest --proofs -->\n", "<!-- end of proofs -->\n"


class Proof(NamedTuple):
    """What is promised, what is done to break it, and how that is repeated."""

    promise: str
    fault: str
    unit: str
    """What one run is."""
    arguments: str
    """Of pytest."""
    tests: tuple[str, ...]
    """The names of the tests that it runs."""

    @property
    def command(self) -> str:
        """As a person types it."""
        return f"pytest {self.arguments}"


class Figure(NamedTuple):
    """What came of a proof."""

    runs: int
    violations: int


PROOFS: Final = {
    "simulation": Proof(
        "every promise, whatever chance plans",
        "deaths, freezes, cuts, lost answers, copies, failovers, rebalances, holds, cancels and"
        " replays at any moment, simulated",
        "runs",
        '-m "long or not long" tests/fault/test_simulation.py',
        (
            "test_every_promise_holds_whatever_chance_plans",
            "test_every_promise_holds_in_ten_thousand_runs",
        ),
    ),
    "soak": Proof(
        "every promise, on the real parts",
        "`kill -9` of workers and projectors while jobs of every kind are worked",
        "kills",
        "-m long tests/fault/test_chaos.py -k two_hundred_kill_9",
        ("test_two_hundred_kill_9_of_workers_and_projectors_break_no_invariant",),
    ),
    "chaos": Proof(
        "every promise, on the real parts",
        "every fault there is: kills, freezes, cuts, restarts of broker and database, a standby"
        " promoted, foreign records",
        "runs",
        "-m long tests/fault/test_chaos.py -k every_fault",
        ("test_every_fault_there_is_breaks_no_invariant",),
    ),
    "death": Proof(
        "effects exactly once, nothing lost, in order",
        "the worker dies before or after any one of its calls, and a successor or a neighbour goes"
        " on",
        "deaths",
        "-m long tests/fault/test_runtime_death.py -k may_die",
        ("test_a_worker_may_die_at_any_call",),
    ),
    "fault": Proof(
        "no attempt is consumed, nothing lost",
        "any one call fails, or its answer is lost",
        "faults",
        "-m long tests/fault/test_runtime_death.py -k may_fail",
        ("test_any_call_may_fail",),
    ),
    "death while jobs wait": Proof(
        "order survives retries, schedules, blocks and spilling",
        "the worker dies before or after any one of its calls",
        "deaths",
        "-m long tests/fault/test_waiting_death.py -k may_die",
        ("test_a_worker_may_die_at_any_call_while_jobs_wait",),
    ),
    "fault while jobs wait": Proof(
        "order survives retries, schedules, blocks and spilling",
        "any one call fails, or its answer is lost",
        "faults",
        "-m long tests/fault/test_waiting_death.py -k may_fail",
        ("test_any_call_may_fail_while_jobs_wait",),
    ),
    "mutants": Proof(
        "a safeguard that is gone is missed",
        "each is switched off in turn, and the simulation must break",
        "safeguards",
        '-m "long or not long" tests/fault/test_mutants.py',
        ("test_a_promise_breaks_without",),
    ),
    "follow-ups": Proof(
        "follow-ups exist if and only if their parent committed",
        "`kill -9` at every step of a parent's life",
        "kills",
        "-m long tests/acceptance/test_follow_ups.py -k at_each_step_alone",
        ("test_follow_ups_are_whole_after_a_kill_9_at_each_step_alone_beside_other_work",),
    ),
    "cancels": Proof(
        "a job has one end, and who cancelled is told which",
        "cancels race success, failure, parking and the flush",
        "races",
        "-m long tests/acceptance/test_cancelling.py",
        ("test_a_cancel_races_success_failure_parking_and_the_flush_without_a_second_end",),
    ),
    "holds": Proof(
        "what was held goes on once and in order",
        "types, entities, tenants and lanes are held and released while jobs come",
        "holds",
        "-m long tests/acceptance/test_holding.py -k whenever",
        ("test_jobs_go_on_once_and_in_order_whenever_they_are_held_and_released",),
    ),
    "records": Proof(
        "errors are never silent, nothing lost",
        "random and spoilt records are decoded",
        "inputs",
        "-m long tests/fuzz/test_avro.py -k reader",
        ("test_whatever_the_bytes_are_a_reader_says_undecodable_at_worst",),
    ),
    "records in a lane": Proof(
        "errors are never silent, nothing lost",
        "random and spoilt records stand in the lanes and are worked",
        "inputs",
        "-m long tests/fuzz/test_avro.py -k fifty_records",
        ("test_of_any_fifty_records_in_the_lanes_each_comes_to_its_end",),
    ),
    "records projected": Proof(
        "errors are never silent, nothing lost",
        "random and spoilt records are projected",
        "inputs",
        "-m long tests/fuzz/test_avro.py -k projection",
        ("test_a_projection_keeps_every_record_as_one_row_or_aside",),
    ),
    "lines": Proof(
        "a broken line is named, those before it are read",
        "random and spoilt lines are submitted",
        "inputs",
        "-m long tests/fuzz/test_lines.py -k one_clear_line",
        ("test_a_line_is_a_submission_or_one_clear_line_that_names_its_number",),
    ),
    "files": Proof(
        "a broken line is named, those before it are read",
        "files with spoilt lines come through a pipe",
        "lines",
        "-m long tests/fuzz/test_lines.py -k of_any_file",
        ("test_of_any_file_every_line_before_the_first_broken_one_is_read_and_none_after",),
    ),
    "requests": Proof(
        "over HTTP every answer is one that is described",
        "random and spoilt requests are sent to every route",
        "inputs",
        "-m long tests/fuzz/test_api.py -k answered",
        ("test_a_request_is_answered_as_described_and_never_by_a_500",),
    ),
    "settings": Proof(
        "a wrong setting is one clear line without a password",
        "random and spoilt environments are read",
        "inputs",
        "-m long tests/fuzz/test_settings.py -k environment",
        ("test_any_environment_makes_settings_or_one_line_that_names_the_wrong_variable",),
    ),
    "words": Proof(
        "a wrong argument is one clear line, never a traceback",
        "random and spoilt words are given to the command line, with broker and database",
        "commands",
        "-m long tests/fuzz/test_settings.py -k words",
        ("test_any_words_to_the_command_line_end_in_work_or_one_clear_line",),
    ),
}


def count(arguments: Sequence[str], outcomes: Iterable[tuple[str, int, bool]]) -> dict[str, Figure]:
    """The figures of a session: name of the test, runs that it made, whether it held.

    Of the proofs whose command the session was, whatever options it had beside: a figure of fewer
    tests, or of their small versions, is none.
    """
    runs: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    of = {
        test: name
        for name, proof in PROOFS.items()
        for test in proof.tests
        if set(shlex.split(proof.arguments)) <= set(arguments)
    }
    for test, number, held in outcomes:
        if test in of:
            runs[of[test]] += number
            failed[of[test]] += not held
    return {name: Figure(runs[name], failed[name]) for name in runs}


def figures() -> dict[str, Figure]:
    """What is kept."""
    kept = json.loads(FIGURES.read_text(encoding="utf-8"))
    return {name: Figure(one["runs"], one["violations"]) for name, one in kept.items()}


def keep(found: Mapping[str, Figure]) -> None:
    """Put figures into the place of older ones, and write the README's table anew."""
    kept = {**figures(), **found}
    told = {name: kept[name]._asdict() for name in PROOFS if name in kept}
    FIGURES.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    before, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    README.write_text(before + BEGIN + table() + END + after, encoding="utf-8")


def table() -> str:
    """The README's table."""
    kept = figures()
    lines = [
        "| promise | fault | runs | violations | repeated by |",
        "|---|---|---|---|---|",
        *(
            f"| {proof.promise} | {proof.fault} | {kept[name].runs:,} {proof.unit}"
            f" | {kept[name].violations} | `{proof.command}` |"
            for name, proof in PROOFS.items()
            if name in kept
        ),
    ]
    return "\n".join(lines) + "\n"


def file_of(proof: Proof) -> Path:
    """The file whose tests it runs."""
    return ROOT / next(one for one in shlex.split(proof.arguments) if one.endswith(".py"))
