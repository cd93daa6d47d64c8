"""Pictures of the page.

``python -m tests.callers.render.screenshots`` renews the one in the README, and
``SCREENSHOTS=FOLDER pytest tests/callers/render/test_html_page_in_browser.py -k screenshots`` leaves all in a folder.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tests.callers.render.browser import Browser, browser
from tests.callers.render.sample_page import forty
from tests.support.paths import ROOT

README = ROOT / "proxy" / "callers" / "page.png"
VIEWS: dict[str, dict[str, Any]] = {
    "light": {},
    "dark": {"scheme": "dark"},
    "phone": {"width": 375},
    "print": {"media": "print", "width": 718},
}


def take(chromium: Browser, url: str, folder: Path, height: int | None) -> dict[str, int]:
    """Save the page, as far down as a height, as it looks on a desk, in the dark, on a phone and on paper.

    Returns:
        The size of each picture in bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sizes = {}
    chromium.show(url)
    for name, view in VIEWS.items():
        chromium.view(**view)
        sizes[name] = (folder / f"{name}.png").write_bytes(chromium.picture(height=height))
    return sizes | {"pdf": (folder / "print.pdf").write_bytes(chromium.printed())}


def main() -> None:
    """Renew the picture in the README: the first screen and the begin of the table."""
    with tempfile.TemporaryDirectory() as name, browser(Path(name, "chromium")) as chromium:
        page = Path(name, "page.html")
        page.write_text(forty(Path(name)), encoding="utf-8")
        chromium.show(page.as_uri())
        README.write_bytes(chromium.picture(height=1620))
    if shutil.which("optipng") is not None:
        subprocess.run(["optipng", "-quiet", "-o5", str(README)], check=True)


if __name__ == "__main__":
    main()
