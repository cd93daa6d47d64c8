import math

import pytest

from proxy import errors
from proxy.gateway.buffered import UNCOUNTED, Budget, Held

KIB = 1 << 10


def held(budget: Budget, *sizes: int) -> list[Held]:
    """Return requests of these sizes in KiB, the oldest first, of which more is to come."""
    requests = [Held(budget) for _ in sizes]
    for request, size in zip(requests, sizes, strict=True):
        request.wait(size * KIB)
    return requests


def refused(requests: list[Held]) -> list[int]:
    return [number for number, request in enumerate(requests) if request.problem is not None]


def test_the_largest_request_is_refused_and_the_others_go_on() -> None:
    budget = Budget(100 * KIB)
    requests = held(budget, 20, 50, 30)
    requests[0].wait(21 * KIB)
    assert refused(requests) == [1]
    assert budget.total == 51 * KIB


def test_of_equal_requests_the_newest_is_refused() -> None:
    assert refused(held(Budget(100 * KIB), 25, 25, 25, 25, 25)) == [3, 4]


def test_requests_are_refused_until_an_eighth_is_free() -> None:
    budget = Budget(64 * KIB)
    assert refused(held(budget, *[8] * 9)) == [7, 8]
    assert budget.total == 56 * KIB


def test_a_request_that_is_complete_counts_and_goes_on() -> None:
    budget = Budget(100 * KIB)
    complete, small, large = held(budget, 60, 10, 20)
    complete.is_arriving = False
    large.wait(40 * KIB)
    assert refused([complete, small, large]) == [2]
    assert budget.total == 70 * KIB


def test_a_request_that_arrives_complete_is_refused_if_those_under_way_leave_no_room() -> None:
    budget = Budget(100 * KIB)
    complete, late = held(budget, 60, 0)
    complete.is_arriving = late.is_arriving = False
    with pytest.raises(errors.Overloaded):
        late.keep(50 * KIB)
    assert (refused([complete, late]), budget.total) == ([1], 60 * KIB)


def test_what_waits_and_what_is_kept_count_together_until_they_are_released() -> None:
    budget = Budget()
    [request] = held(budget, 10)
    request.keep(20 * KIB)
    assert budget.total == 30 * KIB
    request.wait(0)
    assert budget.total == 20 * KIB
    request.release()
    assert budget.total == 0


def test_a_small_request_is_not_counted() -> None:
    budget = Budget()
    Held(budget).keep(UNCOUNTED)
    assert budget.total == 0
    Held(budget).keep(UNCOUNTED + 1)
    assert budget.total == UNCOUNTED + 1


def test_who_keeps_a_refused_request_is_told() -> None:
    request = Held(Budget(10 * KIB))
    told: list[int] = []
    request.wait(KIB, lambda: told.append(request.size))
    request.wait(0)  # the application has received it
    with pytest.raises(errors.Overloaded) as raised:
        request.keep(11 * KIB)
    assert (raised.value.retry_after, raised.value.limit, told) == (1, "buffered", [0])
    with pytest.raises(errors.Overloaded):
        request.keep(1)


def test_without_a_budget_nothing_is_refused() -> None:
    Held().keep(1 << 40)
    assert Budget().total == 0
    assert not refused(held(Budget(math.inf), 1 << 20))
