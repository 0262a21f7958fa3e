"""Is each safeguard missed as soon as it is gone?

A mutant switches one safeguard off, and the simulation must then break a promise, in a run that
keeps them all while the safeguard is there. The runs begin at a seed that missed it when this was
written.
"""

from __future__ import annotations

from itertools import chain

import pytest

from tests.mutants import MUTANTS

SEEDS = 300


@pytest.mark.parametrize("name", MUTANTS)
def test_a_promise_breaks_without(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant = MUTANTS[name]
    simulation = mutant.simulation()
    with monkeypatch.context() as mutated:
        mutant.patch(mutated)
        seeds = chain(range(mutant.seed, SEEDS), range(mutant.seed))
        missed = next((seed for seed in seeds if mutant.is_missed(simulation.seed(seed))), None)
    assert missed is not None, f"nobody misses {name}"
    whole = simulation.seed(missed)
    assert not whole.violations, f"seed {missed} breaks a promise anyway: {whole}"
