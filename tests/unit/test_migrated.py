"""Is the version of the tables known without loading what makes them?"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from alembic.script import ScriptDirectory

from processor.adapters.postgres import migrations
from processor.adapters.postgres.migrated import NEWEST

LOADED = """
import sys
import processor.bootstrap.asking, processor.bootstrap.projecting, processor.bootstrap.working
print([name for name in ("alembic", "sqlalchemy") if name in sys.modules])
"""


def test_the_version_that_is_needed_is_the_newest_there_is() -> None:
    (place,) = migrations.__path__
    assert ScriptDirectory(place).get_current_head() == NEWEST


def test_whoever_only_asks_loads_nothing_that_migrates() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED],
        check=True, capture_output=True, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.stdout == "[]\n"
