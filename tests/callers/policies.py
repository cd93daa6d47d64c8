"""Policies and rules for the tests of what they mean."""

from datetime import datetime, timedelta
from typing import Any

from proxy.callers.identity import Rule
from proxy.withdrawn.brownouts import Brownout, Once, Window

HOUR = timedelta(hours=1)


def once(begin: datetime, length: timedelta = HOUR, *callers: str, exempt: tuple[str, ...] = ()) -> Brownout:
    """A brownout with a single window."""
    return Brownout(Once(Window(begin, begin + length)), callers, exempt)


def rule(name: str, **values: Any) -> Rule:
    """A rule that matches the user agents ``name/…``."""
    return Rule(name, agents=(f"{name}/*",), **values)
