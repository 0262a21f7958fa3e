"""Which tests are there, by name?"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path


@cache
def written_tests() -> frozenset[str]:
    """Every test function below this folder."""
    return frozenset(
        name
        for file in Path(__file__).parent.rglob("test_*.py")
        for name in re.findall(r"def (test_\w+)\(", file.read_text(encoding="utf-8"))
    )
