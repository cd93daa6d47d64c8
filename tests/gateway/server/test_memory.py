from proxy.gateway.server.memory import MemoryTrimmer


def trims(*loads: int) -> list[int]:
    """Return at which of these loads, a second apart, memory is given back."""
    trimmed: list[int] = []
    trimmer = MemoryTrimmer(lambda: trimmed.append(load))
    for load in loads:
        trimmer.update(load)
    return trimmed


def test_memory_is_given_back_once_the_load_has_fallen() -> None:
    assert trims(0, 500, 500, 300, 100, 2, 2, 2, 500, 3, 3) == [2, 3]


def test_usual_ups_and_downs_give_nothing_back() -> None:
    assert trims(0, 60, 0, 0, 60, 5, 5, 100, 60, 60, 100) == []
