"""Which paths and names in a text are withdrawn endpoints, and what these have become: text in, findings out."""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from proxy.scan.expressions import Expression, Part, Segment, lists, paths, regions
from proxy.scan.methods import Methods
from proxy.withdrawn.current import FIRST_SEGMENTS, ID_PREFIX
from proxy.withdrawn.endpoints import ENDPOINTS, Endpoint

HOST = "api.sourcecraft.tech"
"""Where the service is (API.md)."""

SDK = {
    "runWorkflow": ("trigger", "runWorkflows"),
    "runWorkflowByID": ("trigger_by_id", "runWorkflowsByID"),
}
"""Method names of the client library: the endpoint that each calls, and the name of its successor."""


class Finding(NamedTuple):
    """One place where a withdrawn endpoint is called.

    Attributes:
        line, column: where it begins, counted from 1; a column is a character.
        endpoint: name of the endpoint, as in the caller record.
        found: the text, its white space folded.
        replacement: method and path of the successor, with the segments as they stand in the text.
    """

    line: int
    column: int
    endpoint: str
    found: str
    replacement: str


class _Hit(NamedTuple):
    start: int
    end: int
    endpoint: Endpoint
    replacement: str


class _Shape(NamedTuple):
    """An endpoint's path in segments; `key` is the first that tells it from others."""

    endpoint: Endpoint
    segments: tuple[str, ...]
    key: int


def find(text: str) -> list[Finding]:
    """Every call of a withdrawn endpoint in a text, in its order."""
    if not any(word in text for word in _WORDS):
        return []
    hits = {hit.start: hit for hit in [*_calls(text), *_names(text)]}
    breaks = [match.start() for match in re.finditer("\n", text)] if hits else []
    return [_finding(text, breaks, hits[start]) for start in sorted(hits)]


def _finding(text: str, breaks: Sequence[int], hit: _Hit) -> Finding:
    before = bisect_left(breaks, hit.start)
    column = hit.start - (breaks[before - 1] if before else -1)
    found = " ".join(text[hit.start : hit.end].split())
    return Finding(before + 1, column, hit.endpoint.name, found, hit.replacement)


# --- the table of endpoints, in segments

_BY_NAME = {endpoint.name: endpoint for endpoint in ENDPOINTS}
_OWNED = frozenset(FIRST_SEGMENTS)
_BY_ID = re.compile(ID_PREFIX)


def _shapes() -> Iterator[_Shape]:
    for endpoint in ENDPOINTS:
        segments = tuple(endpoint.path.split("/")[1:])
        keys = [index for index, word in enumerate(segments) if "{" not in word and word not in _OWNED]
        if keys:
            yield _Shape(endpoint, segments, keys[0])


_SHAPES = tuple(_shapes())
_KEYS = frozenset(shape.segments[shape.key] for shape in _SHAPES)
_REPOSITORY = {endpoint.method: endpoint for endpoint in ENDPOINTS if endpoint.path == "/{org}/{repo}"}

_WORDS = (*_KEYS, *SDK, HOST)
"""A text without any of them is done with at once."""
_KEY = re.compile(rf"(?:{'|'.join(sorted(_KEYS))})(?=\\?[/\"'`])")
_IN_LIST = re.compile(rf"[\"'`](?:{'|'.join(sorted(_KEYS))})[\"'`]")
_SDK_NAME = re.compile(r"(?<![\w$])runWorkflow(?:ByI[Dd])?(?![\w$])")
_PATH_ANCHOR = re.compile(rf"{_KEY.pattern}|{re.escape(HOST)}(?=\\?/)")


# --- calls by path


def _calls(text: str) -> Iterator[_Hit]:
    methods = Methods(text)
    for start, end in regions(text, _PATH_ANCHOR):
        expressions = [*paths(text, start, end, _PATH_ANCHOR)]
        if _IN_LIST.search(text, start, end):
            expressions += lists(text, start, end, _KEYS)
        for expression in expressions:
            yield from _hits(text, expression, methods)


def _hits(text: str, expression: Expression, methods: Methods) -> Iterator[_Hit]:
    call = _Call.of(expression)
    for index, segment in enumerate(expression.segments):
        if segment.word in _KEYS and (hit := _below(text, call, index, methods)):
            yield hit
    if call.is_service and (hit := _repository(text, call, methods)):
        yield hit


class _Call(NamedTuple):
    """An expression, and where in it the path begins.

    Attributes:
        first: index of the first segment that is not the address of the service.
        is_based: whether an address stands before it.
    """

    expression: Expression
    first: int
    is_based: bool

    @classmethod
    def of(cls, expression: Expression) -> "_Call":
        """Tell the address from the path."""
        if expression.authority is not None:
            return cls(expression, 0, is_based=True)
        if expression.is_rooted or not _is_address(expression.segments[0]):
            return cls(expression, 0, is_based=False)
        return cls(expression, 1, is_based=True)

    @property
    def is_service(self) -> bool:
        """Whether it names the service's own host."""
        address = self.expression.authority or (self.expression.segments[0] if self.first else None)
        return address is not None and address.text.rpartition("@")[2].partition(":")[0] == HOST

    def before(self, key: int) -> tuple[Segment, ...]:
        """The segments of the path up to one."""
        return self.expression.segments[self.first : key]


_ADDRESS = re.compile(
    r"url|uri|api|base|host|endpoint|server|root|origin|addr|proxy|shim|gateway|prefix|sourcecraft", re.IGNORECASE
)
_OWNER = re.compile("org(?!in)|owner|namespace|team", re.IGNORECASE)


def _is_address(segment: Segment) -> bool:
    if not segment.parts[0].is_dynamic:
        return segment.text == HOST or bool(re.fullmatch(r"[\w.-]+:\d+", segment.text))
    if len(segment.parts) > 1 and not segment.parts[1].is_dynamic:
        return segment.parts[1].text == ":"
    return bool(_ADDRESS.search(segment.text) and not _OWNER.search(segment.text))


def _below(text: str, call: _Call, key: int, methods: Methods) -> _Hit | None:
    """The call of an endpoint whose path has its telling segment here."""
    word = call.expression.segments[key].word
    fitting = [shape for shape in _SHAPES if shape.segments[shape.key] == word and _fits(shape, call, key)]
    exact = [shape for shape in fitting if _length(shape, call, key) == len(shape.segments) - shape.key]
    if not (candidates := exact or fitting):
        return None
    start, end = _span(text, call, key, candidates[0])
    shape = candidates[0]
    if len(candidates) > 1:
        wanted = methods.near(start, end)
        shape = next((one for one in candidates if one.endpoint.method == wanted), candidates[-1])
    if shape.segments[shape.key] == "cicd" and not _is_withdrawn(call, key, lambda: methods.on_line(start, end)):
        return None
    return _Hit(start, end, shape.endpoint, _successor(shape, call, key))


def _fits(shape: _Shape, call: _Call, key: int) -> bool:
    segments = call.expression.segments[key:]
    length = _length(shape, call, key)
    wanted = shape.segments[shape.key :]
    if length > len(wanted) or any("{" not in word for word in wanted[length:]):
        return False
    tail = all("{" in word or segment.word == word for word, segment in zip(wanted, segments[:length], strict=False))
    return tail and _fits_head(shape.segments[: shape.key], call.before(key))


def _length(shape: _Shape, call: _Call, key: int) -> int:
    """How many segments there are from the telling one on; text on the next line may be another path."""
    whole = len(shape.segments) - shape.key
    return whole if key + whole in call.expression.ends else len(call.expression.segments) - key


def _fits_head(wanted: Sequence[str], before: Sequence[Segment]) -> bool:
    if wanted[0] == "repos":
        return len(before) >= 2 and before[-2].word == "repos" and _is_id(before[-1])
    organization = before[-2:-1] or (before if before and before[0].is_dynamic else ())
    prefix = before[:-2]
    return not (
        any(segment.text in _OWNED for segment in organization)
        or (len(before) > 1 and _BY_ID.match(before[-1].text))
        or (prefix and prefix[-1].word == "repos")
        or any(segment.text.startswith(".") for segment in before)
    )


_ID = re.compile("id(?::|%3A)", re.IGNORECASE)


def _is_id(segment: Segment) -> bool:
    return segment.is_dynamic or bool(_ID.match(segment.text))


# --- what else has such a path

_FOLDERS = frozenset("bin etc home lib media mnt opt proc root run srv sys tmp usr var Users Volumes".split())
_REPOS = re.compile("repos(?![a-z])", re.IGNORECASE)


def _is_withdrawn(call: _Call, key: int, method: Callable[[], str | None]) -> bool:
    """Whether ``…/cicd/…`` is no successor, whose prefix a variable may hold, no file and no import."""
    before = call.before(key)
    if len(before) < 2 or any(part.is_dynamic and _REPOS.search(part.text) for part in _parts(call, key)):
        return False
    if before[-1].is_dynamic and before[-2].is_dynamic:
        return True
    if len(before) == 3 and not call.is_based and before[0].is_dynamic:
        return before[-1].is_dynamic or before[-2].is_dynamic or method() is not None
    if len(before) > 2:
        return False
    if call.is_based or before[-1].is_dynamic or before[-2].is_dynamic:
        return True
    return before[0].text not in _FOLDERS if call.expression.is_rooted else method() is not None


def _parts(call: _Call, key: int) -> Iterator[Part]:
    segments = call.expression.segments[:key]
    for segment in (call.expression.authority, *segments):
        if segment is not None:
            yield from segment.parts


# --- the successor


def _successor(shape: _Shape, call: _Call, key: int) -> str:
    """Method and path of the successor; a segment that the text does not show keeps its name in the table."""
    shown = _segments(shape, call, key)
    words = [shown.get(word, word) for word in shape.endpoint.successor.split("/")[1:]]
    return f"{shape.endpoint.method} /" + "/".join(word for word in words if word)


def _segments(shape: _Shape, call: _Call, key: int) -> dict[str, str]:
    head, tail = shape.segments[: shape.key], shape.segments[shape.key + 1 :]
    before = [segment.text for segment in call.before(key)[-len(head) :]]
    length = _length(shape, call, key)
    after = [segment.text for segment in call.expression.segments[key + 1 : key + length]]
    if len(before) == 1 and call.before(key)[0].is_dynamic:
        before.append("")  # one variable holds both
    after += [""] * (len(tail) - len(after))
    # From the right, since of the two before the telling segment the nearer one is the repository.
    pairs = [*zip(reversed(head), reversed(before), strict=False), *zip(tail, after, strict=True)]
    return {word: text for word, text in pairs if "{" in word}


def _span(text: str, call: _Call, key: int, shape: _Shape) -> tuple[int, int]:
    before = call.before(key)[-shape.key :]
    start = before[0].start if before else call.expression.segments[key].start
    return _slashed(text, start), call.expression.segments[key + _length(shape, call, key) - 1].end


def _slashed(text: str, start: int) -> int:
    return start - 1 if text[start - 1 : start] == "/" else start


def _repository(text: str, call: _Call, methods: Methods) -> _Hit | None:
    """A change of a repository itself, which only its method tells from current calls."""
    path = call.before(len(call.expression.segments))
    if len(path) != 2 or path[0].text in _OWNED or _BY_ID.match(path[1].text):
        return None
    start, end = _slashed(text, path[0].start), path[-1].end
    endpoint = _REPOSITORY.get(methods.on_line(start, end) or "")
    if endpoint is None:
        return None
    segments = {"org": path[0].text, "repo": path[1].text}
    return _Hit(start, end, endpoint, f"{endpoint.method} {endpoint.successor.format_map(segments)}")


# --- calls through the client library


def _names(text: str) -> Iterator[_Hit]:
    for match in _SDK_NAME.finditer(text):
        name, successor = SDK[match[0].replace("Id", "ID")]
        endpoint = _BY_NAME[name]
        yield _Hit(*match.span(), endpoint, f"{successor}, which sends {endpoint.method} {endpoint.successor}")
