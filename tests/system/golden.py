"""The golden logs (golden_logs/README.md)."""

from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).parent / "golden_logs"

CASES = sorted(folder.name for folder in GOLDEN.iterdir() if folder.is_dir())


def logs(case: str) -> list[str]:
    return [str(file) for file in sorted((GOLDEN / case).iterdir()) if file.name != "expected.yaml"]


def moment(value: Any) -> datetime:
    return value if isinstance(value, datetime) else datetime.combine(value, time(), UTC)
