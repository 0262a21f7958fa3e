"""Do two installations that share a cache leave each other's archive of classes alone?"""

from __future__ import annotations

import os
from pathlib import Path

from processor.local.java import UNUSED_SECONDS, sweep

NOW = 1_800_000_000.0


def test_only_archives_that_nobody_has_used_for_a_week_are_deleted(tmp_path: Path) -> None:
    ours, theirs, old = (tmp_path / f"classes-{name}.jsa" for name in ("ours", "theirs", "old"))
    for archive, age in ((ours, 0.0), (theirs, UNUSED_SECONDS - 1), (old, UNUSED_SECONDS + 1)):
        archive.touch()
        os.utime(archive, (NOW - age, NOW - age))
    sweep(tmp_path, NOW)
    assert sorted(tmp_path.iterdir()) == [ours, theirs]
