from pathlib import Path
from typing import Any

import pytest

from proxy.callers.render.profile_text import profile_to_markdown, profile_to_text
from tests.callers.lines import DAY, NOW, beats, call
from tests.callers.render.profiles import profiled


def test_the_text_is_complete(tmp_path: Path) -> None:
    found = profiled(
        tmp_path,
        *beats(NOW - 10 * DAY),
        *(call(NOW - days * DAY, owner="team-a", run_user="alice", ignored_fields=["inputs"]) for days in range(1, 6)),
        call(NOW - 2 * DAY, status=404, outcome="upstream_error", error_code="NotFound", run="9"),
    )
    told = profile_to_text(found, NOW)

    for line in (
        "nightly, as of 2026-11-24 00:00 UTC",
        "  owner         team-a",
        "  user          alice",
        "  state         active: last call 2026-11-23 00:00, usually every 1d; retired on 2027-01-24 00:00 if it never "
        "calls again",
        "  calls         6 from 2026-11-19 00:00 to 2026-11-23 00:00, 16.7% errors",
        "  errors        404 NotFound (1)",
        "  ! It sends inputs (5), which the withdrawn endpoint has always ignored, so they never reached a run."
        " If they are needed, send them in values.",
        "  POST /acme/shop/ci_workflows/build/trigger  (trigger, 6 calls) becomes",
        "  2026-11-22 00:00:00  404 upstream_error NotFound run 9  POST /acme/shop/ci_workflows/build/trigger",
    ):
        assert line in told.splitlines(), told


@pytest.mark.parametrize("render", [profile_to_text, profile_to_markdown])
def test_text_from_callers_is_escaped(tmp_path: Path, render: Any) -> None:
    hostile = "\x1b[2J```\n# heading\n\u202e|<b>"
    fields: dict[str, Any] = dict.fromkeys(
        ["user_agent", "workflow", "owner", "run_user", "error_code", "run", "request_id"], hostile
    )
    told = render(profiled(tmp_path, call(status=404, inputs=[hostile], ignored_fields=[hostile], **fields)), NOW)

    assert all(line.isprintable() for line in told.splitlines())
    assert "\n# heading" not in told
    if render is profile_to_markdown:
        fences = [line for line in told.splitlines() if line.startswith("```")]
        assert fences == ["```sh", "```", "```", "```"]
