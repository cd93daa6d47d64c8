"""The ledger: what decisions need, by the hour. Small, shared by all processes, and made from the caller log.

`database` and its two engines store it, `schema` says what it looks like, `counts` adds records up, `ledger` reads and
writes it, and `feeder` keeps it up to date with the log. `tries` is apart from these: calls that a retry may take over.
"""
