"""Which spans will nobody record, told before anything of them is made?

OpenTelemetry's SDK asks its sampler in the midst of making a span, and that costs more than all
else that is done to trace a job. The usual samplers look at the trace's id alone, so for a span
without a parent the id is drawn and looked at here; one that is to be recorded is made the official
way, with that very id. Wherever anything looks otherwise than is known here (no SDK, another one, a
sampler or ids of the application's own) every span goes the official way: nothing is ever guessed.
"""

from __future__ import annotations

import threading
from random import getrandbits
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.trace import Tracer

_SDK: Final = "opentelemetry.sdk.trace"
_SAMPLING: Final = f"{_SDK}.sampling"
_LOW: Final = (1 << 64) - 1
"""The bits of a trace's id that the sampler looks at."""


def dropper(tracer: Tracer) -> Callable[[], bool] | None:
    """Says of each next span without a parent whether it would be dropped; None where unknown.

    Where the answer is no, the tracer's next trace in this thread has the id that was looked at.
    """
    try:
        real: Any = getattr(tracer, "_tracer", tracer)
        sampler = real.sampler
        if _is(sampler, "ParentBased", _SAMPLING):
            sampler = sampler._root
        if not _is(real, "Tracer", _SDK) or not _is(sampler, "TraceIdRatioBased", _SAMPLING):
            return None
        bound, limit, ids = sampler.bound, sampler.TRACE_ID_LIMIT, real.id_generator
        known = isinstance(ids, _Drawn) or _is(ids, "RandomIdGenerator", f"{_SDK}.id_generator")
    except AttributeError:
        return None
    if limit != _LOW or not known:
        return None
    # The SDK gives everybody who asks in the same name the same tracer.
    drawn = real.id_generator = ids if isinstance(ids, _Drawn) else _Drawn(ids)

    def drops() -> bool:
        trace = getrandbits(128)
        if trace & _LOW >= bound:
            return True
        drawn.trace = trace
        return False

    return drops


class _Drawn(threading.local):
    """The SDK's ids, but for a trace whose id was looked at already."""

    trace = 0

    def __init__(self, ids: Any) -> None:  # noqa: ANN401 - the SDK's
        self._ids = ids

    def generate_trace_id(self) -> int:
        trace, self.trace = self.trace, 0
        return trace or int(self._ids.generate_trace_id())

    def generate_span_id(self) -> int:
        return int(self._ids.generate_span_id())

    def is_trace_id_random(self) -> bool:
        return bool(self._ids.is_trace_id_random())


def _is(thing: object, name: str, module: str) -> bool:
    return (type(thing).__module__, type(thing).__qualname__) == (module, name)
