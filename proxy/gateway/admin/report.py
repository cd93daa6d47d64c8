"""The report of `trigger-shim callers` for the admin listener, from the ledger."""

import asyncio
import contextlib
import functools
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from proxy.callers.ledger import engines
from proxy.callers.ledger.database import LedgerUnavailable
from proxy.callers.ledger.ledger import Ledger
from proxy.callers.report.analysis import StoredLogs, analyze
from proxy.config import Config

Form = Literal["html", "json"]

SHORTEST_LIFE = 5.0
"""Minimum seconds for which a report is cached."""

LIFE = 9
"""A report is cached for so many times its generation time, so reports use at most a tenth of a core."""


class NoReport(Exception):
    """The report could not be made. The message is for the reader."""


class _Made(NamedTuple):
    """A report, or why there is none.

    Attributes:
        until: on the loop's clock.
    """

    text: bytes
    problem: str | None
    until: float


class LiveReport:
    """Makes reports, one at a time, and caches them, failures included.

    Args:
        config: names the ledger and the known callers.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._turn = asyncio.Lock()
        self._cache: dict[Form, _Made] = {}
        self._making: dict[Form, asyncio.Task[_Made]] = {}

    async def text(self, form: Form) -> bytes:
        """The report, which may be cached. It is finished, for the next reader, even if this one is cancelled.

        Raises:
            NoReport: there is no ledger, or it cannot be read.
        """
        made = self._cache.get(form)
        if made is None or made.until <= asyncio.get_running_loop().time():
            if form not in self._making:
                self._making[form] = asyncio.create_task(self._make(form))
            made = await asyncio.shield(self._making[form])
        if made.problem is not None:
            raise NoReport(made.problem)
        return made.text

    async def _make(self, form: Form) -> _Made:
        loop = asyncio.get_running_loop()
        async with self._turn:
            started, text, problem = loop.time(), b"", None
            try:
                text = await _in_thread(functools.partial(_report, self._config, form))
            except NoReport as error:
                problem = str(error)
            finally:
                del self._making[form]
            now = loop.time()
            made = self._cache[form] = _Made(text, problem, now + max(SHORTEST_LIFE, LIFE * (now - started)))
        return made


async def _in_thread(make: Callable[[], bytes]) -> bytes:
    """Call a function in a thread that does not keep the process from ending, as those of `asyncio.to_thread` do."""
    loop = asyncio.get_running_loop()
    made: asyncio.Future[bytes] = loop.create_future()

    def finish(text: bytes | None, problem: NoReport | None) -> None:
        if made.cancelled():
            return
        if problem is not None:
            made.set_exception(problem)
        else:
            made.set_result(text or b"")

    def run() -> None:
        text, problem = None, None
        try:
            text = make()
        except NoReport as error:
            problem = error
        except Exception as fault:
            problem = NoReport(f"a fault of the proxy itself: {type(fault).__name__}")
        with contextlib.suppress(RuntimeError):  # the server has stopped meanwhile
            loop.call_soon_threadsafe(finish, text, problem)

    threading.Thread(target=run, name="report", daemon=True).start()
    return await made


def _report(config: Config, form: Form) -> bytes:
    """Make a report.

    Raises:
        NoReport: there is no ledger, or it cannot be read.
    """
    if config.ledger is None:
        raise NoReport("this page reads the ledger: set the key ledger, or use 'trigger-shim callers'")
    try:
        ledger = Ledger(engines.connect(config.ledger, is_readonly=True))
        try:
            analysis = analyze(
                StoredLogs(ledger),
                config.callers.known,
                datetime.now(UTC),
                wants_detail=lambda _: form == "html",
                policy=config.lifecycle,
                gone=config.callers.gone,
            )
        finally:
            ledger.close()
    except LedgerUnavailable as problem:
        raise NoReport(str(problem)) from None
    if form == "json":
        from proxy.callers.render import formats  # noqa: PLC0415 - slow to import, and few ask for it

        return "".join(formats.to_json(analysis.report, analysis.report.rows, analysis.read)).encode()
    from proxy.callers.render import html_page  # noqa: PLC0415 - as above

    rows = analysis.report.rows
    return "".join(html_page.to_html(analysis, rows, config.successor_url, config.lifecycle)).encode()
