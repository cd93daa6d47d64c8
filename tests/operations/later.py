"""A later version of the proxy, which knows one more configuration key and adds to the tables of the ledger."""

import shutil
from pathlib import Path

from proxy import __version__
from tests.support.paths import ROOT

VERSION = "99.0.0"
KEY = "later"
"""The configuration key that only this version knows."""

_CHANGES = {
    "proxy/__init__.py": (f'"{__version__}"', f'"{VERSION}"'),
    "proxy/config/model.py": ("    tls: Tls | None = None\n", f"    tls: Tls | None = None\n    {KEY}: Count = 1\n"),
    "proxy/callers/ledger/schema.py": (
        "\n\nVERSION = len(UPGRADES)",
        '\nUPGRADES += (Upgrade(1, ("ALTER TABLE calls ADD COLUMN later INTEGER NOT NULL DEFAULT 0",)),)'
        "\n\nVERSION = len(UPGRADES)",
    ),
}


def write(folder: Path) -> None:
    """Write the package of the later version into a folder.

    The compiled files are copied, too, so that only what has changed is compiled again.
    """
    shutil.copytree(ROOT / "proxy", folder / "proxy")
    for name, (before, after) in _CHANGES.items():
        file = folder / name
        text = file.read_text(encoding="utf-8")
        assert text.count(before) == 1, f"{name} has changed"
        file.write_text(text.replace(before, after), encoding="utf-8")
