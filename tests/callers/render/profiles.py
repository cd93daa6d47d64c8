"""Profiles of made-up callers."""

from pathlib import Path

from proxy.callers.record import Record
from proxy.callers.render.profile import CallerProfile, make_profile
from tests.callers.reports import analyzed, row_of

BASE = "https://api.sourcecraft.tech"


def profiled(folder: Path, *records: Record, base: str = BASE) -> CallerProfile:
    """The profile of the caller ``nightly`` in a log of these records."""
    found = analyzed(folder, *records)
    return make_profile(row_of(found.report), found.details["nightly"], base)
