"""What is said of a payload that does not fit its model, without saying the payload?

Paths are made of the model's names, of numbers, and of names that stand in the payload where the
model leaves them open: the keys of a mapping, or what `extra="forbid"` refuses. Of the sentences
only those are kept whose every word is pydantic's or the model's; of all others, as what a
validator of one's own says, the kind alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar, get_args

from pydantic import ValidationError
from pydantic_core.core_schema import ErrorType

from processor.domain.errors import ParseError
from processor.runtime.failing import place_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import TypeAdapter

P = TypeVar("P")

_PYDANTICS_OWN: Final = frozenset(get_args(ErrorType))
_BOUNDS: Final = frozenset({"ge", "gt", "le", "lt", "multiple_of", "max_length", "min_length"})
_DIGITS: Final = frozenset({"max_digits", "decimal_places", "whole_digits"})
_NAMES: Final = frozenset({"class", "class_name", "discriminator", "field_type", "pattern"})
_CHOICES: Final = frozenset({"expected", "expected_schemes", "expected_version"})
_WORDS_OF_THE_MODEL: Final = _BOUNDS | _DIGITS | _NAMES | _CHOICES | {"actual_length"}
"""What a sentence may be filled in with; all else may have been taken from the payload."""


def parse(payload: bytes, model: TypeAdapter[P]) -> P:
    """The payload as its model; raises `ParseError` without any value of it, whatever breaks."""
    try:
        return model.validate_json(payload)
    except ValidationError as error:
        raise _misfit(error) from None
    except Exception as error:  # noqa: BLE001 - a validator of the application's, whatever it does
        message = f"the payload: its validation raised {type(error).__name__}"
        where = place_of(error)
        raise ParseError(f"{message} at {where}" if where else message) from None


def _misfit(error: ValidationError) -> ParseError:
    fields: list[str] = []
    sentences: list[str] = []
    for one in error.errors(include_url=False, include_input=False):
        path = ".".join(str(part) for part in one["loc"])
        said = _said(one["type"], one["msg"], one.get("ctx", {}))
        fields.append(path)
        sentences.append(f"{path or 'the payload'}: {said}")
    return ParseError("; ".join(sentences), fields)


def _said(kind: str, sentence: str, filled_in: Mapping[str, Any]) -> str:
    if kind not in _PYDANTICS_OWN:
        return kind
    whole = kind == "json_invalid" or filled_in.keys() <= _WORDS_OF_THE_MODEL
    return sentence if whole else kind
