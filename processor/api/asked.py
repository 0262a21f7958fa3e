"""What may be asked for? The bodies of requests, and what is said of each field."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from processor.api.limits import BATCH, REASON
from processor.domain.limits import NAME_BYTES
from processor.domain.priority import Priority

_LANES: Final = ("critical", "high", "normal", "low")


def _lane(text: str) -> str:
    return Priority.parse(text).label


def written(text: str) -> str:
    """Text that can be stored; raises `ValueError`."""
    if "\0" in text:
        raise ValueError("it has a NUL character in it")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("it is not valid Unicode") from None
    return text


def _name(text: str) -> str:
    if len(written(text).encode()) > NAME_BYTES:
        raise ValueError(f"it has more than {NAME_BYTES} bytes")
    return text


def _reason(text: str) -> str:
    if not text.strip():
        raise ValueError("it says nothing")
    return written(text)


Name = Annotated[str, Field(min_length=1, max_length=NAME_BYTES), AfterValidator(_name)]
Lane = Annotated[
    str, Field(json_schema_extra={"enum": [*_LANES]}, examples=["high"]), AfterValidator(_lane)
]
Because = Annotated[
    str,
    Field(min_length=1, max_length=REASON, examples=["the payment API is back"]),
    AfterValidator(_reason),
]


class Body(BaseModel):
    """What every body is: a field that nobody knows is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SubmissionBody(Body):
    """A submission. Its tenant is the token's."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "type": "flight.landed",
                    "payload": {"tail": "N14228", "minutes": 227},
                    "entity": "N14228",
                    "priority": "high",
                }
            ]
        },
    )

    type: Name
    payload: Any = None
    """Any JSON, at most 512 KiB and 64 levels deep; not looked at before processing."""
    entity: Name | None = None
    """Jobs of one entity run one at a time, in order; without one the job waits for no other."""
    priority: Lane | None = None
    dedupe_key: Name | None = None
    """The same key of the same tenant, type and entity is the same job."""
    not_before: AwareDatetime | None = None
    attempts: Annotated[int, Field(ge=1, le=1_000)] | None = None


class BatchBody(Body):
    """Many submissions that share a batch; they are all checked before the first is appended."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "priority": "low",
                    "submissions": [
                        {"type": "flight.landed", "payload": {"tail": "N1"}, "entity": "N1"},
                        {"type": "flight.landed", "payload": {"tail": "N2"}, "priority": "high"},
                    ],
                }
            ]
        },
    )

    submissions: Annotated[list[SubmissionBody], Field(min_length=1, max_length=BATCH)]
    priority: Lane | None = None
    """Of those that name none."""


class ReasonBody(Body):
    """Why; it is kept beside the subject of the token."""

    because: Because


class ReplayBody(ReasonBody):
    """How a dead letter is replayed."""

    priority: Lane | None = None
    """The lane, instead of the job's own."""


class EditBody(ReplayBody):
    """A dead letter's replay with another payload."""

    payload: Any = Field(examples=[{"tail": "N14228", "minutes": 227}])
    """Instead of the one that died; the generation that died keeps its own."""
