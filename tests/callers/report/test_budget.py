from proxy.callers.report.budget import Budget


def test_texts_take_memory_until_none_is_left() -> None:
    budget = Budget(1000)
    taken = [budget.take(200) for _ in range(9)]
    assert 2 <= taken.count(True) <= 4
    assert taken == sorted(taken, reverse=True)


def test_many_short_texts_are_not_free() -> None:
    budget = Budget(1000)
    assert sum(budget.take(0) for _ in range(1000)) <= 10


def test_a_text_that_does_not_fit_takes_nothing_and_one_that_is_given_back_makes_room() -> None:
    budget = Budget(1000)
    assert budget.take(500)
    assert not budget.take(500)
    assert not budget.take(500)
    budget.give_back(500)
    assert budget.take(500)
