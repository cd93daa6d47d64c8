from pathlib import Path

from proxy.callers.render.profile import make_profile
from proxy.callers.render.unowned import unowned_to_markdown
from tests.callers.lines import DAY, NOW, call
from tests.callers.render.profiles import BASE
from tests.callers.reports import analyzed, row_of


def test_all_that_is_known_of_a_caller_is_listed(tmp_path: Path) -> None:
    log = [
        call(NOW - DAY * day, token="a" * 12, user_agent="`<b>`@team", run_user="alice", client_ip=address)
        for day, address in enumerate(["10.1.2.3", "10.1.2.4", "2001:db8::1", "10.1.3.4"], 1)
    ]
    found = analyzed(tmp_path, *log)
    text = unowned_to_markdown([make_profile(row_of(found.report), found.detail_of("nightly"), BASE)], NOW)

    assert text.startswith("# Callers without an owner\n\nAs of 2026-11-24 00:00 UTC. ")
    for line in (
        "## `nightly`",
        "- networks: `10.1.2.0/24 (2), 10.1.3.0/24 (1), 2001:db8::/48 (1)`",
        "- user: `alice`",
        "- repositories: `acme/shop (4)`",
        "- agents: `` `<b>`@team (4) ``",
        "- tokens: `aaaaaaaaaaaa (4)`",
    ):
        assert line in text.splitlines(), text
