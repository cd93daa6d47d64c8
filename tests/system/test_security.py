"""The figures in SECURITY.md are those that hold."""

import re
from typing import Any

import pytest

from proxy import config, errors
from proxy.callers import identity
from proxy.callers.ledger import lines
from proxy.callers.ledger.counts import Strangers
from proxy.callers.log import reader
from proxy.callers.report import succession
from proxy.callers.report.aggregator import DEFAULT_LIMITS
from proxy.gateway.admin import report
from proxy.gateway.call import body, retries, slashes, withdrawn_call
from proxy.gateway.server import descriptors, exchange, protocol, proxy_protocol, request
from proxy.gateway.upstream import connection, pool
from proxy.gateway.upstream.upstream import ANSWER_LIMIT
from proxy.output import writer
from tests.support.paths import ROOT

PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
DEFAULTS = config.load(None, {})
LIMITS = DEFAULTS.limits


def size(count: float) -> str:
    for unit, bits in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if count >= 1 << bits:
            return f"{count / (1 << bits):g} {unit}"
    raise ValueError(count)


HELD: dict[str, tuple[str, type[errors.ProxyError] | None]] = {
    "head of a request": (f"{size(request.HEAD_LIMIT)}, {request.HEADERS_LIMIT} headers", errors.HeadersTooLarge),
    "time for a head": (f"{protocol.HEAD_TIMEOUT:g} s", errors.RequestTimeout),
    "header of the PROXY protocol": (
        f"{proxy_protocol.MAX_SIZE} bytes within {protocol.HEAD_TIMEOUT:g} s, from trusted proxies only",
        None,
    ),
    "path of a withdrawn call": (size(withdrawn_call.MAX_PATH), errors.PathTooLong),
    "body of a call that starts a run": (size(LIMITS.body), errors.BodyTooLarge),
    "time for such a body": (f"{body.WHOLE_BODY_TIMEOUT:g} s", errors.RequestTimeout),
    "pause in any other body": (f"{protocol.BODY_TIMEOUT:g} s", errors.RequestTimeout),
    "rate of any other body": (
        f"{size(exchange.MIN_RATE)}/s on average after {exchange.RATE_GRACE:g} s",
        errors.RequestTimeout,
    ),
    "start of such a body": (
        f"{size(body.FORWARDED_FROM)}, or all of it, before it takes a connection to the service",
        None,
    ),
    "what is held of all requests": (f"{size(LIMITS.buffered)} a process", errors.Overloaded),
    "body that waits to be read": (f"{size(exchange.BUFFER_LIMIT)} a connection", None),
    "requests sent ahead": (f"{protocol.AHEAD_LIMIT} a connection", errors.Overloaded),
    "idle connection": (f"{protocol.KEEPALIVE} s", None),
    "answer that waits for its caller": (f"{size(connection.READ_SIZE)} at a time", None),
    "answer that is not read": (f"{protocol.WRITE_TIMEOUT:g} s", None),
    "caller that neither reads nor sends while others wait for the service": (
        f"{pool.STALLED:g} s",
        errors.RequestTimeout,
    ),
    "calls under way": (f"{LIMITS.in_flight} that start runs, as many others", errors.Overloaded),
    "connections to the service": (
        f"{DEFAULTS.upstream.max_connections} for each of the two kinds",
        errors.Unreachable,
    ),
    "time of a call that starts a run": (f"{DEFAULTS.upstream.timeout:g} s", errors.Timeout),
    "answer to a call that starts a run": (size(ANSWER_LIMIT), errors.InvalidAnswer),
    "connections of callers": ("what open files are left", None),
    "connections to `admin`": (str(descriptors.ADMIN_CONNECTIONS), None),
    "runs kept for a retry": (
        f"{LIMITS.retry_window:g} s, {retries.MAX_RUNS} runs, {size(retries.MAX_BYTES)}",
        None,
    ),
    "record": ("4.5 KiB", None),  # tests/callers/test_record.py holds it to that
    "records that wait for a stalled disk": (f"{writer.LINES:,} records, {size(writer.BYTES)}", None),
    "callers kept in mind": (str(identity._MAX_CACHED), None),
    "tools named for a slash": (f"{slashes.MAX_NAMED} a process", None),
    "tools known from before the freeze by where they call from": (size(succession.MAX_BYTES), None),
    "rows of a report": (
        f"{DEFAULT_LIMITS.callers:,} callers, {DEFAULT_LIMITS.networks} networks of strangers",
        None,
    ),
    "line of a log": (size(reader.LONGEST_LINE), None),
    "lines of standard output that wait for the ledger": (f"{size(lines.BACKLOG)} a process", None),
    "keys of strangers in the ledger": (
        f"{Strangers()._most} a day and {Strangers()._in_all} in all, then by network",
        None,
    ),
    "report on `admin`": (
        f"one at a time, cached for {report.SHORTEST_LIFE:g} s or {report.LIFE} times its own time",
        None,
    ),
}


def rows() -> dict[str, list[str]]:
    table = re.search(r"^\| limit \| key \|.*\n\| --- .*\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    assert table is not None
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in table[1].splitlines()]
    return {limit: rest for limit, *rest in cells}


def value_of(key: str) -> Any:
    found: Any = DEFAULTS
    for part in key.strip("`").split("."):
        found = getattr(found, part)
    return found


def test_the_page_lists_each_limit_that_is_tested() -> None:
    assert list(rows()) == list(HELD)


@pytest.mark.parametrize("limit", HELD)
def test_a_limit_has_the_figure_and_the_answer_that_the_page_states(limit: str) -> None:
    key, figure, protects, meets = rows()[limit]
    stated, error = HELD[limit]

    assert figure == stated
    assert protects
    assert re.findall(r"\b[45]\d\d\b", meets) == (
        [str(error.status)] if error is not None else re.findall("503", meets)
    )
    assert not key or value_of(key)


def test_the_page_names_each_admin_page_that_is_guarded() -> None:
    guarded, open_to_all = re.findall(r"(`/.*?) answer (?:421 |to every name)", PAGE)
    assert set(re.findall(r"`(/[\w.]*)`", guarded)) == {"/", "/callers", "/callers.json"}
    assert set(re.findall(r"`(/[\w.]*)`", open_to_all)) == {"/healthz", "/readyz", "/metrics"}
