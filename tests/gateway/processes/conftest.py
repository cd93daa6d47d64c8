from tests.support.ledgers import server

__all__ = ["server"]
