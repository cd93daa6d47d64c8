"""A month of mixed callers through the running proxy, for the reports on it.

``python -m tests.system.month FOLDER`` leaves the log and the configuration there.
"""

import contextlib
import http.client
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from proxy import config
from proxy.callers.identity import fingerprint
from proxy.gateway.app import App
from proxy.gateway.server import listeners, server
from proxy.standin.app import StandIn

BEGIN = datetime(2026, 10, 24, tzinfo=UTC)
END = datetime(2026, 11, 24, 8, tzinfo=UTC)
DOWN = (datetime(2026, 11, 15, 2, 30, tzinfo=UTC), datetime(2026, 11, 15, 5, 10, tzinfo=UTC))
"""When the proxy was not running."""

KEY = "a key for fingerprints that are the same in every run"
USERS = {"nightly-token": "alice", "smoke-token": "bob", "train-token": "carol", "jenkins-token": "dave"}
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class Event(NamedTuple):
    """A call, and when it comes."""

    at: datetime
    token: str
    agent: str
    address: str
    method: str
    path: str
    body: Any
    name: str | None = None


def trigger(workflow: str, repository: str = "acme/shop") -> str:
    return f"/{repository}/ci_workflows/{workflow}/trigger"


def inputs(**values: str) -> Any:
    return {"revision": "main", "input": {"values": [{"name": name, "value": value} for name, value in values.items()]}}


def every(step: timedelta, first: datetime, until: datetime = END) -> Iterator[datetime]:
    while first < until:
        yield first
        first += step


def at(day: int, hour: int, minute: int = 0, month: int = 11) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


def nightly() -> Iterator[Event]:
    """A build, every night."""
    for moment in every(DAY, BEGIN + 2 * HOUR):
        yield Event(moment, "nightly-token", "nightly/3.1", "10.1.0.7", "POST", trigger("build"), inputs(env="staging"))


def smoke_tests() -> Iterator[Event]:
    """Every hour of a working day, by somebody whom nobody has written down."""
    body = {"revision": "tags:v1.4.0"}
    for moment in every(HOUR, BEGIN):
        if moment.weekday() < 5 and 7 <= moment.hour < 18:
            yield Event(
                moment, "smoke-token", "python-requests/2.31.0", "10.1.0.42", "POST", trigger("smoke%2Ffast"), body
            )


def release_train() -> Iterator[Event]:
    """Each Friday."""
    body = inputs(version="1", channel="beta")
    for moment in every(7 * DAY, at(30, 15, month=10)):
        yield Event(moment, "train-token", "release-train/2.0", "10.2.0.5", "POST", trigger("release"), body)


def books() -> Iterator[Event]:
    """On the first of the month."""
    yield Event(at(1, 6), "books-token", "curl/7.68.0", "10.4.0.9", "POST", trigger("books"), {})


def jenkins() -> Iterator[Event]:
    """It looked at its runs, too, and moved on the 6th."""
    who, by_id = ("jenkins-token", "Jenkins/2.332", "10.3.0.3"), "/repos/id:42/ci_workflows/build/trigger"
    for moment in every(6 * HOUR, BEGIN, at(6, 12)):
        yield Event(moment, *who, "POST", by_id, inputs(env="jenkins"))
        yield Event(moment + timedelta(minutes=5), *who, "GET", "/acme/shop/cicd/runs", None)


def matrix_by_hand() -> Iterator[Event]:
    """Somebody tried something, once."""
    for moment in every(timedelta(seconds=40), at(12, 13, 5), at(12, 13, 25)):
        yield Event(moment, "hand-token", "HTTPie/3.2.1", "10.9.0.1", "POST", trigger("matrix"), inputs(os="linux"))


def lost_token() -> Iterator[Event]:
    """A cron job that nobody has looked at for long."""
    for moment in every(6 * HOUR, BEGIN + HOUR / 2):
        yield Event(moment, "", "curl/7.88.1", "10.20.0.9", "POST", trigger("sync"), {})


def deploy_bot() -> Iterator[Event]:
    """It gives its name, and has always sent its inputs in a field that the endpoint ignores."""
    body = {"inputs": {"env": "production"}}
    for moment in every(2 * DAY, BEGIN + 9 * HOUR):
        yield Event(moment, "bot-token", "deploy-bot/1.4", "10.5.0.2", "POST", trigger("deploy"), body, "deploy-bot")


def events() -> list[Event]:
    everybody = (nightly, smoke_tests, release_train, books, jenkins, matrix_by_hand, lost_token, deploy_bot)
    calls = [event for somebody in everybody for event in somebody()]
    return sorted((event for event in calls if not DOWN[0] <= event.at < DOWN[1]), key=lambda event: event.at)


def known() -> list[dict[str, Any]]:
    token = fingerprint(KEY.encode(), "nightly-token")
    build = {"owner": "team-build", "contact": "build@acme.example"}
    return [
        {"name": "nightly-build", **build, "token": token},
        {"name": "jenkins", **build, "network": "10.3.0.0/24"},
        {"name": "release-train", "owner": "team-release", "contact": "#releases", "agent": "release-train/*"},
        {"name": "month-end", "owner": "finance", "contact": "books@acme.example", "workflow": "books"},
    ]


class _Clock:
    now = BEGIN

    def __call__(self) -> datetime:
        return self.now


def simulate(folder: Path) -> Path:
    """Let the month pass, and leave its log and the configuration in a folder.

    Returns:
        Where the configuration is.
    """
    clock, upstream, waiting = _Clock(), listeners.loopback(), events()
    file = folder / "config.yaml"
    with server.background(StandIn(USERS), upstream):
        values: dict[str, Any] = {
            "upstream": {"url": "http://{}:{}".format(*upstream.getsockname())},
            "callers": {
                "log": str(folder / "callers.jsonl"),
                "heartbeat": HOUR.total_seconds(),
                "fingerprint_key": KEY,
                "known": known(),
                "header": "X-Caller",
            },
        }
        for begin, end in ((BEGIN, DOWN[0]), (DOWN[1], END)):
            clock.now = begin
            with _serving(config.load(None, {}, values), clock) as (app, address):
                calls = ((event.at, event) for event in waiting if begin <= event.at < end)
                beats = ((at, None) for at in every(HOUR, begin + HOUR, end))
                for clock.now, event in sorted([*calls, *beats], key=lambda pair: pair[0]):
                    if event is None:
                        app._beat("interval")
                    else:
                        _call(address, event)
                clock.now = end
    values["upstream"] = {"url": "https://api.sourcecraft.tech"}
    values["callers"]["log"] = "callers.jsonl"
    del values["callers"]["heartbeat"]
    file.write_text(yaml.safe_dump(values, sort_keys=False))
    return file


@contextlib.contextmanager
def _serving(settings: config.Config, clock: _Clock) -> Iterator[tuple[App, tuple[str, int]]]:
    public = listeners.loopback()
    app = App(settings, now=clock)
    with server.background(app, public):
        yield app, public.getsockname()


def _call(address: tuple[str, int], event: Event) -> None:
    headers = {
        "User-Agent": event.agent,
        "X-Forwarded-For": event.address,
        "X-Request-ID": f"{event.at:%m%dT%H%M%S}-{event.address}",
    }
    if event.token:
        headers["Authorization"] = f"Bearer {event.token}"
    if event.name is not None:
        headers["X-Caller"] = event.name
    with contextlib.closing(http.client.HTTPConnection(*address, timeout=20)) as connection:
        connection.request(
            event.method, event.path, json.dumps(event.body) if event.body is not None else None, headers
        )
        connection.getresponse().read()


if __name__ == "__main__":
    simulate(Path(sys.argv[1]))
