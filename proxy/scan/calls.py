"""Finds calls by their paths."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from proxy.scan.addresses import Call
from proxy.scan.expressions import Expression, Segment, lists, path_at, paths, regions
from proxy.scan.finding import PATH, Confidence, Hit
from proxy.scan.methods import Methods
from proxy.scan.shapes import HOST, KEYS, OWNED, REPOSITORY, SHAPES, Shape
from proxy.scan.variables import Variables
from proxy.scan.withdrawn_paths import cicd_confidence
from proxy.withdrawn.current import ID_PREFIX

_BY_ID = re.compile(ID_PREFIX)
_KEY = re.compile(rf"(?:{'|'.join(sorted(KEYS))})(?=\\?[/\"'`])")
_IN_LIST = re.compile(rf"[\"'`](?:{'|'.join(sorted(KEYS))})[\"'`]")
_ANCHOR = re.compile(rf"{_KEY.pattern}|{re.escape(HOST)}(?=\\?/)")

LONGEST = 400_000
"""How many characters around keys are examined in one text, which takes a second or two. The rest is reported."""


class Calls(NamedTuple):
    """The calls in a text.

    Attributes:
        hits: the calls.
        used: names of the variables that hold a part of a call.
        unread: offset of the first place that was not examined, if any.
    """

    hits: list[Hit]
    used: set[str]
    unread: int | None


def find_calls(text: str) -> Calls:
    """Find the calls in a text."""
    found = Calls([], set(), None)
    if not any(word in text for word in (*KEYS, HOST)):
        return found
    variables = Variables(text, lambda start, end: path_at(text, start, end, _ANCHOR), KEYS)
    names = "".join(rf"|(?<!\w){re.escape(name)}(?!\w)" for name in variables.carriers())
    anchor = re.compile(_ANCHOR.pattern + names)
    left = LONGEST
    for start, end in regions(text, anchor):
        if left <= 0:
            return found._replace(unread=start)
        left -= end - start
        _examine(text, start, min(end, start + LONGEST), variables, found)
        if end - start > LONGEST:
            return found._replace(unread=start + LONGEST)
    return found


def _examine(text: str, start: int, end: int, variables: Variables, found: Calls) -> None:
    methods = Methods(text, start, end)
    expressions = [*paths(text, start, end, _ANCHOR)]
    if _IN_LIST.search(text, start, end):
        expressions += lists(text, start, end, KEYS)
    for expression in expressions:
        variables.followed.clear()
        hits = [*_hits(text, variables.filled(expression), methods, variables)]
        found.hits.extend(hits)
        found.used.update(variables.followed if hits else ())


def _hits(text: str, expression: Expression, methods: Methods, variables: Variables) -> Iterator[Hit]:
    call = Call.of(expression)
    for index, segment in enumerate(expression.segments):
        if segment.word in KEYS and (hit := _below(text, call, index, methods)):
            yield hit._replace(segments=_literal(hit.segments, hit.start, variables))
    if call.is_service and (hit := _repository(text, call, methods)):
        yield hit._replace(segments=_literal(hit.segments, hit.start, variables))


def _literal(segments: Sequence[tuple[str, str]], at: int, variables: Variables) -> tuple[tuple[str, str], ...]:
    return tuple((name, variables.literal(shown, at) if _BRACES.search(shown) else shown) for name, shown in segments)


_BRACES = re.compile(r"[${%]")


def _below(text: str, call: Call, key: int, methods: Methods) -> Hit | None:
    """The call whose key segment is at an index, if it is one."""
    word = call.expression.segments[key].word
    fitting = [shape for shape in SHAPES if shape.segments[shape.key] == word and _fits(shape, call, key)]
    exact = [shape for shape in fitting if _length(shape, call, key) == len(shape.segments) - shape.key]
    if not (candidates := exact or fitting):
        return None
    shape = candidates[0]
    start, end = _span(text, call, key, shape)
    method = shape.endpoint.method
    if len(candidates) > 1:
        method = methods.near(start, end)
        shape = next((one for one in candidates if one.endpoint.method == method), candidates[-1])
    confidence = _confidence(shape, call, key, lambda: methods.on_line(start, end))
    if confidence is None:
        return None
    segments = _segments(shape, call, key)
    successor = f"{method} {_successor(shape, segments)}"
    if confidence is Confidence.LOOK:
        return Hit(start, end, PATH, method, f"{successor}, if /repos is not there yet", confidence)
    is_exact = not shape.is_trigger and not call.expression.is_list
    edit = _edit(text, start, end, call.before(key)[-shape.key :]) if is_exact else None
    return Hit(start, end, shape.endpoint.name, method, successor, confidence, edit, tuple(segments.items()))


def _confidence(shape: Shape, call: Call, key: int, method: Callable[[], str | None]) -> Confidence | None:
    if not shape.is_trigger:
        return cicd_confidence(call, key, method)
    return Confidence.LIKELY if call.is_elsewhere else Confidence.CERTAIN


def _fits(shape: Shape, call: Call, key: int) -> bool:
    segments = call.expression.segments[key:]
    length = _length(shape, call, key)
    wanted = shape.segments[shape.key :]
    if length > len(wanted) or any("{" not in word for word in wanted[length:]):
        return False
    tail = all("{" in word or segment.word == word for word, segment in zip(wanted, segments[:length], strict=False))
    return tail and _fits_head(shape.segments[: shape.key], call.before(key))


def _length(shape: Shape, call: Call, key: int) -> int:
    """How many segments there are from the key on; text on the next line may be another path."""
    whole = len(shape.segments) - shape.key
    return whole if key + whole in call.expression.ends else len(call.expression.segments) - key


def _fits_head(wanted: Sequence[str], before: Sequence[Segment]) -> bool:
    if wanted[0] == "repos":
        return len(before) >= 2 and before[-2].word == "repos" and _is_id(before[-1])
    organization = before[-2:-1] or (before if before and before[0].is_dynamic else ())
    prefix = before[:-2]
    return not (
        any(segment.text in OWNED for segment in organization)
        or (len(before) > 1 and _BY_ID.match(before[-1].text))
        or (prefix and prefix[-1].word == "repos")
        or any(segment.text.startswith(".") for segment in before)
    )


_ID = re.compile("id(?::|%3A)", re.IGNORECASE)


def _is_id(segment: Segment) -> bool:
    return segment.is_dynamic or bool(_ID.match(segment.text))


# --- what to write instead


def _successor(shape: Shape, segments: dict[str, str]) -> str:
    """The path of the successor; segments that are not in the text keep their placeholders."""
    words = [segments.get(word, word) for word in shape.endpoint.successor.split("/")[1:]]
    return "/" + "/".join(word for word in words if word)


def _segments(shape: Shape, call: Call, key: int) -> dict[str, str]:
    head, tail = shape.segments[: shape.key], shape.segments[shape.key + 1 :]
    before = [segment.text for segment in call.before(key)[-len(head) :]]
    length = _length(shape, call, key)
    after = [segment.text for segment in call.expression.segments[key + 1 : key + length]]
    if len(before) == 1 and call.before(key)[0].is_dynamic:
        before.append("")  # one variable holds both
    after += [""] * (len(tail) - len(after))
    # From the right: the segment next to the key is the repository.
    pairs = [*zip(reversed(head), reversed(before), strict=False), *zip(tail, after, strict=True)]
    return {word: text for word, text in pairs if "{" in word}


def _span(text: str, call: Call, key: int, shape: Shape) -> tuple[int, int]:
    before = call.before(key)[-shape.key :]
    start = before[0].start if before else call.expression.segments[key].start
    return _slashed(text, start), call.expression.segments[key + _length(shape, call, key) - 1].end


def _slashed(text: str, start: int) -> int:
    return start - 1 if text[start - 1 : start] == "/" else start


def _edit(text: str, start: int, end: int, path: Sequence[Segment]) -> str | None:
    """The path with ``/repos`` in front of it, if that is all that has to change."""
    if not path:
        return None
    first = path[0]
    is_code = first.parts[0].is_dynamic and text[first.start : first.parts[0].end] != first.parts[0].text
    is_whole = len(first.parts) == 1 or not first.parts[0].is_dynamic
    if first.is_inner or is_code or not is_whole:
        return None
    if text[start] != "/":
        return f"repos/{text[start:end]}"
    escape = "\\" if text[start - 1 : start] == "\\" else ""
    return f"/repos{escape}{text[start:end]}"


def _repository(text: str, call: Call, methods: Methods) -> Hit | None:
    """A call of a repository itself, which only differs from current calls by its method."""
    path = call.before(len(call.expression.segments))
    if len(path) != 2 or path[0].text in OWNED or _BY_ID.match(path[1].text):
        return None
    start, end = _slashed(text, path[0].start), path[-1].end
    endpoint = REPOSITORY.get(methods.on_line(start, end) or "")
    if endpoint is None:
        return None
    segments = {"{org}": path[0].text, "{repo}": path[1].text}
    successor = f"{endpoint.method} /repos/{path[0].text}/{path[1].text}"
    edit = _edit(text, start, end, path)
    return Hit(start, end, endpoint.name, endpoint.method, successor, Confidence.CERTAIN, edit, tuple(segments.items()))
