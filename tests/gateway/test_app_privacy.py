from pathlib import Path

from proxy.callers.ledger import engines
from proxy.callers.ledger.ledger import Ledger
from proxy.callers.ledger.schema import KEY
from tests.callers.lines import DAY, NOW, call
from tests.support.ledgers import fill
from tests.support.proxy import proxy_for
from tests.support.upstream import Upstream
from tests.support.waiting import until


def users(address: str) -> list[str]:
    ledger = Ledger(engines.connect(address, is_readonly=True))
    with ledger.content() as content:
        found = [str(key[KEY.index("run_user")]) for key in content.keys().values()]
    ledger.close()
    return sorted(found)


def test_users_of_old_calls_are_forgotten_while_the_proxy_serves(upstream: Upstream, tmp_path: Path) -> None:
    address = str(tmp_path / "callers.db")
    fill(address, call(NOW - 63 * DAY, run_user="alice"), call(NOW - 61 * DAY, run_user="bob"))

    with proxy_for(upstream.url, tmp_path, lambda: NOW, ledger=address, ledger_privacy="62d"):
        until(lambda: users(address) == ["None", "bob"])
