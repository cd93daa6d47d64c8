"""Lost tries: calls whose callers may be gone, until a retry takes their runs over.

A row of the table is the run of such a call, or the prospect of one:

    owner, no run           the call is under way in the process `owner`
    waits                   and it waits for the run of another row, since it is a retry: it may never start one
    no owner, no run        that process has died: nobody knows whether there is a run
    run                     it is for a retry
    claimant                a retry in that process has the run, or gets it once there is one

`owner` and `claimant` hold what they have only while they are alive: each adds a beat to its row in `holders` about
every second. Whoever sees no new beat for a while buries the holder, which frees what it had claimed.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from proxy.callers.ledger.database import Database, Transaction
from proxy.withdrawn.trigger import LegacyResponse

MAX_READ = 10_000
"""Rows that are read at most: several times what all processes of a large fleet keep."""

FORGOTTEN = 3600 * 1_000_000
"""Microseconds after which a process without a beat is forgotten, even if nothing depends on it."""

_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(LegacyResponse).decode


class Known(NamedTuple):
    """What a process knows of a row.

    Attributes:
        key: of the call, see `key_of`.
        published: when its caller began to be in doubt, in microseconds since 1970 by the clock of the database.
        waits: whether the call has not been forwarded, because it waits for the run of another row.
        is_settled: whether it has a run that is for a retry.
    """

    id: int
    key: bytes
    published: int
    owner: str | None
    waits: bool
    claimant: str | None
    is_settled: bool

    @property
    def order(self) -> tuple[int, int]:
        """Less than that of rows that were published later."""
        return self.published, self.id

    @property
    def is_free(self) -> bool:
        """Whether it is a run that nobody has claimed."""
        return self.is_settled and self.claimant is None

    @property
    def is_orphan(self) -> bool:
        """Whether nobody knows if there is a run."""
        return self.owner is None and not self.is_settled

    @property
    def holders(self) -> set[str]:
        """The processes on which its fate depends."""
        return {holder for holder in (None if self.is_settled else self.owner, self.claimant) if holder is not None}


class Snapshot(NamedTuple):
    """All rows at one moment.

    Attributes:
        rows: by their IDs.
        by_key: the same by the keys of the calls, in the order in which they were published.
        beats: the last beat of each holder.
        has_expired: whether there are others, which nobody may use any more.
    """

    rows: Mapping[int, Known]
    by_key: Mapping[bytes, Sequence[Known]]
    beats: Mapping[str, int]
    has_expired: bool


EMPTY = Snapshot({}, {}, {}, has_expired=False)


class Tries:
    """The changes to the tables, for one process. Each is a part of a transaction.

    Args:
        database: says how it tells the time.
        holder: this process; no other has the same.
        window: seconds for which a run is kept.
        longest: seconds after which no call is under way any more.
    """

    def __init__(self, database: Database, holder: str, window: float, longest: float) -> None:
        self.holder = holder
        self._clock = database.clock
        self._window, self._longest = int(window * 1_000_000), int((window + longest) * 1_000_000)

    def beat(self, transaction: Transaction) -> None:
        """Say that this process is alive. It comes first in each transaction, so all lock rows in the same order."""
        transaction.execute(
            f"INSERT INTO holders (id, beat) VALUES (?, {self._clock})"
            " ON CONFLICT (id) DO UPDATE SET beat = excluded.beat",
            [self.holder],
        )

    def leave(self, transaction: Transaction) -> None:
        """Say that this process holds nothing."""
        transaction.execute("DELETE FROM holders WHERE id = ?", [self.holder])

    def publish(self, transaction: Transaction, row: int, key: bytes, *, waits: bool) -> None:
        """Add a call under way whose caller may be gone."""
        transaction.execute(
            "INSERT INTO tries (id, key, published, expires, owner, waits)"
            f" VALUES (?, ?, {self._clock}, {self._clock} + ?, ?, ?) ON CONFLICT (id) DO NOTHING",
            [row, key.hex(), self._longest, self.holder, int(waits)],
        )

    def forward(self, transaction: Transaction, row: int) -> None:
        """Note that a call is forwarded, since it waits for no other any more."""
        transaction.execute("UPDATE tries SET waits = 0 WHERE id = ?", [row])

    def settle(self, transaction: Transaction, row: int, run: LegacyResponse) -> None:
        """Keep the run of a call whose caller is gone."""
        transaction.execute(
            f"UPDATE tries SET run = ?, waits = 0, expires = {self._clock} + ? WHERE id = ?",
            [_encode(run).decode(), self._window, row],
        )

    def abandon(self, transaction: Transaction, row: int) -> None:
        """Say that nobody will know whether a call has started a run."""
        transaction.execute(
            f"UPDATE tries SET owner = NULL, expires = {self._clock} + ? WHERE id = ? AND run IS NULL",
            [self._window, row],
        )

    def remove(self, transaction: Transaction, row: int) -> None:
        """Forget a call that has no run for anybody, or whose run was delivered; unless another process has it."""
        transaction.execute(
            "DELETE FROM tries WHERE id = ? AND (run IS NULL OR claimant IS NULL OR claimant = ?)", [row, self.holder]
        )

    def consume(self, transaction: Transaction, row: int) -> None:
        """Forget a run that this process has taken over, claimed or not.

        If another process has claimed it meanwhile, nobody gets the run once that claim is given up.
        """
        self.remove(transaction, row)
        transaction.execute(f"UPDATE tries SET expires = {self._clock} - 1 WHERE id = ?", [row])

    def claim(self, transaction: Transaction, row: int) -> bool:
        """Take the run of a call, or the right to it.

        Returns:
            False if another process has it, or there is no such call any more.
        """
        return bool(
            transaction.execute(
                "UPDATE tries SET claimant = ? WHERE id = ? AND (claimant IS NULL OR claimant = ?)",
                [self.holder, row, self.holder],
            )
        )

    def release(self, transaction: Transaction, row: int) -> None:
        """Give a claim up."""
        transaction.execute("UPDATE tries SET claimant = NULL WHERE id = ? AND claimant = ?", [row, self.holder])

    def run_of(self, transaction: Transaction, row: int) -> LegacyResponse | None:
        """The run that this process has claimed, if it still has the claim."""
        found = list(transaction.fetch("SELECT run FROM tries WHERE id = ? AND claimant = ?", [row, self.holder]))
        return _decode(found[0][0]) if found and found[0][0] is not None else None

    def bury(self, transaction: Transaction, holder: str, beat: int | None) -> None:
        """Take from a process that has died what it held, unless it has added a beat."""
        transaction.execute("DELETE FROM holders WHERE id = ? AND beat = ?", [holder, beat])
        if list(transaction.fetch("SELECT beat FROM holders WHERE id = ?", [holder])):
            return
        transaction.execute("UPDATE tries SET claimant = NULL WHERE claimant = ?", [holder])
        transaction.execute("DELETE FROM tries WHERE owner = ? AND waits = 1", [holder])
        transaction.execute(
            f"UPDATE tries SET owner = NULL, expires = {self._clock} + ? WHERE owner = ? AND run IS NULL",
            [self._window, holder],
        )

    def purge(self, transaction: Transaction) -> None:
        """Forget what is too old."""
        transaction.execute(f"DELETE FROM tries WHERE expires < {self._clock}")
        transaction.execute(f"DELETE FROM holders WHERE beat < {self._clock} - ?", [FORGOTTEN])


def read(database: Database) -> Snapshot:
    """All rows.

    Raises:
        LedgerUnavailable: the database cannot be read.
    """
    with database.transaction(writes=False) as transaction:
        holders = list(transaction.fetch(f"SELECT id, beat, beat < {database.clock} - ? FROM holders", [FORGOTTEN]))
        found = list(
            transaction.fetch(
                f"SELECT expires < {database.clock}, id, key, published, owner, waits, claimant, run IS NOT NULL"
                f" FROM tries ORDER BY published, id LIMIT {MAX_READ}"
            )
        )
    rows: dict[int, Known] = {}
    by_key: dict[bytes, list[Known]] = {}
    for is_expired, number, key, published, owner, waits, claimant, is_settled in found:
        if not is_expired:
            row = Known(number, bytes.fromhex(key), published, owner, bool(waits), claimant, bool(is_settled))
            rows[number] = row
            by_key.setdefault(row.key, []).append(row)
    beats = {holder: beat for holder, beat, is_expired in holders if not is_expired}
    return Snapshot(rows, by_key, beats, has_expired=any(row[0] for row in found) or len(beats) < len(holders))


class Pulse:
    """Notices processes that have died: those whose last beat is the same for a while, however wrong their clocks are.

    Args:
        patience: seconds for which a process that is alive may add no beat.
        now: seconds on a monotonic clock.
    """

    def __init__(self, patience: float, now: Callable[[], float]) -> None:
        self._patience, self._now = patience, now
        self._seen: dict[str, tuple[int | None, float]] = {}

    def dead(self, snapshot: Snapshot) -> list[tuple[str, int | None]]:
        """The holders of rows that have died, and their last beats."""
        now, before = self._now(), self._seen
        self._seen = {}
        for holder in set().union(*(row.holders for row in snapshot.rows.values())):
            beat = snapshot.beats.get(holder)
            was, since = before.get(holder, (beat, now))
            self._seen[holder] = (beat, since if was == beat else now)
        return [(holder, beat) for holder, (beat, since) in self._seen.items() if now - since >= self._patience]

    def forget(self) -> None:
        """Begin again, because nothing could be seen for a while."""
        self._seen = {}
