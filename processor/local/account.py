"""Which user may PostgreSQL run as, and where may that user go?

PostgreSQL refuses to run as root. Started by root, it runs as `nobody`, who can enter neither
root's home nor a folder of `mktemp -d`: what lies there is kept under /var/lib instead.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from processor.domain.errors import ConfigurationError

SHELF = Path("/var/lib/job-processor")
OWNER = "belongs-to"


@dataclass(frozen=True, slots=True)
class Account:
    """The unprivileged user that a process is switched to."""

    user: int
    group: int

    def may_enter(self, folder: Path) -> bool:
        """Whether every folder on the way, and the folder itself, lets this user in."""
        resolved = folder.resolve()
        return all(self._passes(step.stat()) for step in (resolved, *resolved.parents))

    def _passes(self, step: os.stat_result) -> bool:
        if step.st_uid == self.user:
            return bool(step.st_mode & stat.S_IXUSR)
        if step.st_gid == self.group:
            return bool(step.st_mode & stat.S_IXGRP)
        return bool(step.st_mode & stat.S_IXOTH)

    def give(self, folder: Path) -> None:
        """Make the folder this user's own."""
        os.chown(folder, self.user, self.group)


def unprivileged() -> Account | None:
    """The account to switch to; None when this process is no root and simply goes on."""
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    return Account(nobody.pw_uid, nobody.pw_gid)


def database_folder(folder: Path, account: Account | None) -> Path:
    """The folder for the database of a data folder, made so that the account can work in it.

    It is `postgres` inside, or, where the account cannot go there, a folder on the shelf that
    the data folder remembers by a random name. Raises ConfigurationError.
    """
    inside = folder / "postgres"
    remembered = folder / "database-folder"
    if account is None:
        inside.mkdir(mode=0o700, exist_ok=True)
        return inside
    if remembered.exists():
        place = Path(remembered.read_text("utf-8"))
        if not place.exists():  # an empty one beside a full log would work every job again
            raise ConfigurationError(
                f"the database of {folder} was in {place}, which is gone;"
                " delete the data folder to begin anew, or name another"
            )
    elif account.may_enter(folder):
        place = inside
    else:
        _sweep()
        place = SHELF / secrets.token_hex(8)
        _make(place)
        (place / OWNER).write_text(str(folder), "utf-8")
        remembered.write_text(str(place), "utf-8")
    _make(place)
    account.give(place)
    if not account.may_enter(place.parent):
        raise ConfigurationError(
            f"PostgreSQL does not run as root, and user nobody cannot enter {place.parent};"
            " name a data folder that every user may enter"
        )
    return place


def readable_copy(original: Path, companions: Path, account: Account | None, name: str) -> Path:
    """The program's folder, or a copy on the shelf when the account cannot enter it.

    The copy keeps the distance between the program's folder and its companions (libraries that
    it finds by a relative path).
    """
    if account is None or account.may_enter(original):
        return original
    root = SHELF / name
    copy = root / original.relative_to(companions.parent)
    if not root.exists():
        _make(SHELF)
        aside = SHELF / f"{name}.{secrets.token_hex(4)}"
        shutil.copytree(original, aside / original.relative_to(companions.parent))
        shutil.copytree(companions, aside / companions.name)
        _open_to_all(aside)
        try:
            aside.rename(root)
        except OSError:  # another process was first
            shutil.rmtree(aside)
    return copy


def _sweep() -> None:
    """Delete databases on the shelf whose data folder was a temporary one and is gone.

    Others stay: their data folder may lie on a disk that is not mounted just now.
    """
    temporary = {Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")}  # noqa: S108
    for owner in SHELF.glob(f"*/{OWNER}"):
        folder = Path(owner.read_text("utf-8"))
        if not folder.exists() and temporary & set(folder.parents):
            shutil.rmtree(owner.parent, ignore_errors=True)


def forget(folder: Path) -> None:
    """Delete a data folder, and with it what lies on the shelf for it."""
    remembered = folder / "database-folder"
    if remembered.exists():
        shutil.rmtree(remembered.read_text("utf-8"), ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def _make(place: Path) -> None:
    try:
        if place.parent == SHELF:
            SHELF.mkdir(mode=0o755, parents=True, exist_ok=True)
        place.mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"PostgreSQL does not run as root, and a folder for user nobody cannot be made:"
            f" {error}; name a data folder that every user may enter"
        ) from error


def _open_to_all(root: Path) -> None:
    for path in (root, *root.rglob("*")):
        if not path.is_symlink():
            executable = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
            path.chmod(0o755 if executable else 0o644)
