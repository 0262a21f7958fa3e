"""Which reason does an exception stand for?"""

import pytest

from processor.domain.errors import JobError, Reject, TransactionMisused, TryAgain
from processor.domain.events import Reason
from processor.runtime.failing import detail_of


class NoSuchFlight(Reject):
    pass


class Later(TryAgain):
    pass


class Refused(TransactionMisused):
    pass


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (NoSuchFlight("N1"), Reason.REJECTED),
        (Later(1), Reason.TRY_AGAIN),
        (Refused(""), Reason.TRANSACTION_MISUSED),
        (JobError("its own"), Reason.HANDLER_FAILED),
        (KeyError("its own"), Reason.HANDLER_FAILED),
    ],
)
def test_an_applications_own_kind_of_an_error_has_the_reason_of_that_error(
    error: Exception, reason: Reason
) -> None:
    told = detail_of(error)
    assert (told.reason, told.type) == (reason, type(error).__name__)
