from pathlib import Path
from typing import Any

import pytest

from proxy import config
from proxy.config import Config, ConfigError
from tests.config.loading import Load, Problems


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "config.yaml"

    def load(
        text: str | bytes = "", environment: dict[str, str] | None = None, flags: dict[str, Any] | None = None
    ) -> Config:
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        return config.load(str(file), environment or {}, flags)

    return load


@pytest.fixture
def problems(load: Load) -> Problems:
    def problems(
        text: str | bytes = "", environment: dict[str, str] | None = None, flags: dict[str, Any] | None = None
    ) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load(text, environment, flags)
        return caught.value.problems

    return problems
