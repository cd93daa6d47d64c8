"""Each way of running the proxy once under load; `make operations` goes on for a minute.

One way does every operation, and the others the restarts that depend on it.
"""

import asyncio
import contextlib
import signal
import ssl
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.operations import __main__ as operations
from tests.operations.__main__ import OPERATIONS, WAYS, Operation, Way, operate
from tests.operations.callers import Callers
from tests.operations.served import Served
from tests.support.fleet import happens

FEW = 4
"""Callers at a time: some of their calls are always under way."""


@pytest.mark.parametrize(
    ("way", "done"),
    [
        (WAYS[0], list(dict.fromkeys(OPERATIONS))),
        (WAYS[1], [Served.restart]),
        (WAYS[2], [Served.upgrade]),
        (WAYS[3], [Served.restart]),
    ],
    ids=[way.title for way in WAYS],
)
def test_no_call_is_lost_and_none_refused(tmp_path: Path, way: Way, done: Sequence[Operation]) -> None:
    assert asyncio.run(operate(way, tmp_path, 0, FEW, done)) == []


def test_a_lost_call_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Callers] = []

    class Noted(Callers):
        def __init__(self, port: int, trust: ssl.SSLContext, count: int) -> None:
            super().__init__(port, trust, count)
            made.append(self)

    monkeypatch.setattr(operations, "Callers", Noted)

    async def kill(served: Served) -> None:
        assert served.process is not None
        served.process.send_signal(signal.SIGSTOP)
        sent = len(made[0].sent)
        # A call that is sent now is not answered any more. There is none if each caller waits for an answer already, or
        # for a connection.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2):
                await happens(lambda: len(made[0].sent) > sent)
        served.process.kill()
        await served.process.wait()
        await served.start()

    problems = asyncio.run(operate(WAYS[0], tmp_path, 0, FEW, [kill]))
    assert any("was not answered: " in problem for problem in problems)
