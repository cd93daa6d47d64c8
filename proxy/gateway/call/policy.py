"""The policy that calls are held to, and the known callers: what may change while the proxy runs.

It says who is refused. The refusal itself, a 410 with the new call, is in `refusal`.
"""

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from proxy.callers import identity
from proxy.callers.identity import Caller, Identity, Rule
from proxy.callers.log.files import NoLog, log_files
from proxy.callers.log.fingerprint_key import key_id
from proxy.callers.report.aggregator import Aggregator
from proxy.callers.report.coverage import key_ids
from proxy.callers.report.reader import Reader
from proxy.callers.report.strangers import had_record
from proxy.config import Config
from proxy.output.diagnostics import log
from proxy.withdrawn import lifecycle
from proxy.withdrawn.lifecycle import Decision, Headers, PolicySubject

Clock = Callable[[], datetime]

SETTLING = timedelta(seconds=5)
"""Time after the freeze in which all workers write their last records of calls from before it."""


class PolicySnapshot:
    """One policy, and the callers that it is about. Each call keeps the snapshot that it began with.

    Args:
        config: the whole configuration.
        key: HMAC key for the fingerprints of tokens.

    Attributes:
        identity: names callers.
        earlier_callers: names of the callers from before the freeze; None if not known: then no caller is new.
    """

    def __init__(self, config: Config, key: bytes) -> None:
        self._rules = config.callers.known
        self._log = config.callers.log
        self._key_id = key_id(key)
        self._policy = config.lifecycle
        self._announcements: dict[datetime | None, Headers] = {}
        self.earlier_callers: frozenset[str] | None = None
        self._has_read = False
        self.identity = Identity(config.callers.trusted_proxies, key, self._rules)

    @property
    def freeze(self) -> datetime | None:
        """From then on, callers without an earlier record are refused."""
        return self._policy.freeze

    @property
    def documentation(self) -> str | None:
        """The page that explains the withdrawal."""
        return self._policy.documentation

    def subject(self, caller: Caller) -> PolicySubject:
        """A caller, as the policy sees it."""
        has_record = self.earlier_callers is None or had_record(caller, self.earlier_callers)
        return identity.policy_subject(caller.name, caller.rule, has_record=has_record)

    def decide(self, subject: PolicySubject, now: datetime) -> Decision:
        """Decide about a caller at a time."""
        return lifecycle.decide(self._policy, subject, now)

    def announcement(self, subject: PolicySubject, successor: str | None) -> Headers:
        """The headers that announce the end to a caller.

        Args:
            subject: the caller.
            successor: absolute URL of what it should call, or None if its call names none.
        """
        end = lifecycle.sunset_for(self._policy, subject)
        if end not in self._announcements:
            self._announcements[end] = lifecycle.announcement(self._policy, subject)
        return [*self._announcements[end], *lifecycle.links(self._policy, successor)]

    @property
    def must_read_log(self) -> bool:
        """Whether the callers from before the freeze are still to be read from the log."""
        return self.freeze is not None and not self._has_read

    def read_log(self) -> None:
        """Read from the caller log who called before the freeze. If it does not say, no caller is new."""
        if self.freeze is not None:
            self.earlier_callers = callers_before(self.freeze, self._log, self._rules, self._key_id)
            self._has_read = True

    def inherit(self, previous: "PolicySnapshot") -> None:
        """Reuse what the previous snapshot has read, if this one would read the same.

        The log of that time may be gone by now.
        """
        if previous.cache_key == self.cache_key and previous.earlier_callers is not None:
            self.earlier_callers, self._has_read = previous.earlier_callers, True

    @property
    def cache_key(self) -> tuple[datetime | None, str, list[Rule]]:
        """Snapshots with the same key read the same callers from the log."""
        criteria = [
            rule._replace(owner=None, contact=None, migrated=None, extension=None, exempt_from_freeze=False)
            for rule in self._rules
        ]
        return self.freeze, self._log, criteria


class ActivePolicy:
    """The snapshot that new calls are held to. Reads the caller log once the freeze has come.

    Args:
        config: the whole configuration at the start.
        key: HMAC key for the fingerprints of tokens.
        now: the time, UTC.

    Attributes:
        snapshot: the policy for new calls.
        now: the time, UTC.
    """

    def __init__(self, config: Config, key: bytes, now: Clock) -> None:
        self.snapshot = PolicySnapshot(config, key)
        self._key = key
        self.now = now
        self._reading: asyncio.Task[None] | None = None

    async def prepare(self, config: Config) -> PolicySnapshot:
        """Build the next snapshot, ready for `activate`."""
        snapshot = PolicySnapshot(config, self._key)
        snapshot.inherit(self.snapshot)
        if snapshot.must_read_log and self._seconds_until_readable(snapshot) <= 0:
            await asyncio.to_thread(snapshot.read_log)
        return snapshot

    def activate(self, snapshot: PolicySnapshot) -> None:
        """Hold new calls to a snapshot."""
        self.close()
        self.snapshot = snapshot
        if snapshot.must_read_log:
            self._reading = asyncio.create_task(self._read_after_freeze(snapshot))

    def close(self) -> None:
        """Stop waiting for the freeze."""
        if self._reading is not None:
            self._reading.cancel()

    async def _read_after_freeze(self, snapshot: PolicySnapshot) -> None:
        # Again if the clock was set back meanwhile.
        while (seconds := self._seconds_until_readable(snapshot)) > 0:  # noqa: ASYNC110 - no event announces a time
            await asyncio.sleep(seconds)
        await asyncio.to_thread(snapshot.read_log)

    def _seconds_until_readable(self, snapshot: PolicySnapshot) -> float:
        """Seconds until the log has all calls from before the freeze."""
        return (snapshot.freeze + SETTLING - self.now()).total_seconds() if snapshot.freeze is not None else 0


def callers_before(freeze: datetime, caller_log: str, rules: Iterable[Rule], key: str) -> frozenset[str] | None:
    """The names of those who have a record from before the freeze.

    None if the log does not reach back so far, or has fingerprints by another key than the one with the ID `key`:
    callers that are named by their tokens had other names then.
    """
    aggregator = Aggregator(list(rules), until=freeze, freeze=freeze)
    try:
        aggregator.add(Reader(log_files(caller_log)))
    except NoLog as problem:
        log.warning("freeze_not_applied", message=str(problem))
        return None
    if others := key_ids(aggregator.heartbeats) - {key}:
        written = " and ".join(sorted(others))
        message = f"{caller_log} was written with the fingerprint key {written}, this one is {key}"
        log.warning("freeze_not_applied", message=message)
        return None
    names = aggregator.callers_before_freeze()
    if names is None:
        log.warning("freeze_not_applied", message=f"{caller_log} has no record from before {freeze:%Y-%m-%d}")
    return names
