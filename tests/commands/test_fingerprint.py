from pathlib import Path

import pytest

from proxy.callers.identity import Identity
from tests.commands.running import Run

SECRET = "s3cret-S3cret-s3cret"


@pytest.mark.parametrize("given", ["s3cret-token", "Bearer s3cret-token\n", "  s3cret-token\n"])
def test_a_fingerprint_is_the_one_that_the_log_names_a_token_by(
    run: Run, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.setenv("TRIGGER_SHIM__CALLERS__FINGERPRINT_KEY", SECRET)
    caller = Identity([], SECRET.encode()).identify(None, [], "Bearer s3cret-token", None)
    ran = run("fingerprint", stdin=given)
    assert (ran.status, ran.out, ran.err) == (0, f"{caller.token}\n", "")


def test_the_key_beside_the_log_is_made_where_the_configuration_has_none(run: Run, tmp_path: Path) -> None:
    first, second = (run("fingerprint", stdin="s3cret").out for _ in range(2))
    assert first == second
    assert (tmp_path / "logs" / "callers.key").stat().st_mode & 0o777 == 0o600


def test_a_fingerprint_of_nothing_is_refused(run: Run) -> None:
    ran = run("fingerprint", stdin=" \n")
    assert ran.status == 2
    assert "standard input" in ran.said
