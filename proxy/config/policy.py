"""How the file spells the policy, brownouts and known callers, whose classes belong to other packages."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from proxy.callers.identity import Rule
from proxy.config.sections import Section
from proxy.config.values import Cron, Fingerprints, Flag, Globs, Moment, Networks, Page, Seconds, Text, Zone
from proxy.withdrawn.brownouts import Brownout, Once, Recurring, Window
from proxy.withdrawn.lifecycle import Policy

DEFAULT_POLICY = Policy(
    deprecated=datetime(2025, 12, 1, tzinfo=UTC),
    documentation="https://sourcecraft.dev/portal/docs/en/api-ref/CICD/RunWorkflows",
)


def _make_brownout(keys: dict[str, Any]) -> Brownout:
    return Brownout(_windows(keys), keys.get("callers", ()), keys.get("except", ()))


def _windows(keys: dict[str, Any]) -> Once | Recurring:
    given = {key for key in ("from", "to", "cron", "duration") if keys.get(key) is not None}
    if given == {"cron", "duration"}:
        return Recurring(keys["cron"], timedelta(seconds=keys["duration"]), keys.get("time_zone", ZoneInfo("UTC")))
    if given != {"from", "to"}:
        raise ValueError("write from and to, or cron and duration")
    if keys["to"] <= keys["from"]:
        raise ValueError("to is not after from; change one of them")
    return Once(Window(keys["from"], keys["to"]))


def _brownout_keys(brownout: Brownout) -> dict[str, Any]:
    windows = brownout.windows
    when: dict[str, Any]
    if isinstance(windows, Once):
        when = {"from": windows.window.begin, "to": windows.window.end}
    else:
        when = {"cron": windows.cron, "duration": windows.duration.total_seconds(), "time_zone": windows.zone}
    return {**when, "callers": brownout.callers, "except": brownout.exempt}


PlannedBrownout = Annotated[
    Brownout,
    Section(
        {
            "from": Moment | None,
            "to": Moment | None,
            "cron": Cron | None,
            "duration": Seconds | None,
            "time_zone": Zone,
            "callers": Globs,
            "except": Globs,
        },
        _make_brownout,
        _brownout_keys,
    ),
]

Lifecycle = Annotated[
    Policy,
    Section(
        {
            "deprecated": Moment | None,
            "sunset": Moment | None,
            "documentation": Page | None,
            "brownouts": tuple[PlannedBrownout, ...],
            "freeze": Moment | None,
        },
        lambda keys: DEFAULT_POLICY._replace(**keys),
        Policy._asdict,
    ),
]

_PLURALS = {
    "token": "tokens", "agent": "agents", "network": "networks", "repository": "repositories", "workflow": "workflows",
}  # fmt: skip
"""Keys that are singular in the file, as most callers have one value, and plural in `Rule`."""

_SINGULARS = {field: key for key, field in _PLURALS.items()}


KnownCaller = Annotated[
    Rule,
    Section(
        {
            "name": Text,
            "owner": Text | None,
            "contact": Text | None,
            "token": Fingerprints,
            "agent": Globs,
            "network": Networks,
            "repository": Globs,
            "workflow": Globs,
            "migrated": Moment | None,
            "extension": Moment | None,
            "exempt_from_freeze": Flag,
        },
        lambda keys: Rule(**{"name": "", **{_PLURALS.get(key, key): value for key, value in keys.items()}}),
        lambda rule: {_SINGULARS.get(field, field): value for field, value in rule._asdict().items()},
    ),
]
