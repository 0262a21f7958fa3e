"""Is each safeguard missed as soon as it is gone?

A mutant switches one safeguard off, and the simulation must then break a promise. The runs begin at
a seed that did when this was written.
"""

from __future__ import annotations

from itertools import chain

import pytest

from tests.mutants import MUTANTS

SEEDS = 300
RARELY_MISSED = ("the fence of the flush",)
"""Of which it takes long to find a run that misses them."""


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.long if name in RARELY_MISSED else ())
        for name in MUTANTS
    ],
)
def test_a_promise_breaks_without(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant = MUTANTS[name]
    simulation = mutant.simulation()
    mutant.patch(monkeypatch)
    seeds = chain(range(mutant.seed, SEEDS), range(mutant.seed))
    assert any(simulation.seed(seed).violations for seed in seeds), f"nobody misses {name}"
