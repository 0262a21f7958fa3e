"""When is a database another than it was?"""

from __future__ import annotations

import pytest

from processor.adapters.postgres.lineage import Identity, Lineage

FIRST = Identity(system=7, timeline=1, written=1000)


def test_a_first_look_and_one_that_goes_on_from_it_change_nothing() -> None:
    lineage = Lineage()
    assert lineage.timeline == 0
    for written in (1000, 1000, 2000):
        lineage.observe(Identity(7, 1, written), lineage.written)
    assert (lineage.era, lineage.timeline) == (0, 1)


@pytest.mark.parametrize(
    "found",
    [Identity(8, 1, 2000), Identity(7, 2, 2000), Identity(7, 1, 999)],
    ids=["another system", "a failover", "a restored snapshot"],
)
def test_another_system_timeline_or_an_older_log_starts_a_new_era(found: Identity) -> None:
    lineage, left = Lineage(), []
    lineage.on_change(lambda: left.append("one"))
    lineage.on_change(lambda: left.append("other"))
    lineage.observe(FIRST, 0)
    lineage.observe(found, lineage.written)
    assert (lineage.era, lineage.timeline) == (1, found.timeline)
    assert left == ["one", "other"]
    lineage.observe(found, lineage.written)
    assert lineage.era == 1


def test_answers_that_overtake_each_other_are_no_restore() -> None:
    lineage = Lineage()
    lineage.observe(FIRST, 0)
    asked_first = asked_second = lineage.written
    lineage.observe(Identity(7, 1, 1500), asked_second)
    lineage.observe(Identity(7, 1, 1200), asked_first)
    assert (lineage.era, lineage.written) == (0, 1500)


def test_what_was_heard_between_two_connections_tells_a_copy_that_is_restored() -> None:
    lineage = Lineage()
    lineage.hear(5_000)
    assert lineage.written == 0
    lineage.observe(FIRST, 0)
    lineage.hear(5_000)
    lineage.hear(4_000)
    assert lineage.written == 5_000
    lineage.observe(Identity(7, 1, 3_000), lineage.written)
    assert (lineage.era, lineage.written) == (1, 3_000)
