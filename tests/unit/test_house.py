"""Does the repository keep the rules of its house?"""

import ast
import contextlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("processor", "projections")
LINES_AT_MOST = 300
TEST_COMMAND = (
    "python3 -m venv .venv && .venv/bin/pip install -c constraints.txt -e '.[test]'"
    " && .venv/bin/pytest"
)
NAMES_THAT_SAY_NOTHING = {"utils", "common", "helpers", "models", "types", "base", "manager"}

# Written with brackets so that this file does not find itself.
PLACE_OF_ONE_MACHINE = re.compile(r"(?<![\w.}])/(?:[r]oot\b|[w]ork\b|[h]ome/\w|[U]sers/\w)")
ADDRESS_OF_A_REGISTRY = re.compile(
    r"[p]ypi\.org|[p]ythonhosted\.org|[m]aven\.org|[m]aven\.apache\.org|[n]pmjs\.(?:org|com)"
    r"|[g]olang\.org|[i]ndex-url|[d]ocker\.io/",
)

# What a pure domain may see; all else has a clock, chance, an environment or a wire in it.
DOMAIN_FORBIDS = {"asyncio", "time", "random", "os", "logging", "socket"}
DOMAIN_ALLOWS = {"processor", "pydantic", "pydantic_core", "tenacity"}
DOMAIN_NEVER_CALLS = {"now", "utcnow", "today", "uuid1", "uuid4", "getenv"}


def modules(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def tracked_texts() -> dict[str, str]:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: what belongs to the repository is not known")
    listed = subprocess.run(
        [git, "-C", str(ROOT), "ls-files", "-z"], check=True, capture_output=True, text=True
    )
    texts = {}
    for name in listed.stdout.split("\0"):
        path = ROOT / name
        if name and path.is_file():
            with contextlib.suppress(UnicodeDecodeError):  # what is no text names no place
                texts[name] = path.read_bytes().decode()
    return texts


def places(pattern: re.Pattern[str], texts: dict[str, str]) -> list[str]:
    return [
        f"{name}:{number}: {line.strip()}"
        for name, text in texts.items()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def imported_by(tree: ast.Module) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.add("processor" if node.level else (node.module or "").partition(".")[0])
    return found


def test_the_search_for_places_and_addresses_finds_them() -> None:
    machine = ["/" + place for place in ("root/.cache", "home/ann/x", "Users/ann", "work/x")]
    registries = ["https://py" + "pi.org/simple", "repo1.ma" + "ven.org", "--in" + "dex-url x"]
    assert [place for place in machine if not PLACE_OF_ONE_MACHINE.search(place)] == []
    assert [address for address in registries if not ADDRESS_OF_A_REGISTRY.search(address)] == []


@pytest.mark.parametrize("file", ["README.md", ".ci/run"])
def test_the_readme_and_ci_name_the_same_test_command(file: str) -> None:
    commands = [line for line in (ROOT / file).read_text().splitlines() if "[test]" in line]
    assert commands == [TEST_COMMAND]


def test_no_module_is_longer_than_three_hundred_lines() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in modules(*PACKAGES)}
    assert [f"{path}: {n}" for path, n in lengths.items() if n > LINES_AT_MOST] == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    names = {path: {path.stem, path.parent.name} for path in modules(*PACKAGES)}
    assert [str(path) for path, said in names.items() if said & NAMES_THAT_SAY_NOTHING] == []


def test_no_type_error_is_ignored_in_the_source() -> None:
    ignored = re.compile(r"type:\s*ignore")
    sources = {str(path): path.read_text() for path in modules(*PACKAGES)}
    assert places(ignored, sources) == []


def test_no_file_names_a_place_of_one_machine() -> None:
    assert places(PLACE_OF_ONE_MACHINE, tracked_texts()) == []


def test_no_file_names_an_address_of_a_registry() -> None:
    assert places(ADDRESS_OF_A_REGISTRY, tracked_texts()) == []


def test_the_constraints_are_names_and_versions_only() -> None:
    pinned = re.compile(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+")
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert lines
    assert [line for line in lines if not pinned.fullmatch(line)] == []


def test_the_domain_imports_nothing_that_could_surprise_it() -> None:
    allowed = (set(sys.stdlib_module_names) - DOMAIN_FORBIDS) | DOMAIN_ALLOWS
    surprises = {
        path.name: sorted(imported_by(ast.parse(path.read_text())) - allowed)
        for path in modules("processor/domain")
    }
    assert {name: found for name, found in surprises.items() if found} == {}


def test_the_domain_is_told_time_and_chance_and_never_asks() -> None:
    asked = [
        f"{path.name}:{node.lineno}: {node.attr}"
        for path in modules("processor/domain")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in DOMAIN_NEVER_CALLS
    ]
    assert asked == []
