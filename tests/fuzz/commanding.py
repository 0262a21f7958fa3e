"""What does the command line make of any words and any environment?

A process of its own, since commands change what belongs to a whole process: `python -m` with the
first seed and how many. Each seed makes one command, run by `main` as the entry point does; it ends
with 0, 1 or 2, or what the program says is wrong with its arguments, and never with a traceback.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from random import Random
from typing import Final

from processor.cli import main
from tests.fuzz.spoiling import text_of
from tests.fuzz.trying import survives

ID: Final = "01890a5d-ac96-774b-bcce-b302099a8057"
FILE: Final = "jobs.jsonl"
COMMANDS: Final[tuple[tuple[str, ...], ...]] = (
    ("status", ID),
    ("cancel", ID, "--because", "why"),
    ("submit", FILE, "--check"),
    ("submit", FILE, "--type", "a", "--priority", "low", "--batch", ID),
    ("hold", "entity", "N1", "--because", "why", "--until", "2100-01-01T00:00Z", "--by", "ann"),
    ("release", "entity", "N1", "--because", "why"),
    ("dead-letters", "list", "--type", "a", "--tenant", "t", "--place", "p", "--limit", "3"),
    ("dead-letters", "groups", "--json"),
    ("dead-letters", "show", ID),
    ("dead-letters", "replay", ID, "--because", "why", "--priority", "low"),
    ("dead-letters", "discard", "--type", "nobody-s", "--because", "why", "--by", "ann"),
    ("rebuild", "--help"),
    ("worker", "nowhere:jobs"),
)
"""None of them starts what does not end: `demo`, `local`, `projector`, a worker with handlers."""
WORDS: Final = (
    "", "-", "--", "--json", "--help", "-h", "--no-such", "--because", "--by", "--limit", "--type",
    "--until", ID, ID.upper(), "{" + ID + "}", "0" * 32, "1" * 40, "-1", "0", "9" * 30, "1e3",
    "entity", "lane", "LOW", "urgent", "2100-01-01", "2100-01-01T00:00", "0001-01-01T00:00Z",
    "9999-12-31T23:59:59-23:59", "os", "os:path", "os.path:join", ":", "..x", "a.b.c:d", "x" * 300,
    FILE, "nowhere.jsonl", ".", "a\nb", "\x1b[2J", "\udcff", "'; DROP TABLE jobs.hold; --", "%s",
    "{}", "\u202e", "日本",
)  # fmt: skip
LINES: Final = (b'{"type":"a"}\n', b'{"type":"a"}\n{"a\\nb":1}\n', b"\xff\n", b"", b"[" * 100)


def words_of(chance: Random) -> list[str]:
    """A command that is right but for a few words."""
    words = list(chance.choice(COMMANDS))
    for _ in range(chance.choice((0, 1, 1, 2, 3))):
        at = chance.randrange(1, len(words) + 1)
        match chance.randrange(4):
            case 0:
                words.insert(at, _word(chance))
            case 1:
                del words[at : at + 1]
            case _:
                words[at : at + 1] = [_word(chance)]
    return [word for word in words if "\0" not in word]


def _word(chance: Random) -> str:
    return chance.choice(WORDS) if chance.random() < 0.8 else text_of(chance, WORDS, 2)


def run(words: Sequence[str]) -> tuple[int, str]:
    """Exit code and what was said of it, as a shell would have it."""
    out, err = io.BytesIO(), io.BytesIO()
    code, sys.argv = 0, ["processor", *words]
    with (
        redirect_stdout(io.TextIOWrapper(out, "utf-8", write_through=True)),
        redirect_stderr(io.TextIOWrapper(err, "utf-8", "backslashreplace", write_through=True)),
    ):
        try:
            main()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
        return code, err.getvalue().decode()


def attempt(seed: int) -> None:
    """One command, and what must hold of its end."""
    chance = Random(seed)
    Path(FILE).write_bytes(chance.choice(LINES))
    words = words_of(chance)
    try:
        code, err = run(words)
    except BaseException as error:
        error.add_note(f"processor {words}")
        raise
    told = f"processor {words} ended with {code} and said {err!r}"
    assert code in {0, 2}, told
    assert "Traceback" not in err, told
    if err.startswith("processor: "):
        assert code == 2, told
        assert err.count("\n") == 1, told
        assert len(err) < 1_500, told


if __name__ == "__main__":
    first, many = map(int, sys.argv[1:])
    survives(attempt, range(first, first + many))
