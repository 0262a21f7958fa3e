"""When is a database another than it was?"""

from __future__ import annotations

import pytest

from processor.adapters.postgres.lineage import Identity, Lineage

FIRST = Identity(system=7, timeline=1, written=1000)


def test_a_first_look_and_one_that_goes_on_from_it_change_nothing() -> None:
    lineage = Lineage()
    assert lineage.timeline == 0
    for written in (1000, 1000, 2000):
        lineage.observe(Identity(7, 1, written))
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
    lineage.observe(FIRST)
    lineage.observe(found)
    assert (lineage.era, lineage.timeline) == (1, found.timeline)
    assert left == ["one", "other"]
    lineage.observe(found)
    assert lineage.era == 1
