"""A plugin that skips each test as soon as it uses a socket or another program.

So nobody has to maintain a list of the quick tests.
"""

import multiprocessing.process
import socket
import sys
from collections.abc import Generator
from typing import Any, NoReturn

import pytest
from hypothesis import Verbosity, settings

from tests.support import waiting

REASON = "they use sockets or other programs (make test)"

BEYOND = {"os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "socket.bind", "socket.connect", "subprocess.Popen"}
"""The audit events of everything that reaches beyond this process."""

_testing = False


def pytest_configure(config: pytest.Config) -> None:
    # What a test has opened before it is skipped stays open, and a thread that is skipped ends in its middle.
    config.addinivalue_line("filterwarnings", "ignore::ResourceWarning")
    config.addinivalue_line("filterwarnings", "ignore::pytest.PytestUnraisableExceptionWarning")
    config.addinivalue_line("filterwarnings", "ignore::pytest.PytestUnhandledThreadExceptionWarning")
    sys.addaudithook(_hear)
    multiprocessing.process.BaseProcess.start = _leave_out  # type: ignore[assignment]
    settings.register_profile(
        "quick", parent=settings.get_profile("repeatable"), max_examples=10, verbosity=Verbosity.quiet
    )
    settings.load_profile("quick")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Generator[None, bool, bool]:
    global _testing  # noqa: PLW0603
    _testing = True
    waiting.is_in_vain.clear()
    try:
        return (yield)
    finally:
        _testing = False


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Skip a test that reached beyond the process in another thread, or where the skip was caught."""
    report = yield
    if waiting.is_in_vain.is_set() and report.failed:
        report.outcome, report.longrepr = "skipped", (str(item.path), 0, f"Skipped: {REASON}")
    return report


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    # asyncio wakes its loop through a pair of sockets, which are neither of the internet nor bound.
    if _testing and (event in BEYOND or (event == "socket.__new__" and arguments[1] != socket.AF_UNIX)):
        _leave_out()


def _leave_out(*_: object) -> NoReturn:
    waiting.is_in_vain.set()
    pytest.skip(REASON)
