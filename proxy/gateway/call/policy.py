"""The policy that calls are held to, and the known callers: what may change while the proxy runs.

It says who is refused. The refusal itself, a 410 with the new call, is in `refusal`.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from proxy.callers import identity
from proxy.callers.identity import Caller, Identity, Rule
from proxy.callers.log.fingerprint_key import key_id
from proxy.callers.report.strangers import had_record
from proxy.callers.report.succession import origin_of
from proxy.config import Config
from proxy.gateway.call.earlier_callers import EarlierCallers, EarlierCallersReader, NotKnown
from proxy.output.diagnostics import log
from proxy.withdrawn import lifecycle
from proxy.withdrawn.lifecycle import Decision, Headers, PolicySubject

Clock = Callable[[], datetime]

SETTLING = timedelta(seconds=5)
"""Time after the freeze in which all workers write and count their last records of calls from before it."""

_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
"""Seconds until the ledger is asked again who called before the freeze."""


class PolicySnapshot:
    """One policy, and the callers that it is about. Each call keeps the snapshot that it began with.

    Args:
        config: the whole configuration.
        key: HMAC key for the fingerprints of tokens.
        now: the time, UTC.

    Attributes:
        identity: names callers.
        successor_url: the address of the service that callers are told.
        earlier: the callers from before the freeze; None if not known: then no caller is new.
    """

    def __init__(self, config: Config, key: bytes, now: Clock) -> None:
        self._rules = config.callers.known
        self._policy = config.lifecycle
        self.successor_url = config.successor_url
        self._announcements: dict[datetime | None, Headers] = {}
        self.earlier: EarlierCallers | None = None
        self._has_ledger = config.ledger is not None
        self._reader = EarlierCallersReader(config, self.freeze, key_id(key), now) if self.freeze is not None else None
        self._has_read, self._problem = False, ""
        self.identity = Identity(config.callers.trusted_proxies, key, self._rules)

    @property
    def freeze(self) -> datetime | None:
        """From then on, callers without an earlier record are refused."""
        return self._policy.freeze

    @property
    def documentation(self) -> str | None:
        """The page that explains the withdrawal."""
        return self._policy.documentation

    def predecessor(self, caller: Caller, workflow: str | None) -> str | None:
        """Whose successor a caller is that has no record from before the freeze; None if it has one, or is new.

        Args:
            caller: who calls.
            workflow: which workflow the call is about, if any.
        """
        if self.earlier is None or had_record(caller, self.earlier.names) or caller.token is None:
            return None
        origin = origin_of(caller.user_agent, caller.client_ip, workflow)
        return self.earlier.predecessors.get(origin) if origin is not None else None

    def subject(self, caller: Caller, predecessor: str | None = None) -> PolicySubject:
        """A caller, as the policy sees it, and whose successor it is, if any."""
        has_record = self.earlier is None or predecessor is not None or had_record(caller, self.earlier.names)
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
    def must_read(self) -> bool:
        """Whether it is still to be read who called before the freeze."""
        return self._reader is not None and not self._has_read

    def read_earlier(self) -> None:
        """Read who called before the freeze. If that is not known, no caller is new."""
        if self._reader is None:
            return
        try:
            self.earlier = self._reader.read()
        except NotKnown as problem:
            self._report(str(problem))
            self._has_read = self.earlier is not None or not self._has_ledger
            return
        self._has_read = True
        if self._problem:
            log.info("freeze_applied")

    def _report(self, problem: str) -> None:
        if self.earlier is None and problem != self._problem:
            log.warning("freeze_not_applied", message=problem)
            self._problem = problem

    def inherit(self, previous: "PolicySnapshot") -> None:
        """Reuse what the previous snapshot has read, if this one would read the same.

        The log of that time may be gone by now. A ledger is read again: older logs may have been imported.
        """
        if previous.cache_key == self.cache_key and previous.earlier is not None:
            self.earlier, self._has_read = previous.earlier, not self._has_ledger

    @property
    def cache_key(self) -> tuple[datetime | None, list[Rule]]:
        """Snapshots with the same key read the same callers."""
        criteria = [
            Rule(rule.name, None, None, rule.tokens, rule.agents, rule.networks, rule.repositories, rule.workflows)
            for rule in self._rules
        ]
        return self.freeze, criteria


class ActivePolicy:
    """The snapshot that new calls are held to. Reads who called before the freeze once that has come.

    Args:
        config: the whole configuration at the start.
        key: HMAC key for the fingerprints of tokens.
        now: the time, UTC.

    Attributes:
        snapshot: the policy for new calls.
        now: the time, UTC.
    """

    def __init__(self, config: Config, key: bytes, now: Clock) -> None:
        self.snapshot = PolicySnapshot(config, key, now)
        self._key = key
        self.now = now
        self._reading: asyncio.Task[None] | None = None

    async def prepare(self, config: Config) -> PolicySnapshot:
        """Build the next snapshot, ready for `activate`."""
        snapshot = PolicySnapshot(config, self._key, self.now)
        snapshot.inherit(self.snapshot)
        if snapshot.must_read and self._seconds_until_readable(snapshot) <= 0:
            await asyncio.to_thread(snapshot.read_earlier)
        return snapshot

    def activate(self, snapshot: PolicySnapshot) -> None:
        """Hold new calls to a snapshot."""
        self.close()
        self.snapshot = snapshot
        if snapshot.must_read:
            self._reading = asyncio.create_task(self._read_after_freeze(snapshot))

    def close(self) -> None:
        """Stop waiting for the freeze."""
        if self._reading is not None:
            self._reading.cancel()

    async def _read_after_freeze(self, snapshot: PolicySnapshot) -> None:
        # Again if the clock was set back meanwhile.
        while (seconds := self._seconds_until_readable(snapshot)) > 0:  # noqa: ASYNC110 - no event announces a time
            await asyncio.sleep(seconds)
        pause = _PAUSE
        await asyncio.to_thread(snapshot.read_earlier)
        while snapshot.must_read:
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
            await asyncio.to_thread(snapshot.read_earlier)

    def _seconds_until_readable(self, snapshot: PolicySnapshot) -> float:
        """Seconds until all calls from before the freeze are recorded."""
        return (snapshot.freeze + SETTLING - self.now()).total_seconds() if snapshot.freeze is not None else 0
