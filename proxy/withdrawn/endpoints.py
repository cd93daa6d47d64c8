"""The withdrawn endpoints, and what each has become.

Routing is on the undecoded path: ``release%2Fprod`` is one segment.
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
        method, path: how it was called.
        successor: path of what it has become; the method is the same.
        starts_run: whether calling it twice does a thing twice.
    """

    name: str
    method: str
    path: str
    successor: str
    starts_run: bool = False

    @property
    def is_trigger(self) -> bool:
        """Whether the bodies are to be translated; of all others only the path has changed."""
        return self.name in {"trigger", "trigger_by_id"}


_RUNS = "/{org}/{repo}/cicd/runs"
_CUBE = "{run}/{workflow}/{task}/{cube}"

# By ID comes first: its path has the shape of the one by slug, too (API.md, section 1). The rest is section 5.
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
# Decoded, it would end the segment (/ \ ? #) or be decoded once more (%): nobody's slug.
_SEPARATOR = re.compile("%(?:2[35Ff]|3[Ff]|5[Cc])")
# Some servers take what follows a semicolon away, so it must not follow dots or nothing.
_DOT_SEGMENT = re.compile(r"(?:\.|%2[Ee]){0,2}(?:(?:;|%3[Bb]).*)?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_DOTS = re.compile(r"\.\.?(?:;.*)?", re.DOTALL)
_ENDS_SEGMENT = re.compile(r"[/\\?#]")
_DECODINGS = 4
"""How often a name may be percent-encoded: more is nobody's."""


@dataclass(frozen=True)
class Match:
    """A call recognised as one of a withdrawn endpoint, with the segments of its path as they came."""

    endpoint: Endpoint
    segments: Mapping[str, str]

    @functools.cached_property
    def repository(self) -> str:
        """``org/repo``, or ``id:…``."""
        segments = self.segments
        return f"id:{segments['repo_id']}" if "repo_id" in segments else f"{segments['org']}/{segments['repo']}"

    @functools.cached_property
    def workflow(self) -> str | None:
        """The workflow that the call names, percent-decoded once where it is a name and no slug.

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
        """The path of the successor, with this call's own segments.

        Raises:
            InvalidPath: a segment could lead to another path.
        """
        for name, segment in self.segments.items():
            if not _FITS.get(name, _is_slug)(segment):
                raise InvalidPath(f"The segment {{{name}}} of the path is not a slug; check the URL.")
        return self.endpoint.successor.format_map(self.segments)


def _is_slug(text: str) -> bool:
    is_one_segment = _SLUG.fullmatch(text) and not _SEPARATOR.search(text) and not _DOT_SEGMENT.fullmatch(text)
    return bool(is_one_segment) and _decoded(text.encode()) is not None


def _is_name(text: str) -> bool:
    """Whether a name, which may hold a slash or a percent sign, leads nowhere else however often it is decoded."""
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
    """A segment, percent-decoded once; None where it is not UTF-8 or has control characters."""
    try:
        text = unquote_to_bytes(raw).decode()  # refuses overlong forms, too
    except UnicodeDecodeError:
        return None
    return None if _CONTROL.search(text) else text


_FITS = {
    "workflow_name": lambda _: True,  # it goes into the body
    "workflow": _is_name,
    "task": _is_name,
    "cube": _is_name,
}
"""What a segment must be that is no slug."""


def _pattern(path: str) -> re.Pattern[str]:
    text = path.replace("{org}", f"(?P<org>(?!(?:{'|'.join(FIRST_SEGMENTS)})/){_SEGMENT})")
    text = text.replace("{repo}", f"(?P<repo>(?!{ID_PREFIX}){_SEGMENT})")
    # Client generators encode the colon; the service takes both.
    text = text.replace("/id:", "/id(?::|%3[Aa])")
    return re.compile(re.sub(r"\{(\w+)\}", rf"(?P<\1>{_SEGMENT})", text))


_PATTERNS = tuple((endpoint.method, _pattern(endpoint.path), endpoint) for endpoint in ENDPOINTS)


def match(method: str, path: str) -> Match | None:
    """Which withdrawn endpoint a call is for, if any.

    Args:
        method: as it came, in upper case.
        path: raw, without the query, decoded as Latin-1 so that every byte has its character.
    """
    return _remembered(method, path) if len(path) <= _LONGEST_REMEMBERED else _match(method, path)


def _match(method: str, path: str) -> Match | None:
    for expected, pattern, endpoint in _PATTERNS:
        if method == expected and (found := pattern.fullmatch(path)):
            return Match(endpoint, found.groupdict())
    return None


# Tools call the same few paths again and again; what somebody makes up must not fill the memory.
_LONGEST_REMEMBERED = 256
_remembered = functools.lru_cache(1024)(_match)
