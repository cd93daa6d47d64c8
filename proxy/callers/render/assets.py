"""The style and the script of the page, and the policy that allows them and nothing else."""

import base64
import hashlib
from pathlib import Path

STYLE, SCRIPT = (Path(__file__).with_name(name).read_text(encoding="ascii") for name in ("page.css", "page.js"))


def _source(text: str) -> str:
    """A text of the page as a source in a policy (CSP Level 3, 2.3.1)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


POLICY = (
    f"default-src 'none'; style-src {_source(STYLE)}; script-src {_source(SCRIPT)}; base-uri 'none'; form-action 'none'"
)
"""``Content-Security-Policy`` of the page. Text from callers could not run or load anything, even if it were markup."""
