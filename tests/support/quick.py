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

REASON = "they use sockets or other programs (make test)"

BEYOND = {"os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "socket.bind", "socket.connect", "subprocess.Popen"}
"""The audit events of everything that reaches beyond this process."""

_testing = False


def pytest_configure() -> None:
    sys.addaudithook(_hear)
    multiprocessing.process.BaseProcess.start = _leave_out  # type: ignore[assignment]
    settings.register_profile(
        "quick", parent=settings.get_profile("repeatable"), max_examples=20, verbosity=Verbosity.quiet
    )
    settings.load_profile("quick")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Generator[None, bool, bool]:
    global _testing  # noqa: PLW0603
    _testing = True
    try:
        return (yield)
    finally:
        _testing = False


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    # asyncio wakes its loop through a pair of sockets, which are neither of the internet nor bound.
    if _testing and (event in BEYOND or (event == "socket.__new__" and arguments[1] != socket.AF_UNIX)):
        _leave_out()


def _leave_out(*_: object) -> NoReturn:
    pytest.skip(REASON)
