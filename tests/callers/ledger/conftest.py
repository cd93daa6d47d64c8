from tests.support.ledgers import connect, server

__all__ = ["connect", "server"]
