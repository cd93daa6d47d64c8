import pytest

from tests.scan.repositories import ENVIRONMENT

collect_ignore = ["corpus", "fix/repositories"]


@pytest.fixture(autouse=True)
def no_settings_of_anybody(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
