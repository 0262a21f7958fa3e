"""Is the README's table of proofs what the runs have made of it?"""

from __future__ import annotations

import re
import shlex

import pytest

from tests.proofs import BEGIN, END, PROOFS, README, Figure, count, figures, file_of, table


def test_the_readmes_table_is_made_of_the_figures_that_runs_have_kept() -> None:
    (told,) = re.findall(
        f"{re.escape(BEGIN)}(.*?){re.escape(END)}", README.read_text(), flags=re.DOTALL
    )
    assert told == table()


def test_no_figure_is_kept_of_a_proof_that_is_not_there_and_none_tells_of_a_violation() -> None:
    kept = figures()
    assert kept.keys() <= PROOFS.keys()
    assert {name for name, one in kept.items() if one.violations or not one.runs} == set()


@pytest.mark.parametrize("name", PROOFS)
def test_the_command_of_a_proof_runs_the_tests_that_it_names(name: str) -> None:
    proof = PROOFS[name]
    written = set(re.findall(r"def (test_\w+)\(", file_of(proof).read_text()))
    assert set(proof.tests) <= written
    chosen = re.search(r" -k (\w+)$", proof.arguments)
    if chosen:
        assert {test for test in written if chosen[1] in test} >= set(proof.tests)


def test_the_runs_of_a_proofs_command_are_added_up_and_its_failures_are_violations() -> None:
    one, other = (PROOFS[name] for name in ("death", "settings"))
    told = [
        (one.tests[0], 700, True),
        (one.tests[0], 690, False),
        (other.tests[0], 3, True),
        ("test_else", 9, True),
    ]
    command = [*shlex.split(one.arguments), "--proofs", "-q"]
    assert count(command, told) == {"death": Figure(1_390, 1)}
    assert count([*command[:3], "--proofs"], told) == {}, "not all of it was run"
