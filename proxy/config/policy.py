"""How the file spells the policy, brownouts and known callers, whose classes belong to other packages."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from proxy.callers.identity import Rule
from proxy.config.sections import Section
from proxy.config.values import (
    Cron,
    Fingerprints,
    Flag,
    Globs,
    Moment,
    Networks,
    Page,
    Period,
    Seconds,
    Text,
    Url,
    Zone,
)
from proxy.withdrawn.brownouts import Brownout, Once, Recurring, Window
from proxy.withdrawn.lifecycle import Policy

_UTC = ZoneInfo("UTC")


def _brownout(
    *,
    from_: Moment | None = None,
    to: Moment | None = None,
    cron: Cron | None = None,
    duration: Seconds | None = None,
    time_zone: Zone = _UTC,
    callers: Globs = (),
    except_: Globs = (),
) -> Brownout:
    windows: Once | Recurring
    if from_ is not None and to is not None and cron is None and duration is None:
        if to <= from_:
            raise ValueError("to is not after from; change one of them")
        windows = Once(Window(from_, to))
    elif cron is not None and duration is not None and from_ is None and to is None:
        windows = Recurring(cron, timedelta(seconds=duration), time_zone)
    else:
        raise ValueError("has no whole time; write from and to, or cron and duration")
    return Brownout(windows, callers, except_)


def _brownout_keys(brownout: Brownout) -> dict[str, Any]:
    windows, keys = brownout.windows, {"callers": brownout.callers, "except": brownout.exempt}
    if isinstance(windows, Once):
        return {"from": windows.window.begin, "to": windows.window.end, **keys}
    return {"cron": windows.cron, "duration": windows.duration.total_seconds(), "time_zone": windows.zone, **keys}


PlannedBrownout = Annotated[Brownout, Section(_brownout, _brownout_keys)]


def _policy(
    *,
    deprecated: Moment | None = datetime(2025, 12, 1, tzinfo=UTC),
    sunset: Moment | None = None,
    documentation: Page | None = "https://sourcecraft.dev/portal/docs/en/api-ref/CICD/RunWorkflows",
    brownouts: tuple[PlannedBrownout, ...] = (),
    freeze: Moment | None = None,
    successor_url: Url | None = None,
) -> Policy:
    return Policy(deprecated, sunset, documentation, brownouts, freeze, successor_url)


Lifecycle = Annotated[Policy, Section(_policy)]
DEFAULT_POLICY = _policy()


def _rule(
    *,
    name: Text = "",
    owner: Text | None = None,
    contact: Text | None = None,
    token: Fingerprints = (),
    agent: Globs = (),
    network: Networks = (),
    repository: Globs = (),
    workflow: Globs = (),
    migrated: Moment | None = None,
    extension: Moment | None = None,
    exempt_from_freeze: Flag = False,
    every: Period | None = None,
    note: Text | None = None,
    promised: Moment | None = None,
    ignore: Flag = False,
) -> Rule:
    criteria = token, agent, network, repository, workflow
    return Rule(name, owner, contact, *criteria, migrated, extension, exempt_from_freeze, every, note, promised, ignore)


KnownCaller = Annotated[Rule, Section(_rule)]
