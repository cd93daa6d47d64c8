"""Finds calls of withdrawn endpoints in a text, and what to write instead of each."""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence

from proxy.scan.calls import find_calls
from proxy.scan.finding import Finding, Hit
from proxy.scan.names import find_names
from proxy.scan.shapes import HOST
from proxy.scan.words import find_base_urls, find_fields, find_rest, unread

_CLIENT_WORDS = ("run", "runs", "workflow", "workflows", "logs", "artifacts", "repository")
_WORDS = {
    "orkflow": ("ci_workflows", "unWorkflow", "un_workflow"),
    "eprecated": tuple(f"{word[1:]}{ending}" for word in _CLIENT_WORDS for ending in ("Deprecated", "_deprecated")),
    "cicd": ("cicd",),
    "CICDApi": ("CICDApi",),
    "sourcecraft": (HOST,),
    "lux": ("flux_public_id", "luxPublicI", "flux_id"),
    "rigger": ("trigger_status", "riggerStatus"),
}
"""A text without any of these words has no findings. The keys are parts of them, which a text is searched for first."""
_BYTES = {stem.encode(): tuple(word.encode() for word in words) for stem, words in _WORDS.items()}


def may_have_findings(content: bytes) -> bool:
    """Whether a file that is not UTF-16 or UTF-32 can have findings. This is fast; `find` is not."""
    return any(stem in content and any(word in content for word in words) for stem, words in _BYTES.items())


def find(text: str) -> list[Finding]:
    """Find all calls of withdrawn endpoints in a text, and what else has to be looked at, in order."""
    hits = {hit.start: hit for hit in _hits(text)}
    breaks = [match.start() for match in re.finditer("\n", text)] if hits else []
    return [_finding(text, breaks, hits[start]) for start in sorted(hits)]


def _hits(text: str) -> Iterator[Hit]:
    """All findings; the last one at a place counts."""
    calls = find_calls(text)
    yield from find_base_urls(text)
    yield from find_rest(text, [(hit.start, hit.end) for hit in calls.hits], calls.used)
    yield from find_fields(text)
    if calls.unread is not None:
        yield unread(calls.unread)
    yield from find_names(text)
    yield from calls.hits


def _finding(text: str, breaks: Sequence[int], hit: Hit) -> Finding:
    found = " ".join(text[hit.start : hit.end].split())
    return Finding(*_place(breaks, hit.start), *_place(breaks, hit.end), found, hit)


def _place(breaks: Sequence[int], offset: int) -> tuple[int, int]:
    before = bisect_left(breaks, offset)
    return before + 1, offset - (breaks[before - 1] if before else -1)
