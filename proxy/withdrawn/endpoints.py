"""The withdrawn endpoints, and the successor of each.

Routing uses the raw path: ``release%2Fprod`` is one segment.
"""

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from proxy.errors import InvalidPath
from proxy.withdrawn.current import FIRST_SEGMENTS, ID_PREFIX


class Endpoint(NamedTuple):
    """One withdrawn endpoint.

    Attributes:
        name: in the caller record.
        method, path: method and path of its calls.
        successor: path of the successor; the method is the same.
        starts_run: whether each call starts a run.
    """

    name: str
    method: str
    path: str
    successor: str
    starts_run: bool = False

    @property
    def is_trigger(self) -> bool:
        """Whether its bodies are translated; for all others only the path has changed."""
        return self.name in {"trigger", "trigger_by_id"}


_RUNS = "/{org}/{repo}/cicd/runs"
_CUBE = "{run}/{workflow}/{task}/{cube}"

# "By ID" comes first, as its path also matches the pattern by slug (API.md, section 1). The rest is section 5.
ENDPOINTS = (
    Endpoint(
        "trigger_by_id",
        "POST",
        "/repos/id:{repo_id}/ci_workflows/{workflow_name}/trigger",
        "/repos/id:{repo_id}/cicd/runs",
        starts_run=True,
    ),
    Endpoint(
        "trigger", "POST", "/{org}/{repo}/ci_workflows/{workflow_name}/trigger", f"/repos{_RUNS}", starts_run=True
    ),
    Endpoint("run_workflows", "POST", _RUNS, f"/repos{_RUNS}", starts_run=True),
    Endpoint("list_runs", "GET", _RUNS, f"/repos{_RUNS}"),
    Endpoint("get_run", "GET", f"{_RUNS}/{{run}}", f"/repos{_RUNS}/{{run}}"),
    Endpoint("get_workflow", "GET", f"{_RUNS}/{{run}}/{{workflow}}", f"/repos{_RUNS}/{{run}}/{{workflow}}"),
    Endpoint("get_logs", "GET", f"/{{org}}/{{repo}}/cicd/logs/{_CUBE}", f"/repos/{{org}}/{{repo}}/cicd/logs/{_CUBE}"),
    Endpoint(
        "get_artifacts",
        "GET",
        f"/{{org}}/{{repo}}/cicd/artifacts/{_CUBE}",
        f"/repos/{{org}}/{{repo}}/cicd/artifacts/{_CUBE}",
    ),
    Endpoint("update_repository", "PATCH", "/{org}/{repo}", "/repos/{org}/{repo}"),
    Endpoint("delete_repository", "DELETE", "/{org}/{repo}", "/repos/{org}/{repo}"),
)

BY_NAME = {endpoint.name: endpoint for endpoint in ENDPOINTS}

_SEGMENT = "[^/]+"
_SLUG = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})+")  # RFC 3986, section 3.3: pchar
# Decoded, these would end the segment (/ \ ? #) or be decoded again (%). No slug has them.
_SEPARATOR = re.compile("%(?:2[35Ff]|3[Ff]|5[Cc])")
# Some servers drop what follows a semicolon, which must leave neither dots nor nothing.
_DOT_SEGMENT = re.compile(r"(?:\.|%2[Ee]){0,2}(?:(?:;|%3[Bb]).*)?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_DOTS = re.compile(r"\.\.?(?:;.*)?", re.DOTALL)
_ENDS_SEGMENT = re.compile(r"[/\\?#]")
_DECODINGS = 4
"""How many times a name may be percent-encoded; no client encodes more often."""


@dataclass(frozen=True)
class Match:
    """A call of a withdrawn endpoint, with the raw segments of its path."""

    endpoint: Endpoint
    segments: Mapping[str, str]

    @functools.cached_property
    def repository(self) -> str:
        """``org/repo``, or ``id:…``."""
        segments = self.segments
        return f"id:{segments['repo_id']}" if "repo_id" in segments else f"{segments['org']}/{segments['repo']}"

    @functools.cached_property
    def workflow(self) -> str | None:
        """The workflow that the call names; a name is percent-decoded once, a slug is not.

        Raises:
            InvalidPath: the name is not UTF-8.
        """
        raw = self.segments.get("workflow_name")
        if raw is None:
            return self.segments.get("workflow")
        try:
            return unquote_to_bytes(raw.encode("latin-1")).decode() if "%" in raw or not raw.isascii() else raw
        except UnicodeDecodeError:
            raise InvalidPath("The workflow's name in the path is not UTF-8; percent-encode it as UTF-8.") from None

    @functools.cached_property
    def successor(self) -> str:
        """The path of the successor, with the segments of this call.

        Raises:
            InvalidPath: a segment could change the path.
        """
        for name, segment in self.segments.items():
            if not _FITS.get(name, _is_slug)(segment):
                raise InvalidPath(f"The segment {{{name}}} of the path is not a slug; check the URL.")
        return self.endpoint.successor.format_map(self.segments)


def _is_slug(text: str) -> bool:
    is_one_segment = _SLUG.fullmatch(text) and not _SEPARATOR.search(text) and not _DOT_SEGMENT.fullmatch(text)
    return bool(is_one_segment) and _decoded(text.encode()) is not None


def _is_name(text: str) -> bool:
    """Whether a name, which may contain ``/`` or ``%``, cannot lead to another path however often it is decoded."""
    raw = text.encode("latin-1", "replace")
    for _ in range(_DECODINGS):
        decoded = _decoded(raw)
        if decoded is None or any(map(_DOTS.fullmatch, _ENDS_SEGMENT.split(decoded))):
            return False
        if decoded.encode() == raw:
            return True
        raw = decoded.encode()
    return False


def _decoded(raw: bytes) -> str | None:
    """A segment, percent-decoded once; None if it is not UTF-8 or has control characters."""
    try:
        text = unquote_to_bytes(raw).decode()  # refuses overlong forms, too
    except UnicodeDecodeError:
        return None
    return None if _CONTROL.search(text) else text


_FITS = {
    "workflow_name": lambda _: True,  # is sent in the body, not in the path
    "workflow": _is_name,
    "task": _is_name,
    "cube": _is_name,
}
"""Checks for segments that are not slugs."""


def _pattern(path: str) -> re.Pattern[str]:
    text = path.replace("{org}", f"(?P<org>(?!(?:{'|'.join(FIRST_SEGMENTS)})/){_SEGMENT})")
    text = text.replace("{repo}", f"(?P<repo>(?!{ID_PREFIX}){_SEGMENT})")
    # Client generators encode the colon; the service takes both.
    text = text.replace("/id:", "/id(?::|%3[Aa])")
    return re.compile(re.sub(r"\{(\w+)\}", rf"(?P<\1>{_SEGMENT})", text))


_PATTERNS = tuple((endpoint.method, _pattern(endpoint.path), endpoint) for endpoint in ENDPOINTS)


def match(method: str, path: str) -> Match | None:
    """Find the withdrawn endpoint that a call is for, if any.

    Args:
        method: as received, case-sensitive.
        path: raw, without the query, decoded as Latin-1 so that every byte is one character.
    """
    return _cached_match(method, path) if len(path) <= _MAX_CACHED_LENGTH else _match(method, path)


def _match(method: str, path: str) -> Match | None:
    for expected, pattern, endpoint in _PATTERNS:
        if method == expected and (found := pattern.fullmatch(path)):
            return Match(endpoint, found.groupdict())
    return None


# Tools call the same few paths again and again. Strangers choose paths, too, so the cache holds only short ones.
_MAX_CACHED_LENGTH = 256
_cached_match = functools.lru_cache(1024)(_match)
