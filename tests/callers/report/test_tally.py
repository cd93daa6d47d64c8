from pathlib import Path

from tests.callers.lines import DAY, NOW, call
from tests.callers.reports import reported, row_of


def test_a_row_counts_the_calls_by_every_kind_of_value(tmp_path: Path) -> None:
    row = row_of(
        reported(
            tmp_path,
            call(NOW - 3 * DAY, owner="team-a", run_user="alice", user_agent="x/1"),
            call(NOW - 2 * DAY, status=502, outcome="unreachable", endpoint="run_workflows", workflow=None),
            call(NOW - DAY, run_user="bob", repo="web"),
            call(
                NOW - DAY,
                endpoint="trigger_by_id",
                run_user="alice",
                org=None,
                repo=None,
                repo_id="42",
                status=400,
                outcome="rejected",
            ),
        )
    )

    assert (row.name, row.source, row.owner, row.calls, row.error_share) == ("nightly", "known", "team-a", 4, 0.5)
    assert set(row.users) == {"alice", "bob"}
    assert (row.first_seen, row.last_seen) == (NOW - 3 * DAY, NOW - DAY)
    assert row.counts == {
        "endpoints": {"trigger": 2, "trigger_by_id": 1, "run_workflows": 1},
        "repositories": {"acme/shop": 2, "acme/web": 1, "id:42": 1},
        "workflows": {"build": 3, "(none)": 1},
        "agents": {"x/1": 1, "(none)": 3},
        "outcomes": {"forwarded": 2, "unreachable": 1, "rejected": 1},
        "replacements": {
            "POST /repos/acme/shop/cicd/runs": 2,
            "POST /repos/acme/web/cicd/runs": 1,
            "POST /repos/id:42/cicd/runs": 1,
        },
    }
    assert row.by_day == [1, 1, 2, 0]
