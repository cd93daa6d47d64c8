from tests.support.ledgers import address, connect, server

__all__ = ["address", "connect", "server"]
