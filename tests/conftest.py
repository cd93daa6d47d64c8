import faulthandler
import gc
import os
import signal
from collections import Counter
from collections.abc import Generator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]

from proxy.output import writer
from tests.support import quick
from tests.support.proxy import Proxy, proxy_for
from tests.support.upstream import Upstream
from tests.support.waiting import PATIENCE

# The same examples in every run: what they find is mended before anybody else can meet it. A machine may be slow.
settings.register_profile("repeatable", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("repeatable")

IMAGE = {"tests/deploy/test_compose.py", "tests/deploy/test_container.py"}
"""Files whose tests run the image, which takes minutes to build."""

LONG = (
    "image",
    "tests/soak/",
    "tests/operations/",
    "tests/fleet/",
    "tests/bench/",
    "tests/system/",
    "tests/contract/",
    "tests/deploy/",
    "tests/gateway/",
    "tests/callers/render/test_html_page_in_browser.py",
    "tests/scan/fix/",
    "tests/commands/",
)
"""What is run first: files of a few tests that take long. One that came last would keep one process alone."""

EXIT = 300
"""Seconds after the last test in which the run must be over."""


@pytest.fixture(autouse=True)
def patient_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is no slow disk: what is written to a log in this process is waited for."""
    monkeypatch.setattr(writer, "STALL", PATIENCE)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream().running() as running:
        yield running


@pytest.fixture
def proxy(upstream: Upstream, tmp_path: Path) -> Iterator[Proxy]:
    with proxy_for(upstream.url, tmp_path) as running:
        yield running


@pytest.fixture
def stderr(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file that takes the events of the proxy, to be read while it runs.

    `capsys` and `capfd` lose what another thread writes at the moment when they are read.
    """
    path = tmp_path_factory.mktemp("stderr") / "lines"
    with path.open("a", buffering=1) as file:
        # Not `sys.stderr` itself, which pytest sets anew between a fixture and its test.
        monkeypatch.setattr("proxy.output.stderr.sys", SimpleNamespace(stderr=file))
        yield path


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="leave out the tests that use a socket or another program")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--quick"):
        config.pluginmanager.register(quick)


def pytest_collection() -> None:
    gc.disable()  # thousands of tests are made, and none is garbage


def pytest_collection_finish() -> None:
    gc.freeze()  # or each search for garbage would go through all of them
    gc.set_threshold(20_000)  # a test makes little of it
    gc.enable()


def pytest_unconfigure() -> None:
    # A thread that a test has left behind must not keep the process.
    faulthandler.dump_traceback_later(EXIT, exit=True)


class Scheduling(LoadFileScheduling):  # type: ignore[misc]
    """Gives each process whole files, the long ones first, so that a fixture is made once, and the image to one."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return "image" if file in IMAGE else file

    def _assign_work_unit(self, node: Any) -> None:
        self.workqueue.move_to_end(min(self.workqueue, key=_rank), last=False)
        super()._assign_work_unit(node)


def _rank(file: str) -> int:
    return next((number for number, long in enumerate(LONG) if file.startswith(long)), len(LONG))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    return Scheduling(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Generator[None]:
    """A test that leaves signals blocked has processes that later tests start ignore them."""
    yield
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    assert not blocked


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where everything is installed, a skipped test is one that was lost."""
    report = yield
    if report.skipped and os.environ.get("CI") == "true" and reason(report) != quick.REASON:
        report.outcome = "failed"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what is missing here, a line each, instead of a line for each place that misses it."""
    for why, count in sorted(Counter(map(reason, terminalreporter.getreports("skipped"))).items()):
        terminalreporter.write_line(f"skipped {count} test{'s' * (count != 1)}: {why}")


def reason(report: pytest.TestReport) -> str:
    """Why a test was skipped."""
    assert isinstance(report.longrepr, tuple)
    return report.longrepr[2].removeprefix("Skipped: ").partition("\n")[0]
