"""Where are the handlers of an application?"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING

from processor.domain.errors import ConfigurationError, ProcessorError
from processor.runtime.handlers import Jobs

if TYPE_CHECKING:
    from types import ModuleType


def find_jobs(application: str) -> Jobs:
    """The `Jobs` that `module:name` names; a module alone will do if it has only one.

    The current folder is looked in first, as `python -m` does. Raises `ConfigurationError`.
    """
    name, _, attribute = application.partition(":")
    module = _import(name)
    if attribute:
        found = _follow(module, attribute)
        if not isinstance(found, Jobs):
            raise ConfigurationError(
                f"{application} is a {type(found).__name__}, no Jobs; name what Jobs() made"
            )
        return found
    held = {key: value for key, value in vars(module).items() if isinstance(value, Jobs)}
    if len({id(value) for value in held.values()}) != 1:
        names = " or ".join(f"{name}:{key}" for key in held)
        raise ConfigurationError(
            f"{name} has more than one Jobs; say which: {names}"
            if held
            else f"{name} has no Jobs; make one, jobs = Jobs(), and name it: {name}:jobs"
        )
    return next(iter(held.values()))


def _follow(module: ModuleType, attribute: str) -> object:
    found: object = module
    for part in attribute.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise ConfigurationError(
                f"{module.__name__} has no {attribute}; make one, {attribute} = Jobs()"
            ) from None
    return found


def _import(name: str) -> ModuleType:
    here = os.getcwd()  # noqa: PTH109 - sys.path holds texts
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return import_module(name)
    except ProcessorError:
        raise
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise ConfigurationError(
                f"there is no module {name} in {here}, nor installed"
            ) from None
        raise ConfigurationError(f"{name} needs a module that is missing: {error.name}") from error
    except Exception as error:
        raise ConfigurationError(
            f"{name} cannot be imported: {type(error).__name__}: {_first_line(error)}{_at(error)}"
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0]


def _at(error: Exception) -> str:
    """Where the application's own code raised it."""
    place = ""
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if not code.co_filename.startswith("<") and "importlib" not in code.co_filename:
            place = f" ({code.co_filename}, line {trace.tb_lineno})"
        trace = trace.tb_next
    return "" if isinstance(error, SyntaxError) else place
