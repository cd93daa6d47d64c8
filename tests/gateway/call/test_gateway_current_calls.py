"""Current calls that pass through show who has moved: the ledger has them by the token of an earlier caller."""

import contextlib
from pathlib import Path

from proxy.callers.ledger import engines
from proxy.callers.ledger.ledger import Ledger
from tests.support.proxy import proxy_for
from tests.support.upstream import Upstream, reply

RUNS = "/repos/acme/shop/cicd/runs"


def stored(folder: Path) -> list[int]:
    """The number of current calls of each token and day."""
    ledger = Ledger(engines.connect(str(folder / "callers.db"), is_readonly=True))
    with contextlib.closing(ledger), ledger.content() as content:
        return [day.calls for _, day in content.current_calls()]


def test_current_calls_are_counted_for_tokens_that_have_called_the_withdrawn_api(
    upstream: Upstream, tmp_path: Path
) -> None:
    with proxy_for(upstream.url, tmp_path, ledger=str(tmp_path / "callers.db")) as proxy:
        assert proxy.call().status == 200
        for method, path in (("POST", RUNS), ("GET", f"{RUNS}/7"), ("GET", "/repos/acme/shop"), ("GET", "/user")):
            assert proxy.call(path, None, method=method).status == 200
        assert proxy.call(RUNS, headers={"Authorization": "Bearer of somebody else"}).status == 200
        upstream.script = reply(404)
        assert proxy.call(RUNS).status == 404

    assert stored(tmp_path) == [2]


def test_without_a_ledger_nothing_is_counted(upstream: Upstream, tmp_path: Path) -> None:
    with proxy_for(upstream.url, tmp_path, ledger=None) as proxy:
        assert proxy.call(RUNS).status == 200
