"""Where things are."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[2]
"""The checkout."""


def package(name: str) -> Path:
    """The folder of an installed package that only has files to offer. It is not imported, which may take seconds."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent
