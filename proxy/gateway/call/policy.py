"""What may change while the proxy runs: the policy, and who the callers are."""

import asyncio
import math
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from proxy import errors
from proxy.callers import identity
from proxy.callers.identity import Caller, Identity, Rule
from proxy.callers.log.files import NoLog, log_files
from proxy.callers.record import CallRecord
from proxy.callers.report.aggregator import Aggregator
from proxy.callers.report.reader import Reader
from proxy.config import Config
from proxy.output.diagnostics import log
from proxy.withdrawn import endpoints, lifecycle
from proxy.withdrawn.lifecycle import Decision, Headers, PolicySubject, Reason, Refusal

Clock = Callable[[], datetime]

SETTLING = timedelta(seconds=5)
"""After the freeze: in it the last records from before are written, by other workers, too."""


class Terms:
    """One policy and the callers that it is about, which hold until others take their place.

    Args:
        config: the whole configuration.
        key: of the fingerprints.

    Attributes:
        identity: names callers.
        had_record: the names of who called before the freeze; None where that is not known, and nobody counts as new.
    """

    def __init__(self, config: Config, key: bytes) -> None:
        self._rules = config.callers.known
        self._log = config.callers.log
        self._policy = config.lifecycle
        self._announcements: dict[datetime | None, Headers] = {}
        self.had_record: frozenset[str] | None = None
        self._has_asked = False
        self.identity = Identity(config.callers.trusted_proxies, key, self._rules)

    @property
    def freeze(self) -> datetime | None:
        """Who has no record from before this is refused after it."""
        return self._policy.freeze

    def party(self, caller: Caller) -> PolicySubject:
        """A caller, as the policy sees it."""
        has_record = self.had_record is None or caller.name in self.had_record
        return identity.policy_subject(caller.name, caller.rule, has_record=has_record)

    def decide(self, party: PolicySubject, now: datetime) -> Decision:
        """How a caller stands."""
        return lifecycle.decide(self._policy, party, now)

    def announced(self, party: PolicySubject, successor: str | None) -> Headers:
        """The headers that announce the end to a caller.

        Args:
            party: who calls.
            successor: absolute URL of what it should call, or None where its own call names none.
        """
        end = lifecycle.sunset_for(self._policy, party)
        if end not in self._announcements:
            self._announcements[end] = lifecycle.announcement(self._policy, party)
        return [*self._announcements[end], *lifecycle.links(self._policy, successor)]

    def know_who_is_new(self) -> None:
        """Read from the caller log who called before the freeze. Where it does not say, nobody is new."""
        if self.freeze is not None:
            self.had_record = callers_before(self.freeze, self._log, self._rules)
            self._has_asked = True

    def know_as(self, last: "Terms") -> None:
        """Know it from the terms before, where these would ask the same: of that time there may be no log any more."""
        if last.question == self.question and last.had_record is not None:
            self.had_record, self._has_asked = last.had_record, True

    @property
    def waits(self) -> bool:
        """Whether it is still to be read who is new."""
        return self.freeze is not None and not self._has_asked

    @property
    def question(self) -> tuple[datetime | None, str, list[Rule]]:
        """What is read from the log: until when, where, and by which names."""
        criteria = [
            rule._replace(owner=None, contact=None, migrated=None, extension=None, exempt_from_freeze=False)
            for rule in self._rules
        ]
        return self.freeze, self._log, criteria

    @property
    def documentation(self) -> str | None:
        """The page that explains the withdrawal."""
        return self._policy.documentation


class InForce:
    """The terms in force, and the task in which they learn who is new once that is decided.

    Args:
        config: the whole configuration, as it is at first.
        key: of the fingerprints.
        now: the time, in UTC.

    Attributes:
        terms: in force; a call keeps those that it began with.
        now: the time, in UTC.
    """

    def __init__(self, config: Config, key: bytes, now: Clock) -> None:
        self.terms = Terms(config, key)
        self._key = key
        self.now = now
        self._learning: asyncio.Task[None] | None = None

    async def prepared(self, config: Config) -> Terms:
        """Others, which may be put in force: it is known who is new, where that is decided."""
        terms = Terms(config, self._key)
        terms.know_as(self.terms)
        if terms.waits and self._settling(terms) <= 0:
            await asyncio.to_thread(terms.know_who_is_new)
        return terms

    def put(self, terms: Terms) -> None:
        """Let terms take the place of those in force."""
        self.close()
        self.terms = terms
        if terms.waits:
            self._learning = asyncio.create_task(self._learn(terms))

    def close(self) -> None:
        """Learn nothing any more."""
        if self._learning is not None:
            self._learning.cancel()

    async def _learn(self, terms: Terms) -> None:
        # Again where the clock was put back meanwhile.
        while (left := self._settling(terms)) > 0:  # noqa: ASYNC110 - no event announces a time
            await asyncio.sleep(left)
        await asyncio.to_thread(terms.know_who_is_new)

    def _settling(self, terms: Terms) -> float:
        """Seconds until it can be read who called before the freeze."""
        return (terms.freeze + SETTLING - self.now()).total_seconds() if terms.freeze is not None else 0


class Visit(NamedTuple):
    """A call of a withdrawn endpoint, under the terms that held when it came.

    Attributes:
        base: address of the service.
    """

    terms: Terms
    party: PolicySubject
    decision: Decision
    record: CallRecord
    base: str

    @property
    def successor(self) -> str | None:
        """The URL of what to call instead; None where the call itself names none."""
        return self.base + self.record.successor if self.record.successor is not None else None

    @property
    def request_id(self) -> tuple[bytes, bytes]:
        """The header that names the call."""
        return b"x-request-id", self.record.request_id.encode()

    def announced(self) -> Headers:
        """The headers that announce the end."""
        return self.terms.announced(self.party, self.successor)

    def check(self) -> None:
        """Let it go on, if it may.

        Raises:
            errors.Withdrawn, errors.BrownedOut: it may not, for good or for a while.
        """
        if self.decision.refusal is not None:
            raise self._refused(self.decision.refusal)

    def _refused(self, refusal: Refusal) -> errors.ProxyError:
        details = {"successor": self.successor or ""}
        if self.terms.documentation is not None:
            details["documentation"] = self.terms.documentation
        if refusal.until is None:
            error: errors.ProxyError = errors.Withdrawn(f"{_WHY[refusal.reason]}: {self._instead()}.")
        else:
            until = details["until"] = refusal.until.isoformat().replace("+00:00", "Z")
            error = errors.BrownedOut(f"{_WHY[refusal.reason]} until {until}: {self._instead()}.")
            error.retry_after = max(1, math.ceil((refusal.until - self.record.ts).total_seconds()))
        error.details = details
        return error

    def _instead(self) -> str:
        call = f"call {self.record.method} {self.successor} instead"
        if not endpoints.BY_NAME[self.record.endpoint].is_trigger:
            return call
        body = msgspec.json.encode({"workflows": [{"name": self.record.workflow}]}).decode()
        return f"{call}, with {body}"


_WHY: dict[Reason, str] = {
    "sunset": "This endpoint is withdrawn",
    "migrated": "This caller has moved off this endpoint and may not come back to it",
    "frozen": "This endpoint takes no new callers",
    "brownout": "This endpoint is switched off",
}


def callers_before(freeze: datetime, caller_log: str, rules: Iterable[Rule]) -> frozenset[str] | None:
    """The names of those who have a record from before the freeze, or None where the log does not reach back so far."""
    aggregator = Aggregator(list(rules), until=freeze, freeze=freeze)
    try:
        aggregator.add(Reader(log_files(caller_log)))
    except NoLog as problem:
        log.warning("freeze_not_applied", message=str(problem))
        return None
    names = aggregator.callers_before_freeze()
    if names is None:
        log.warning("freeze_not_applied", message=f"{caller_log} has no record from before {freeze:%Y-%m-%d}")
    return names
