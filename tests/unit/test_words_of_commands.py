"""Is a word that is no text refused alike, whichever command it is given to?"""

from __future__ import annotations

import sys

import pytest

from processor.cli import main

ID = "01890a5d-ac96-774b-bcce-b302099a8057"
BAD = "caf\udce9"
GIVEN = {
    "VALUE": ("hold", "entity", BAD, "--because", "why"),
    "KIND": ("release", BAD, "N1", "--because", "why"),
    "--by": ("hold", "entity", "N1", "--because", "why", "--by", BAD),
    "--because": ("cancel", ID, "--because", BAD),
    "ENTITY": ("entity", BAD),
    "--tenant": ("entity", "N1", "--tenant", BAD),
    "--place": ("dead-letters", "list", "--place", BAD),
    "ID": ("status", BAD),
    "--type": ("submit", "nowhere.jsonl", "--type", BAD),
    "MODULE:JOBS": ("worker", f"{BAD}:jobs"),
}


@pytest.mark.parametrize("name", GIVEN)
def test_a_word_that_is_no_unicode_is_one_clear_line(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["processor", *GIVEN[name]])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"processor: {name} is not valid Unicode\n"


def test_the_name_of_a_file_may_be_any_bytes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["processor", "submit", BAD, "--check"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "caf\\udce9" in capsys.readouterr().err
