"""Where does the embedded stack keep what it downloads, and what it stores?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

APPLICATION = "job-processor"


def cache_folder(environment: Mapping[str, str]) -> Path:
    """The folder for what can be fetched again: Kafka's jars and the JVM's class archive."""
    return _root(environment, "XDG_CACHE_HOME", ".cache") / APPLICATION


def data_folder(environment: Mapping[str, str]) -> Path:
    """The folder of the broker's and the database's data, unless another one is named."""
    return _root(environment, "XDG_DATA_HOME", ".local/share") / APPLICATION / "local"


def _root(environment: Mapping[str, str], variable: str, fallback: str) -> Path:
    named = environment.get(variable, "")
    # The XDG rules: a relative path is to be ignored.
    return Path(named) if Path(named).is_absolute() else Path.home() / fallback
