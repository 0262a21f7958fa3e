"""Whose entity a completed job was, read from its record, and what a selection is called."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from processor.domain.events import Completed
from processor.domain.ids import JobId, entity_key
from processor.domain.outcome import Outcome
from processor.domain.priority import Priority
from processor.domain.selection import DISCARDED, EVERY, Selection
from processor.testing.naming import CODEC
from projections.overtaking import Overtakes

JOB = JobId(UUID(int=7))
OUTCOME = Outcome(
    JOB, 1, 1, "pay", "E1", None, Priority.LOW, 3, 12_345, (Completed(1_700_000_000_000_000, b"1"),)
)


class Counting:
    """A codec that tells how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def decode_journal(self, value: bytes) -> object:
        self.asked += 1
        return CODEC.decode_journal(value)


def test_the_last_completion_of_each_entity_is_told_and_only_the_first_record_is_decoded() -> None:
    codec = Counting()
    overtakes = Overtakes(codec)  # type: ignore[arg-type]
    acme = replace(OUTCOME, tenant="acmé" * 40, entity="flügel " * 30, offset=2**40)
    records = [
        (CODEC.encode_outcome(one), at) for one, at in ((OUTCOME, 5), (acme, 7), (OUTCOME, 3))
    ]
    found = dict(overtakes.of(records))
    assert found == {entity_key(None, "E1"): 5, entity_key(acme.tenant, acme.entity): 7}
    assert codec.asked == 1


@pytest.mark.parametrize("cut", [0, 9, 20, 40, 50])
def test_a_record_that_breaks_off_is_left_out(cut: int) -> None:
    overtakes = Overtakes(CODEC)
    whole = CODEC.encode_outcome(OUTCOME)
    assert overtakes.of([(whole, 1)]) == [(entity_key(None, "E1"), 1)]
    assert overtakes.of([(whole[:cut], 1)]) in ([], [(entity_key(None, "E1"), 1)])


def test_a_version_whose_names_stand_elsewhere_is_decoded_each_time() -> None:
    class Elsewhere(Counting):
        def decode_journal(self, value: bytes) -> object:
            super().decode_journal(value)
            return replace(OUTCOME, entity="not where it stands")

    codec = Elsewhere()
    overtakes = Overtakes(codec)  # type: ignore[arg-type]
    value = CODEC.encode_outcome(OUTCOME)
    assert overtakes.of([(value, 1), (value, 2)]) == [(entity_key(None, "not where it stands"), 2)]
    assert codec.asked == 2


def test_a_selection_says_what_it_chooses() -> None:
    assert (EVERY.empty, DISCARDED.empty, Selection(type="a").empty) == (True, True, False)
    assert (EVERY.words(), DISCARDED.words()) == ("all", "discarded")
    whole = Selection(
        ids=(UUID(int=1),),
        type="pay",
        place="app:pay:1",
        release="7",
        tenant="acme",
        died_after=0,
        died_before=1_000_000,
        overtaken=False,
    )
    assert whole.words() == (
        "1 named, type pay, place app:pay:1, release 7, tenant acme, died since"
        " 1970-01-01T00:00:00+00:00, died before 1970-01-01T00:00:01+00:00, not overtaken"
    )
    assert Selection(overtaken=True).words() == "overtaken"
