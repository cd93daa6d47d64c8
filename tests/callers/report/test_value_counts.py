from proxy.callers.report.budget import OTHERS, Budget
from proxy.callers.report.value_counts import KINDS, MOST_VALUES, ValueCounts

WORKFLOWS, AGENTS = KINDS.index("workflows"), KINDS.index("agents")


def test_the_same_value_of_two_kinds_counts_for_each() -> None:
    counts, texts = ValueCounts(), Budget(1 << 20)
    for kind in (WORKFLOWS, AGENTS, AGENTS):
        counts.add(kind, "a", 2, texts)

    assert counts.by_kind() == {kind: {} for kind in KINDS} | {"workflows": {"a": 2}, "agents": {"a": 4}}


def test_values_beyond_the_limit_of_a_kind_are_counted_together() -> None:
    counts, texts = ValueCounts(), Budget(1 << 20)
    for number in [*range(MOST_VALUES + 2), 0]:
        counts.add(AGENTS, str(number), 1, texts)
    counts.add(WORKFLOWS, "build", 1, texts)

    agents = counts.by_kind()["agents"]
    assert (len(agents), agents["0"], agents[OTHERS]) == (MOST_VALUES + 1, 2, 2)
    assert counts.by_kind()["workflows"] == {"build": 1}


def test_values_beyond_the_budget_are_counted_together() -> None:
    counts, texts = ValueCounts(), Budget(150)
    for value in ("a", "b", "a"):
        counts.add(AGENTS, value, 1, texts)

    assert counts.by_kind()["agents"] == {"a": 2, OTHERS: 1}


def test_merged_counts_are_added() -> None:
    one, other, texts = ValueCounts(), ValueCounts(), Budget(1 << 20)
    one.add(AGENTS, "a", 1, texts)
    other.add(AGENTS, "a", 2, texts)
    other.add(AGENTS, "b", 3, texts)
    one.merge(other)

    assert one.by_kind()["agents"] == {"a": 3, "b": 3}
