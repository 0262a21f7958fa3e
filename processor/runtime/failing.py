"""What does an exception say to operators?"""

from __future__ import annotations

import sysconfig
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Final

from processor.domain.errors import (
    AttemptTimeout,
    HandlerMissing,
    ParseError,
    Reject,
    ResultInvalid,
    TransactionMisused,
    TryAgain,
    WorkerLost,
)
from processor.domain.events import ErrorDetail, Reason
from processor.domain.limits import ERROR_BYTES, NAME_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import TracebackType

REASONS: Final[dict[type, Reason]] = {
    ParseError: Reason.PARSE_ERROR,
    HandlerMissing: Reason.HANDLER_MISSING,
    Reject: Reason.REJECTED,
    TryAgain: Reason.TRY_AGAIN,
    AttemptTimeout: Reason.ATTEMPT_TIMEOUT,
    ResultInvalid: Reason.RESULT_INVALID,
    TransactionMisused: Reason.TRANSACTION_MISUSED,
    WorkerLost: Reason.WORKER_LOST,
}
_LIBRARIES: Final = tuple(
    sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")
)
_OURS: Final = str(Path(__file__).resolve().parent.parent)
_HALF: Final = ERROR_BYTES // 2
_FIELDS_KEPT: Final = 100


def detail_of(error: BaseException, stood: TracebackType | None = None) -> ErrorDetail:
    """The error with its reason, its place and its traceback, within the limit of an error.

    `stood` is where the handler stood, when that is not where the error was raised: at a time-out.
    A `ParseError` keeps neither traceback nor place: nothing of the payload may show.
    """
    reason = _reason_of(error)
    if isinstance(error, ParseError):
        message = _cut(_said(error), _HALF)
        return ErrorDetail(reason, "ParseError", message, fields=_within_half(error.fields))
    frames = traceback.extract_tb(stood or error.__traceback__)
    lines = "".join(traceback.format_list(frames))
    return ErrorDetail(
        reason,
        type(error).__name__,
        _cut(_said(error), _HALF),
        place_in(frames),
        traceback=_cut_front(lines, _HALF - 512),
    )


def place_of(error: BaseException) -> str:
    """module:function:line of the innermost frame that is the application's own code."""
    return place_in(traceback.extract_tb(error.__traceback__))


def _reason_of(error: BaseException) -> Reason:
    """That of the nearest of ours: an application may have its own kinds of them."""
    known = (REASONS[kind] for kind in type(error).__mro__ if kind in REASONS)
    return next(known, Reason.HANDLER_FAILED)


def place_in(frames: Sequence[traceback.FrameSummary]) -> str:
    """module:function:line of the innermost frame that is the handler's own code."""
    own = [frame for frame in frames if not frame.filename.startswith((*_LIBRARIES, _OURS, "<"))]
    if not (own or frames):
        return ""
    frame = (own or frames)[-1]
    return f"{Path(frame.filename).stem}:{frame.name}:{frame.lineno}"


def _said(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as silent:  # noqa: BLE001 - the handler's own code, which may do anything
        return f"its words cannot be had: __str__ raised {type(silent).__name__}"


def _within_half(fields: Iterable[str]) -> tuple[str, ...]:
    """The first paths, each cut as a name is: a payload's own names may be in them."""
    kept: list[str] = []
    left = _HALF - 512
    for path in fields:
        cut = _cut(path, NAME_BYTES)
        left -= len(cut.encode())
        if left < 0 or len(kept) == _FIELDS_KEPT:
            break
        kept.append(cut)
    return tuple(kept)


def _cut(text: str, size: int) -> str:
    return text.encode(errors="replace")[:size].decode(errors="ignore")


def _cut_front(text: str, size: int) -> str:
    return text.encode(errors="replace")[-size:].decode(errors="ignore")
