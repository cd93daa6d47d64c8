import contextlib
import itertools
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.callers.ledger import keeper
from proxy.callers.ledger.database import LedgerUnavailable
from proxy.callers.ledger.keeper import Keeper, State
from proxy.callers.ledger.ledger import Ledger
from proxy.callers.ledger.sqlite import SqliteFile
from tests.support.waiting import PATIENCE, until

REASON = "PostgreSQL: connection refused"


class Feeder:
    """A feeder whose passes fail if a test says so.

    Attributes:
        fed: number of passes.
        has_it: whether it is its turn.
    """

    def __init__(self) -> None:
        self.backlog = 7
        self.fed = 0
        self.has_it, self.is_closed = True, False
        self.problem: Exception | None = None
        self.hangs: threading.Event | None = None

    def has_turn(self) -> bool:
        return self.has_it

    def feed(self) -> None:
        self.fed += 1
        if self.hangs is not None:
            self.hangs.wait(60)
        if self.problem is not None:
            raise self.problem

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("INTERVAL", "_LONGEST_PAUSE", "_TURN"):
        monkeypatch.setattr(keeper, name, 0.01)
    monkeypatch.setattr(keeper, "_FLUSH", PATIENCE)


@contextlib.contextmanager
def keeping(feeder: Feeder, folder: Path, passes: list[tuple[State, int]] | None = None) -> Iterator[Keeper]:
    heard = passes if passes is not None else []
    made = Keeper(Ledger(SqliteFile(folder / "callers.db")), feeder, lambda *heard_of: heard.append(heard_of))
    made.start()
    yield made
    made.close()


def test_it_counts_again_and_again_and_once_more_at_the_end(tmp_path: Path) -> None:
    feeder, passes = Feeder(), []  # type: ignore[var-annotated]
    with keeping(feeder, tmp_path, passes):
        until(lambda: feeder.fed >= 3)
        so_far = feeder.fed

    assert feeder.fed > so_far
    assert feeder.is_closed
    assert set(passes) == {(State.UP_TO_DATE, 7)}


def test_it_waits_for_its_turn_and_then_counts(tmp_path: Path) -> None:
    feeder, passes = Feeder(), []  # type: ignore[var-annotated]
    feeder.has_it = False
    with keeping(feeder, tmp_path, passes):
        until(lambda: len(passes) > 2)
        assert not (tmp_path / "callers.db").exists()
        feeder.has_it = True

    assert feeder.fed
    assert passes[0] == (State.IDLE, 7)
    assert passes[-1] == (State.UP_TO_DATE, 7)


def test_it_waits_at_the_end_for_another_process_that_ends_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "_TURN", 60.0)
    feeder, passes = Feeder(), []  # type: ignore[var-annotated]
    feeder.has_it, turns = False, iter([False] * 3 + [True])
    with keeping(feeder, tmp_path, passes) as kept:
        # However late this thread comes to the end, the other process is there until then.
        feeder.has_turn = lambda: kept._stop.is_set() and next(turns)  # type: ignore[method-assign]

    assert (feeder.fed, passes[-1]) == (1, (State.UP_TO_DATE, 7))


def test_who_never_gets_a_turn_ends_nevertheless(tmp_path: Path) -> None:
    feeder = Feeder()
    feeder.has_it = False
    with keeping(feeder, tmp_path):
        pass

    assert (feeder.fed, feeder.is_closed) == (0, True)


@pytest.mark.parametrize(
    ("problem", "reason"),
    [
        (LedgerUnavailable(REASON), f'"{REASON}"'),
        (ValueError("secret"), '"a fault of the proxy itself: ValueError"'),
    ],
)
def test_it_says_once_that_the_ledger_is_away_and_once_that_it_is_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], problem: Exception, reason: str
) -> None:
    feeder, passes = Feeder(), []  # type: ignore[var-annotated]
    for _ in range(2):
        with keeping(feeder, tmp_path, passes) as kept:
            for state, wanted in itertools.product([problem, None], [3]):
                feeder.problem = state
                passes.clear()
                expected = State.UNAVAILABLE if state else State.UP_TO_DATE
                until(lambda wanted=wanted, expected=expected: passes.count((expected, 7)) >= wanted)  # type: ignore[misc]
                assert kept.state is expected

    lines = [
        f"trigger-shim: warning: ledger unavailable reason={reason}: calls go on, and are counted once it is back",
        "trigger-shim: ledger available",
    ]
    assert capsys.readouterr().err.splitlines() == lines * 2


def test_a_ledger_that_is_away_is_asked_ever_more_rarely(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    class Waiting(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout or 0.0)
            return self.is_set()

        def is_set(self) -> bool:
            return len(waits) > 8

    monkeypatch.setattr(keeper, "INTERVAL", 1.0)
    monkeypatch.setattr(keeper, "_LONGEST_PAUSE", 30.0)
    monkeypatch.setattr(threading, "Event", Waiting)
    feeder = Feeder()
    feeder.problem = LedgerUnavailable(REASON)
    made = Keeper(Ledger(SqliteFile(tmp_path / "callers.db")), feeder, lambda *_: None)
    made._run()

    assert waits == [1, 2, 4, 8, 16, 30, 30, 30, 30]


def test_processes_do_not_all_write_at_the_same_time() -> None:
    spread = {keeper._spread(1.0) for _ in range(100)}

    assert len(spread) > 90
    assert min(spread) >= 0.8
    assert max(spread) <= 1.2


def test_a_database_that_hangs_does_not_keep_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "_FLUSH", 0.01)
    feeder = Feeder()
    feeder.hangs = threading.Event()
    with keeping(feeder, tmp_path):
        until(lambda: feeder.fed)

    assert not feeder.is_closed
    feeder.hangs.set()
    until(lambda: feeder.is_closed)


def test_a_line_is_counted_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "INTERVAL", 600)
    monkeypatch.setattr(keeper, "_SHARE", 0)  # or a pass that the machine held up would put off the next one
    feeder = Feeder()
    with keeping(feeder, tmp_path) as kept:
        until(lambda: feeder.fed == 1)
        for fed in (2, 3):
            kept.wake()
            until(lambda fed=fed: feeder.fed == fed)  # type: ignore[misc]


def test_passes_that_take_long_leave_the_time_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "INTERVAL", 600)
    monkeypatch.setattr(keeper, "_SHARE", 10**9)
    feeder = Feeder()
    with keeping(feeder, tmp_path) as kept:
        until(lambda: feeder.fed == 1)
        kept.wake()
    assert feeder.fed == 2  # at the end


@pytest.mark.parametrize("has_it", [True, False])
def test_each_process_flushes_after_each_pass_and_at_the_end(tmp_path: Path, has_it: bool) -> None:
    feeder, flushed = Feeder(), list[bool]()
    feeder.has_it = has_it
    made = Keeper(
        Ledger(SqliteFile(tmp_path / "callers.db")),
        feeder,
        lambda *_: None,
        flush=flushed.append,
    )
    made.start()
    until(lambda: len(flushed) > 2)
    made.close()

    assert flushed.index(True) == len(flushed) - 1


def test_a_fault_at_the_end_is_told_in_a_line_and_everything_is_closed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def flush(at_end: bool) -> None:
        if at_end:
            raise KeyError("secret")

    feeder = Feeder()
    made = Keeper(Ledger(SqliteFile(tmp_path / "callers.db")), feeder, lambda *_: None, flush=flush)
    made.start()
    until(lambda: feeder.fed)
    made.close()

    assert feeder.is_closed
    [line] = capfd.readouterr().err.splitlines()
    assert "a fault of the proxy itself: KeyError" in line
