"""Does any setting or argument, whatever it says, end in anything but work or one clear line?"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from random import Random
from typing import Final

from processor.domain.errors import ConfigurationError
from processor.local.stack import Stack
from processor.settings import Settings
from tests.commands import commands
from tests.fuzz.spoiling import text_of
from tests.fuzz.trying import inputs, survives

VARIABLES: Final = tuple(one.metadata["variable"] for one in fields(Settings))
SECRET: Final = "canary"
WORDS: Final = (
    "localhost", ":9092", ":0", ":65536", ":99999999999999999999", ",", "[::1]", "[::1", "http://",
    "postgresql://", "postgres://", f"u:{SECRET}@", f"u%zz:{SECRET}%40@", "/name", "/na%00me", "?",
    "?sslmode=disable", "#", "12", "-1", "0", "1e3", "1_000", "0x10", "nan", "inf", "-inf", "1e999",
    "9" * 5_000, "jobs", "Jobs", "a-b", "\u0661\u0662", " ", "..", "/", "x" * 70, "%s", "{}", "~",
)  # fmt: skip


@inputs(6_000)
def test_any_environment_makes_settings_or_one_line_that_names_the_wrong_variable(
    seeds: Sequence[int],
) -> None:
    def attempt(seed: int) -> None:
        chance = Random(seed)
        environment = {
            name: text_of(chance, WORDS)
            for name in chance.sample(VARIABLES, chance.choice((1, 1, 1, 3)))
        }
        try:
            settings = Settings.from_env(environment)
        except ConfigurationError as wrong:
            said = str(wrong)
            assert said.startswith(tuple(f"{name} is wrong: " for name in environment))
            assert said.isprintable(), f"more than one line of plain text: {said!r}"
            assert SECRET not in said, "the line tells a password"
            assert "digits" not in said, "the line is Python's own"
            assert len(said) < 500
        else:
            assert SECRET not in repr(replace(settings, release="", local=None, api_tokens=None))
            settings.release.encode()

    survives(attempt, seeds)


@inputs(40, 1_000)
def test_any_words_to_the_command_line_end_in_work_or_one_clear_line(
    seeds: Sequence[int], stack: Stack, jobs_template: str, namespace: str, tmp_path: Path
) -> None:
    with commands(stack, namespace, tmp_path, template=jobs_template) as run:
        assert run("migrate").code == 0
        done = subprocess.run(
            [sys.executable, "-m", "tests.fuzz.commanding", str(seeds[0]), str(len(seeds))],
            env=run.environment({"PYTHONPATH": str(Path(__file__).parents[2])}),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
