"""The tables of the ledger, and how they became what they are."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from proxy.callers.ledger.database import Database, LedgerUnavailable, TablesMissing, Transaction

HOURS = tuple(f"h{hour:02}" for hour in range(24))
"""The columns with the number of calls in each hour of a day, UTC."""

KEY = ("endpoint", "caller", "caller_source", "outcome", "status", "org", "repo", "repo_id", "workflow", "owner",
       "token", "user_agent", "run_user", "client_ip")  # fmt: skip
"""The columns that calls are counted by, as in `report.tally.CallKey`."""

_TEXTS = ", ".join(f"{name} TEXT" for name in KEY if name != "status")
_COUNTS = ", ".join(f"{hour} INTEGER NOT NULL DEFAULT 0" for hour in HOURS)


class Upgrade(NamedTuple):
    """What leads from one version of the schema to the next.

    Attributes:
        oldest: the oldest version whose proxies can still use the tables afterwards. An upgrade that only adds
            tables, or columns with a default, keeps the `oldest` of the one before it: then proxies can be rolled back.
        statements: in SQL that all engines understand.
    """

    oldest: int
    statements: tuple[str, ...]


# Times are microseconds, see `to_microseconds`; days count from 0001-01-01, as `datetime.toordinal` does.
_FIRST = (
    # What tells calls apart. The ID is a digest of the other columns, so all processes give it the same one.
    f"CREATE TABLE keys (id BIGINT PRIMARY KEY, status INTEGER NOT NULL, {_TEXTS})",
    # Besides the 24 columns their sum, and a bit for each hour with calls: that is what reports need, and adding up
    # would take longer than everything else that they do.
    "CREATE TABLE calls (day INTEGER NOT NULL, key BIGINT NOT NULL REFERENCES keys (id), first BIGINT NOT NULL,"
    f" last BIGINT NOT NULL, calls BIGINT NOT NULL, hours INTEGER NOT NULL, {_COUNTS}, PRIMARY KEY (day, key))",
    # What `trigger-shim caller` shows of the calls with one key: JSON (`details.KeyDetails`).
    "CREATE TABLE details (key BIGINT PRIMARY KEY REFERENCES keys (id), details TEXT NOT NULL)",
    # When which process was writing the log (`log.lives.Life`); `first` is its first heartbeat: JSON.
    "CREATE TABLE lives (instance TEXT NOT NULL, began BIGINT NOT NULL, first TEXT NOT NULL,"
    " last_beat BIGINT NOT NULL, seen BIGINT NOT NULL, has_stopped INTEGER NOT NULL,"
    " PRIMARY KEY (instance, began))",
    # What may be calls and cannot be read, by day (`log.unreadable`); day 0 is for what cannot be dated.
    "CREATE TABLE unreadable (day INTEGER PRIMARY KEY, count BIGINT NOT NULL, last BIGINT, places TEXT NOT NULL)",
    # What only the proxies may read: the key of the fingerprints. Whoever sets up roles creates it before them.
    "CREATE TABLE IF NOT EXISTS secrets (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    # How far each file of the caller log is counted (`ledger.Progress`). `marks` and `torn` are JSON.
    "CREATE TABLE files (id TEXT PRIMARY KEY, name TEXT NOT NULL, position BIGINT NOT NULL, lines BIGINT NOT NULL,"
    " counted BIGINT NOT NULL, marks TEXT NOT NULL, torn TEXT NOT NULL)",
    # Calls whose callers may be gone, see `tries`. Their times are by the clock of the database.
    "CREATE TABLE tries (id BIGINT PRIMARY KEY, key TEXT NOT NULL, published BIGINT NOT NULL,"
    " expires BIGINT NOT NULL, owner TEXT, waits INTEGER NOT NULL, claimant TEXT, run TEXT)",
    # The processes that have some, and when each last said that it is alive.
    "CREATE TABLE holders (id TEXT PRIMARY KEY, beat BIGINT NOT NULL)",
)

# Calls of the current API on each day, by tokens that have called the withdrawn one.
_CURRENT_CALLS = (
    "CREATE TABLE current_calls (token TEXT NOT NULL, day INTEGER NOT NULL, calls BIGINT NOT NULL,"
    " first BIGINT NOT NULL, last BIGINT NOT NULL, PRIMARY KEY (token, day))"
)

UPGRADES = (
    Upgrade(1, _FIRST),
    Upgrade(1, ("ALTER TABLE versions ADD COLUMN oldest INTEGER NOT NULL DEFAULT 1",)),
    # Who had letters, and when. Whoever sets up roles creates it before them, since leads may write to it.
    Upgrade(
        1,
        (
            "CREATE TABLE IF NOT EXISTS letters (owner TEXT NOT NULL, written BIGINT NOT NULL,"
            " PRIMARY KEY (owner, written))",
        ),
    ),
    Upgrade(1, (_CURRENT_CALLS,)),
)
"""How each version of the schema became the next. Never change one that was released."""

VERSION = len(UPGRADES)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_microseconds(moment: datetime) -> int:
    """What stands in a table for a time: microseconds since 1970, UTC."""
    return (moment - _EPOCH) // _MICROSECOND


def to_moment(microseconds: int) -> datetime:
    """The time that stands in a table."""
    return _EPOCH + timedelta(microseconds=microseconds)


def upgrade(database: Database) -> None:
    """Create the tables, or bring those of an earlier version up to date.

    Raises:
        LedgerUnavailable: the database cannot be used, or a later version of the proxy has changed it too much.
    """
    with database.transaction(writes=True) as transaction:
        database.lock_schema(transaction)
        transaction.execute("CREATE TABLE IF NOT EXISTS versions (version INTEGER PRIMARY KEY)")
        version = _version(transaction)
        for _, statements in UPGRADES[version:]:
            for statement in statements:
                transaction.execute(statement)
        for number, (oldest, _) in enumerate(UPGRADES[version:], version + 1):
            transaction.execute("INSERT INTO versions (version, oldest) VALUES (?, ?)", [number, oldest])


def check(transaction: Transaction) -> None:
    """Check that this version of the proxy understands the tables.

    Raises:
        LedgerUnavailable: it does not; `TablesMissing` if a start of the proxy changes that.
    """
    if _version(transaction) < VERSION:
        raise TablesMissing("the ledger is of an earlier version: start the proxy once, which upgrades it")


def _version(transaction: Transaction) -> int:
    [(version,)] = transaction.fetch("SELECT COALESCE(MAX(version), 0) FROM versions")
    if version > VERSION:
        [(oldest,)] = transaction.fetch("SELECT MAX(oldest) FROM versions")
        if oldest > VERSION:
            raise LedgerUnavailable(
                f"the ledger has version {version}, for proxies that know version {oldest} or later, and this one knows"
                f" {VERSION}: use the later version of the proxy"
            )
    return int(version)
