"""A month of forty callers with five owners and two brownouts, for the reports, the letters and the page.

Made without a proxy, and the same each time. ``python -m tests.callers.month FOLDER`` leaves the log, the ledger and
the configuration there.
"""

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from proxy.callers.identity import fingerprint
from proxy.callers.ledger import engines
from proxy.callers.ledger.ledger import Ledger
from proxy.callers.ledger.tables.current_calls import CurrentDay
from proxy.callers.record import SCHEMA, CallRecord, Heartbeat, Record
from tests.callers.lines import log
from tests.support.ledgers import fill

BEGIN = datetime(2026, 10, 26, tzinfo=UTC)
END = datetime(2026, 11, 27, 8, tzinfo=UTC)
"""The time of the reports: a Friday."""

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
FIRST_BROWNOUT = (datetime(2026, 11, 10, 9, tzinfo=UTC), datetime(2026, 11, 10, 10, tzinfo=UTC))
SECOND_BROWNOUT = (datetime(2026, 11, 18, 8, tzinfo=UTC), datetime(2026, 11, 18, 12, tzinfo=UTC))
BROWNOUTS = (FIRST_BROWNOUT, SECOND_BROWNOUT)
FREEZE, SUNSET = datetime(2026, 12, 7, tzinfo=UTC), datetime(2027, 1, 18, tzinfo=UTC)
BACK = datetime(2026, 11, 23, tzinfo=UTC)
"""A Monday: one caller comes back, and another one is new."""

INSTANCE = "shim-1:7"
WEEK_AGO = datetime(2026, 11, 20, 8, tzinfo=UTC)
CANARY_MOVES = datetime(2026, 11, 21, 12, tzinfo=UTC)

KEY = "a key for fingerprints that are the same in every run"
CONTACTS = {
    "team-build": "build@acme.example",
    "team-release": "release@acme.example",
    "team-mobile": "mobile@acme.example",
    "team-data": "data@acme.example",
    "finance": "books@acme.example",
}

Times = Iterator[datetime]


# --- when they call


def nightly(hour: int, minute: int = 0, until: datetime = END, begin: datetime = BEGIN) -> Times:
    """Once a day."""
    return _every(DAY, begin + hour * HOUR + minute * MINUTE, until)


def weekly(weekday: int, hour: int) -> Times:
    """Once a week; Monday is 0."""
    return _every(7 * DAY, BEGIN + weekday * DAY + hour * HOUR, END)


def by_day(step: timedelta, minute: int = 0, until: datetime = END, begin: datetime = BEGIN) -> Times:
    """From 7 to 18 o'clock on working days."""
    times = _every(step, begin + minute * MINUTE, until)
    return (moment for moment in times if moment.weekday() < 5 and 7 <= moment.hour < 18)


def once(day: int, hour: int, minute: int = 0, calls: int = 1) -> Times:
    """Some calls on a day in November."""
    moment = datetime(2026, 11, day, hour, minute, tzinfo=UTC)
    return iter([moment + number * MINUTE for number in range(calls)])


def in_turn(*parts: Times) -> Times:
    """One after the other."""
    return (moment for part in parts for moment in part)


def _every(step: timedelta, first: datetime, until: datetime) -> Times:
    while first < until:
        yield first
        first += step


# --- who calls


class Tool(NamedTuple):
    """A caller.

    Attributes:
        times: makes the times of its calls.
        owner: None if nobody knows whose it is; then it has no rule, and its token names it.
        user: who made its token.
        network: the third number of its address.
        tries: how often it tries again when it is refused, a minute apart.
        moves: when it begins to make the new call, with the same token.
        rule: more keys of its rule.
        is_failing: the service accepts its token, but none of its calls.
    """

    name: str
    owner: str | None
    user: str
    agent: str
    repository: str
    workflow: str
    times: Callable[[], Times]
    network: int = 1
    tries: int = 0
    inputs: tuple[str, ...] = ()
    moves: datetime | None = None
    rule: Mapping[str, Any] = {}
    endpoint: str = "trigger"
    is_failing: bool = False

    @property
    def token(self) -> str:
        """The fingerprint of its token."""
        return fingerprint(KEY.encode(), f"token of {self.name}")


def _tools() -> Iterator[Tool]:
    build = "team-build", "alice", "Jenkins/2.401"
    yield Tool("nightly-build", *build, "acme/shop", "build", lambda: nightly(2), inputs=("env",))
    yield Tool("shop-smoke", *build, "acme/shop", "smoke", lambda: by_day(HOUR), tries=2)
    yield Tool("web-smoke", *build, "acme/web", "smoke", lambda: by_day(HOUR, 20), tries=2)
    yield Tool("api-smoke", *build, "acme/api", "smoke", lambda: by_day(2 * HOUR, 10), tries=5,
               rule={"promised": "2026-11-20"})  # fmt: skip
    yield Tool("lint", *build, "acme/shop", "lint", lambda: by_day(3 * HOUR, 5, FIRST_BROWNOUT[0] + 3 * HOUR))
    yield Tool("docs", *build, "acme/docs", "publish", lambda: nightly(4, 30))
    yield Tool("images", *build, "acme/images", "build", lambda: nightly(1, 15, datetime(2026, 11, 21, tzinfo=UTC)))
    yield Tool("cache-warmer", *build, "acme/shop", "warm", lambda: by_day(30 * MINUTE, 15), inputs=("region",))
    yield Tool("dashboard", *build, "acme/shop", "", lambda: by_day(HOUR, 45), endpoint="list_runs", tries=1)
    release = "team-release", "carol", "release-train/2.0"
    yield Tool(
        "release-train", *release, "acme/shop", "release", lambda: weekly(4, 7), 2, inputs=("version", "channel")
    )
    yield Tool("hotfix", *release, "acme/shop", "hotfix", lambda: in_turn(once(3, 14), once(12, 16), once(24, 11)), 2)
    yield Tool("changelog", *release, "acme/docs", "changelog", lambda: weekly(3, 9), 2)
    yield Tool("sign", *release, "acme/shop", "sign", lambda: weekly(4, 6), 2)
    yield Tool("canary", *release, "acme/api", "canary", lambda: by_day(2 * HOUR, until=CANARY_MOVES), 2,
               moves=CANARY_MOVES)  # fmt: skip
    yield Tool("rollback-drill", *release, "acme/api", "rollback", lambda: weekly(2, 15), 2)
    yield Tool("tag-watcher", *release, "acme/shop", "tags", lambda: by_day(HOUR, 30, FIRST_BROWNOUT[1]), 2,
               tries=1, moves=FIRST_BROWNOUT[1] + 2 * HOUR)  # fmt: skip
    mobile = "team-mobile", "dave", "fastlane/2.219"
    yield Tool("android-nightly", *mobile, "acme/app", "android", lambda: nightly(3), 3, inputs=("flavour",))
    yield Tool("ios-nightly", *mobile, "acme/app", "ios", lambda: nightly(3, 20), 3, inputs=("flavour",))
    yield Tool("app-beta", *mobile, "acme/app", "beta", lambda: by_day(4 * HOUR), 3, tries=1)
    yield Tool("screenshots", *mobile, "acme/app", "screenshots", lambda: weekly(1, 22), 3)
    yield Tool("device-farm", *mobile, "acme/app", "devices", lambda: in_turn(
        by_day(2 * HOUR, until=WEEK_AGO), by_day(HOUR, begin=WEEK_AGO)), 3, tries=1)  # fmt: skip
    yield Tool("store-upload", *mobile, "acme/app", "store", lambda: weekly(3, 13), 3)
    yield Tool("app-size", *mobile, "acme/app", "size", lambda: in_turn(
        nightly(5, until=datetime(2026, 11, 5, tzinfo=UTC)), nightly(5, begin=BACK)), 3)  # fmt: skip
    data = "team-data", "erin", "airflow/2.8.1"
    yield Tool("warehouse", *data, "acme/data", "load", lambda: nightly(0, 40), 4, inputs=("day",))
    yield Tool("features", *data, "acme/data", "features", lambda: nightly(1, 40), 4,
               rule={"note": "moves with Airflow 3", "promised": "2026-12-10"})  # fmt: skip
    yield Tool("retrain", *data, "acme/models", "train", lambda: weekly(6, 3), 4, inputs=("model",))
    yield Tool("score", *data, "acme/models", "score", lambda: by_day(HOUR, 50), 4, tries=3)
    yield Tool("exports", *data, "acme/data", "export", lambda: nightly(6, 10, datetime(2026, 11, 20, tzinfo=UTC)), 4)
    yield Tool("quality", *data, "acme/data", "quality", lambda: in_turn(
        by_day(HOUR, 25, WEEK_AGO), by_day(4 * HOUR, 25, begin=WEEK_AGO)), 4, tries=1)  # fmt: skip
    finance = "finance", "frank", "curl/7.68.0"
    yield Tool("month-end", *finance, "acme/books", "close", lambda: once(1, 6), 5,
               rule={"note": "closes the books on the first of each month", "every": "31d"})  # fmt: skip
    yield Tool("invoices", *finance, "acme/books", "invoices", lambda: nightly(5, 45), 5)
    yield Tool("old-ledger", *finance, "acme/ledger", "sync", lambda: nightly(2, 30), 5, is_failing=True)
    yield Tool("a1", None, "grace", "python-requests/2.31", "acme/shop", "smoke%2Ffast", lambda: by_day(HOUR, 35), 6, 4)
    yield Tool("a2", None, "heidi", "curl/8.5.0", "acme/web", "deploy", lambda: weekly(0, 10), 6)
    yield Tool("a3", None, "ivan", "HTTPie/3.2.1", "acme/api", "matrix", lambda: once(12, 13, 5, calls=30), 7)
    yield Tool("a4", None, "judy", "Go-http-client/1.1", "acme/data", "load", lambda: nightly(7), 4)
    yield Tool("a5", None, "ken", "PowerShell/7.4", "acme/web", "build", lambda: by_day(3 * HOUR, 40), 8)
    yield Tool("a6", None, "laura", "node-fetch/3.3", "acme/app", "beta", lambda: by_day(4 * HOUR, begin=BACK), 3)
    yield Tool("a7", None, "mike", "GitLab-Runner/16", "acme/docs", "publish", lambda: nightly(23), 9)
    yield Tool("scanner", None, "oscar", "dast-scanner/1.2", "acme/shop", "build", lambda: weekly(5, 12), 10,
               rule={"note": "tries every path that it has ever seen", "ignore": True})  # fmt: skip


TOOLS = tuple(_tools())
FAILURE = {"outcome": "upstream_error", "status": 404, "error_code": "NotFound"}
REFUSAL = {"phase": "brownout", "outcome": "brownout", "status": 410, "error_code": "EndpointBrownout"}


# --- what is in the log


def records() -> list[Record]:
    """All records of the month, in the order of the log."""
    calls = [call for tool in TOOLS for call in _calls(tool)]
    calls += [_stranger(moment) for moment in nightly(0, 30)]
    everything: list[Record] = [*calls, *_heartbeats()]
    return sorted(everything, key=lambda record: record.ts)


def _heartbeats() -> Iterator[Heartbeat]:
    for moment in _every(HOUR, BEGIN, END + MINUTE):
        yield Heartbeat(SCHEMA, moment, "start" if moment == BEGIN else "interval", HOUR.total_seconds(), INSTANCE)


def _calls(tool: Tool) -> Iterator[CallRecord]:
    for moment in tool.times():
        if not any(begin <= moment < end for begin, end in BROWNOUTS):
            yield _call(tool, moment, **(FAILURE if tool.is_failing else {"run": f"{moment:%j%H%M}"}))
            continue
        for number in range(tool.tries + 1):
            yield _call(tool, moment + number * MINUTE, **REFUSAL)


def _call(tool: Tool, moment: datetime, **fields: Any) -> CallRecord:
    org, repo = tool.repository.split("/")
    is_trigger = tool.endpoint == "trigger"
    successor = f"/repos/{tool.repository}/cicd/runs"
    known: dict[str, Any] = {
        "schema": SCHEMA,
        "ts": moment,
        "request_id": f"{moment:%m%dT%H%M}-{tool.name}",
        "instance": INSTANCE,
        "endpoint": tool.endpoint,
        "method": "POST" if is_trigger else "GET",
        "path": f"/{tool.repository}/ci_workflows/{tool.workflow}/trigger" if is_trigger else successor[6:],
        "successor": successor,
        "org": org,
        "repo": repo,
        "workflow": tool.workflow.replace("%2F", "/") or None,
        "caller": f"token:{tool.token}",
        "caller_source": "token",
        "token": tool.token,
        "client_ip": f"10.{tool.network}.0.{7 + TOOLS.index(tool)}",
        "user_agent": tool.agent,
        "phase": "deprecated",
        "outcome": "forwarded",
        "status": 200,
        "inputs": list(tool.inputs),
    }
    if fields.get("status", 200) < 400:
        known["run_user"] = tool.user
    return CallRecord(**known | fields)


def _stranger(moment: datetime) -> CallRecord:
    """A call of a job without a token."""
    agent, address = "curl/7.88.1", "203.0.113.9"
    return CallRecord(
        schema=SCHEMA,
        ts=moment,
        request_id=f"{moment:%m%dT%H%M}-sync",
        instance=INSTANCE,
        endpoint="trigger",
        method="POST",
        path="/acme/shop/ci_workflows/sync/trigger",
        successor="/repos/acme/shop/cicd/runs",
        org="acme",
        repo="shop",
        workflow="sync",
        caller=f"{address} {agent}",
        caller_source="address",
        client_ip=address,
        user_agent=agent,
        phase="deprecated",
        outcome="upstream_error",
        status=401,
        error_code="Unauthenticated",
    )


# --- where they are


def rules() -> list[dict[str, Any]]:
    """The known callers, as in the configuration."""
    return [
        {"name": tool.name, **_owner(tool), "token": tool.token, **tool.rule}
        for tool in TOOLS
        if tool.owner is not None or tool.rule
    ]


def _owner(tool: Tool) -> dict[str, str]:
    return {"owner": tool.owner, "contact": CONTACTS[tool.owner]} if tool.owner is not None else {}


def settings() -> dict[str, Any]:
    """The configuration."""
    return {
        "upstream": {"url": "https://api.sourcecraft.tech"},
        "callers": {"log": "callers.jsonl", "fingerprint_key": KEY, "known": rules()},
        "lifecycle": {
            "deprecated": "2026-09-01",
            "freeze": f"{FREEZE:%Y-%m-%d}",
            "sunset": f"{SUNSET:%Y-%m-%d}",
            "brownouts": [{"from": begin.isoformat(), "to": end.isoformat()} for begin, end in BROWNOUTS],
        },
    }


def current_calls() -> dict[tuple[str, int], CurrentDay]:
    """The current calls of those who have moved, as the proxy counts them: three a day."""
    moved = [(tool, day) for tool in TOOLS if tool.moves is not None for day in _every(DAY, tool.moves, END)]
    return {(tool.token, day.toordinal()): CurrentDay(3, day, day + HOUR) for tool, day in moved}


def write(folder: Path, made: Iterable[Record] | None = None) -> Path:
    """Leave log, ledger and configuration in a folder, and return the path of the configuration."""
    found = list(records() if made is None else made)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "callers.jsonl").write_bytes(log(*found))
    fill_ledger(str(folder / "callers.db"), found)
    (folder / "config.yaml").write_text(yaml.safe_dump(settings(), sort_keys=False))
    return folder / "config.yaml"


def fill_ledger(address: str, made: Iterable[Record] | None = None) -> None:
    """Count the month into a ledger."""
    fill(address, *(records() if made is None else made))
    with contextlib.closing(Ledger(engines.connect(address))) as ledger:
        ledger.add_current_calls(current_calls())


if __name__ == "__main__":
    write(Path(sys.argv[1]))
