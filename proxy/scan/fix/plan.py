"""Decides for each finding of a file what becomes of it."""

import contextlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

from proxy.calls import replacement, urls
from proxy.calls.call import Call, NotRead, Span
from proxy.calls.write import new_call
from proxy.calls.write.written import Target
from proxy.errors import ProxyError
from proxy.scan.finding import ANSWER, Confidence, Finding, Hit, Located
from proxy.scan.fix import commands, kinds, libraries
from proxy.scan.fix.change import Change, Cover, Edit, Refusal, edits_of, splice
from proxy.scan.fix.check import NOT_READ_BACK, Check, read
from proxy.scan.fix.revisions import join
from proxy.scan.fix.source import Source
from proxy.scan.patterns import find
from proxy.scan.words import unread
from proxy.withdrawn.endpoints import BY_NAME

_TARGETS = {kinds.Kind.PYTHON: Target.PYTHON, kinds.Kind.JAVASCRIPT: Target.JAVASCRIPT}
_EXPRESSION = re.compile(r"\$?\{\{.*?\}\}|\$\(.*?\)|\$?\{[^{}]*\}|\$\$?\w+")
_LIKELY = "it is only likely to be a withdrawn call"
_TOO_MANY = "the file has too many such words to be examined whole"
_UNSAFE = "only with --unsafe: "


class Outcome(NamedTuple):
    """What becomes of a finding: it is changed if there is a change, perhaps one to look at, or else refused."""

    located: Located
    change: Change | None = None
    refusal: Refusal = Refusal("")


class Plan(NamedTuple):
    """What becomes of the findings of a file.

    Attributes:
        file: its path.
        content: what it holds.
        new_content: what it is to hold; the same if nothing changes.
    """

    file: str
    content: bytes
    new_content: bytes
    outcomes: list[Outcome]


def plan(content: bytes, file: str, found: Sequence[Located], *, unsafe: bool) -> Plan:
    """Plan what becomes of a file.

    Args:
        content: what it holds.
        file: its path.
        found: what the scan has found in it.
        unsafe: whether changes are made that somebody has to look at.
    """
    try:
        source = Source.of(content)
    except UnicodeError:
        refusal = Refusal("the file is not in the encoding of its byte order mark")
        return Plan(file, content, content, [Outcome(located, None, refusal) for located in found])
    if any(located.finding.hit.replacement == unread(0).replacement for located in found):
        return Plan(file, content, content, [Outcome(located, None, Refusal(_TOO_MANY)) for located in found])
    planner = _Planner(source, file, found)
    outcomes, changes = planner.outcomes(unsafe=unsafe)
    return Plan(file, content, source.encode(splice(source.text, edits_of(changes))), outcomes)


class _Planner:
    def __init__(self, source: Source, file: str, found: Sequence[Located]) -> None:
        self._text, self._file = source.text, file
        findings = find(self._text)
        self._all = [finding.hit for finding in findings]
        self._hits = list(zip(found, _matched(found, findings), strict=True))
        self._calls: list[Call] = []
        self._problem = "it is in no call that can be read"
        if any(_is_trigger(hit) for _, hit in self._hits if hit):
            self._read()

    def _read(self) -> None:
        problem = kinds.problem(self._text, self._file)
        reading = NotRead(problem) if problem else read(self._text, self._file)
        if isinstance(reading, NotRead):
            self._problem = str(reading)
        else:
            self._calls = list(reading.calls)

    def outcomes(self, *, unsafe: bool) -> tuple[list[Outcome], list[Change]]:
        """What becomes of each finding, and the changes that are made."""
        wanted = [hit for _, hit in self._hits if hit]
        of_calls = {call.span: self._of_call(call, wanted) for call in self._calls if _covers(call, wanted)}
        changes = [one for one in of_calls.values() if isinstance(one, Change)]
        refusals = {span: one for span, one in of_calls.items() if isinstance(one, Refusal)}
        changes += [_of_path(hit) for hit in wanted if hit.edit is not None and hit.confidence.is_call]
        allowed = [change for change in changes if unsafe or change.caution is None]
        held = Check(self._text, self._file, self._all, self._calls).holding(allowed)
        made, cover = set(map(id, held)), Cover(changes)
        outcomes = []
        for located, hit in self._hits:
            change = cover.of(hit) if hit else None
            if id(change) in made:
                outcomes.append(Outcome(located, change))
            elif change is not None:
                reason = NOT_READ_BACK if unsafe or change.caution is None else f"{_UNSAFE}{change.caution}"
                written = self._written(change.new) if change.new else ""
                outcomes.append(Outcome(located, None, Refusal(reason, written)))
            else:
                outcomes.append(Outcome(located, None, self._refusal(hit, refusals)))
        return outcomes, held

    def _of_call(self, call: Call, wanted: Sequence[Hit]) -> Change | Refusal:
        try:
            new, _ = replacement.of_call(call)
        except (NotRead, ProxyError) as error:
            return Refusal(call.shown(str(error)))
        change_of = libraries.change_of if call.parts else commands.change_of
        made = change_of(self._text, call, new, self._answer_of(call))
        if isinstance(made, Refusal):
            return made._replace(new_call=self._written(new))
        cover = Cover([made])
        hits = [hit for hit in wanted if cover.of(hit)]
        if any(self._is_encoded(hit) for hit in hits):
            encoded = "the name of the workflow is encoded for a path, as it must not be in a body"
            return Refusal(encoded, self._written(new))
        is_likely = any(hit.confidence is Confidence.LIKELY for hit in hits)
        return made._replace(caution=join(_LIKELY if is_likely else None, made.caution))

    def _answer_of(self, call: Call) -> Span:
        """Where fields of the answer to a call may stand: up to the next trigger, and before the first."""
        triggers = self._triggers
        at = triggers.index(call.span) if call.span in triggers else 0
        end = triggers[at + 1].start if at + 1 < len(triggers) else len(self._text)
        return Span(call.span.end if at else 0, end)

    @cached_property
    def _triggers(self) -> list[Span]:
        return sorted(one.span for one in self._calls if urls.is_trigger(one.url))

    @cached_property
    def _target(self) -> Target:
        kind = kinds.kind_of(self._text, self._file)
        return _TARGETS.get(kind, Target.CURL) if kind else Target.CURL

    def _is_encoded(self, hit: Hit) -> bool:
        """Whether the name of the workflow is made for a path: by an expression in it, or where its variable is set."""
        name = self._text[hit.start : hit.end].partition("ci_workflows")[2]
        expressions = _EXPRESSION.findall(name)
        names = [re.escape(name) for expression in expressions for name in re.findall(r"[A-Za-z_]\w*", expression)]
        is_set = rf"(?<!\w)(?:{'|'.join(names)})\s*[:?]?[=:][^\n]*(?:{replacement.ENCODES.pattern})"
        return any(map(replacement.ENCODES.search, expressions)) or bool(
            names and re.search(is_set, self._text, re.IGNORECASE)
        )

    def _written(self, new: Call) -> str:
        try:
            return new.shown(new_call.write(new, self._target).text)
        except (NotRead, ValueError):
            return ""

    def _refusal(self, hit: Hit | None, refusals: dict[Span, Refusal]) -> Refusal:
        if hit is None:
            return Refusal("the file has changed since it was read")
        if taking := self._taking(hit):
            return taking
        around = [one for (start, end), one in refusals.items() if start <= hit.start and hit.end <= end]
        return around[0] if around else Refusal(self._reason(hit))

    def _taking(self, hit: Hit) -> Refusal | None:
        """The call that takes its URL from the line of a finding, if there is one."""
        line = self._text[self._text.rfind("\n", 0, hit.start) + 1 : hit.start]
        words = set(re.findall(r"\w+", line)) if _is_trigger(hit) else set()
        for call in self._calls:
            if call.span.start > hit.end and words.intersection(re.sub(r"\W", "", name) for name in call.resolved):
                with contextlib.suppress(NotRead, ProxyError):
                    number = self._text.count("\n", 0, call.span.start) + 1
                    written = self._written(replacement.of_call(call).call)
                    return Refusal(f"the call in line {number} takes it from here: change both by hand", written)
        return None

    def _reason(self, hit: Hit) -> str:
        if hit.endpoint == ANSWER:
            return "the call whose answer it is was not changed, or is in another file"
        if hit.endpoint not in BY_NAME:
            return "it is not a whole call"
        if not hit.segments:
            return "it is a method of a generated client: use the client of the new API"
        return self._problem if _is_trigger(hit) else "its path is put together from pieces"


def _matched(found: Iterable[Located], findings: Iterable[Finding]) -> Iterator[Hit | None]:
    """The findings again, in the text whose bytes are all kept."""
    again = defaultdict(list)
    for finding in findings:
        again[_key(finding)].append(finding.hit)
    for located in found:
        same = again[_key(located.finding)]
        yield same.pop(0) if same else None


def _key(finding: Finding) -> tuple[int, str, str]:
    return finding.line, finding.hit.endpoint, finding.found


def _is_trigger(hit: Hit) -> bool:
    return hit.endpoint in BY_NAME and BY_NAME[hit.endpoint].is_trigger and bool(hit.segments)


def _covers(call: Call, wanted: Sequence[Hit]) -> bool:
    return any(_is_trigger(hit) and call.span.start <= hit.start and hit.end <= call.span.end for hit in wanted)


def _of_path(hit: Hit) -> Change:
    caution = _LIKELY if hit.confidence is Confidence.LIKELY else None
    return Change((Edit(hit.start, hit.end, hit.edit or ""),), caution=caution)
