"""Lines for files of the log, for tests of how far each is counted."""

from datetime import datetime, timedelta

from tests.callers.lines import DAY, NOW, call, log


def clock() -> datetime:
    return NOW + DAY


def lines(*numbers: int, host: str = "") -> bytes:
    """Lines of calls, each of another caller and with another request ID."""
    second = timedelta(seconds=1)
    return log(*(call(NOW + number * second, f"{host}c{number}", request_id=f"{host}r{number}") for number in numbers))


def once(*numbers: int) -> dict[str, int]:
    """What a ledger has in which these lines are counted once."""
    return {f"c{number}": 1 for number in numbers}
