"""Can what others named do nothing to the terminal that shows it?"""

from __future__ import annotations

import pytest

from processor.cli.telling import tell, tell_json


def test_a_name_that_others_chose_neither_breaks_a_line_nor_commands_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tell("a\nb \x1b[31mred\x7f \x9b2J \u202egnol", "Größe 飛行機")
    assert capsys.readouterr().out == (
        "a\\nb \\x1b[31mred\\x7f \\x9b2J \\u202egnol\nGröße 飛行機\n"
    )


def test_json_keeps_its_own_lines(capsys: pytest.CaptureFixture[str]) -> None:
    tell_json({"type": "a\n\x1b"}, indent=1)
    assert capsys.readouterr().out == '{\n "type": "a\\n\\u001b"\n}\n'
