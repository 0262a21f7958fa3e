"""Is every interleaving that is known to break a simpler design produced by a test?"""

from __future__ import annotations

import pytest

from tests.hazards import HAZARDS
from tests.written import written_tests


def test_every_hazard_has_its_number_and_no_other() -> None:
    assert list(HAZARDS) == [f"H{number}" for number in range(1, 50)]


@pytest.mark.parametrize("name", HAZARDS)
def test_a_hazard_is_told_and_produced_by_tests_that_are_there(name: str) -> None:
    hazard = HAZARDS[name]
    assert hazard.breaks.endswith(".")
    assert hazard.answer.endswith(".")
    assert hazard.tests or hazard.missing, f"no test produces {name}, and nothing says why"
    assert set(hazard.tests) <= written_tests()
