"""Scans with findings that are made up."""

import os

from proxy.scan.files import LeftOut
from proxy.scan.finding import Confidence, Finding, Hit, Located
from proxy.scan.scan import Scan

PAGE = "https://docs.example/withdrawn"
HOSTILE = "\x1b[31m\x07\x7f\x9b \u202e|`a``b` \\ <b> [x](y) *z* żółw 😀"
NAMES = ["ci.yml", "a b/ż%20#?.sh", "x\ny", os.fsdecode(b"\xff\xfe"), "c:d", HOSTILE]


def scan_of(
    *names: str,
    found: str = "/$ORG/shop/ci_workflows/x/trigger",
    confidence: Confidence = Confidence.CERTAIN,
    edit: str | None = None,
) -> Scan:
    """A scan with one finding in each of some files."""
    scan = Scan()
    scan.files, scan.folders, scan.left_out[LeftOut.BINARY] = len(names), 1, 2
    hit = Hit(0, len(found), "trigger", "POST", f"POST /repos/{found}", confidence, edit)
    finding = Finding(3, 7, 3, 7 + len(found), found, hit)
    scan.found = [Located(name, finding) for name in names]
    return scan
