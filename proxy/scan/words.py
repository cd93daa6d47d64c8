"""Finds words of the withdrawn API that are not part of a whole call."""

import re
from collections.abc import Iterable, Iterator

from proxy.scan.finding import ANSWER, BASE_URL, PATH, Confidence, Hit
from proxy.scan.nearby import Nearby
from proxy.scan.shapes import HOST
from proxy.scan.withdrawn_paths import FOLDERS

_SUCCESSORS = {
    "fluxpublicid": "slug of the run",
    "triggerstatus": "no successor: status of the run tells something else",
    "fluxid": "id of the run, or slug where that is empty",
}
_FIELD = re.compile(
    r"(?<!\w)(?:[gG]et)?(?P<name>flux_public_id|[fF]luxPublicI[dD]|flux_id|trigger_status|triggerStatus"
    r"|(?<=[t.])TriggerStatus)(?:Ok)?(?![\w-])"
)
_FIELDS = ("flux_public_id", "luxPublicI", "flux_id", "trigger_status", "riggerStatus")
_UNIQUE = re.compile("flux_public_id|[fF]luxPublicI[dD]")
_OURS = re.compile(r"ci_workflows|flux_public_id|[fF]luxPublicI[dD]|(?i:sourcecraft)|nothing_to_start")
"""What shows that a text is about our service, where a word alone may be another one's."""
_READ = re.compile(
    r"(?:\b(?i:res|resp|response|result|data|body|json|run|answer|payload|reply|output|r)(?:\(\))?[)\]?!]{0,2}|(?<![\w.)\]?!]))\."
    r"|->|[\[:]\s?:?\\?[\"'`]|\b(?i:get|fetch|dig|opt|path|at)\w{0,12}\(:?[\"']"
)
_OTHER_HOST = re.compile(rf"://(?!{re.escape(HOST)})[\w-]+(?:\.[\w-]+)+")
_AROUND = 300
_LINE = 120
_MOST = 5000
"""How many words of a text are examined."""

_WORD = re.compile(r"(?<![\w.-])ci_workflows(?![\w.-])")
_TOKEN = re.compile(r"[^\s,;]{1,200}\Z")
_VARIABLE = re.compile(r"[$%{}<>]|://|\+|\.\.")
_ANOTHER_THING = re.compile(
    r"\b(?:path|Path|file|File|fs|dir|Dir)\w*[.(][^;\n]{0,100}\Z"
    r"|\b(?:cd|ls|mkdir|rm|cp|mv|cat)\s[^;\n]{0,100}\Z"
    r"|(?i:table|module|package|label|collection|column|folder|dir)\w{0,20}[ \t]{0,8}[:=]{1,2}[ \t]{0,8}[\"'`]?\Z"
)
"""What comes before the name of a folder, or of a table."""
_KEY = re.compile(r"[\"'`]?\]?\s{0,4}(?::(?!:)|=>|=(?!=))(?!//)")
"""What follows a key of an object or a variable that gets a value."""
_LITERAL_PATH = re.compile(r"(?:\A|[\s\"'`(=])/([\w~-]{1,60})(?:/[\w~-]{1,60}){1,6}/\Z")
_BASE = re.compile(
    rf"(?:(?:[=:,(>|?-]|\b(?:ENV|ARG|set|setenv)\s\w{{1,60}}|\breturn)\s{{0,8}})[rfbu$@]?[\"'`]?"
    rf"(?P<url>https?://{re.escape(HOST)}/?)(?![^\"'`\s}}<,;)\]])(?![\"'`]\s{{0,8}}(?:\+|\.\s|~|&))"
)


def find_fields(text: str) -> Iterator[Hit]:
    """Find fields of the old answer, where they are read."""
    if not any(word in text for word in _FIELDS):
        return
    is_ours = bool(_OURS.search(text))
    others = Nearby(_OTHER_HOST, text)
    for match in _FIELD.finditer(text):
        if _is_answer(text, match, others, is_ours=is_ours):
            successor = _SUCCESSORS[match["name"].replace("_", "").lower()]
            yield Hit(*match.span(), ANSWER, None, successor, Confidence.LOOK)


def _is_answer(text: str, match: re.Match[str], others: Nearby, *, is_ours: bool) -> bool:
    """Whether a field is one of our answer: other services have a ``trigger_status``, too."""
    if is_ours or _UNIQUE.fullmatch(match["name"]):
        return True
    before = text[max(match.start() - 20, 0) : match.start()]
    is_read = match[0] == "trigger_status" and any(found.end() == len(before) for found in _READ.finditer(before))
    return is_read and not others.has(match.start() - _AROUND, match.end())


def find_rest(text: str, taken: Iterable[tuple[int, int]], explained: Iterable[str]) -> Iterator[Hit]:
    """Find ``ci_workflows`` where it can begin a path.

    Args:
        text: the text.
        taken: spans of the calls that were found.
        explained: names of variables that were followed to where the path goes on.
    """
    spans, names = sorted(taken), frozenset(explained)
    position = 0
    for count, match in enumerate(_WORD.finditer(text) if "ci_workflows" in text else ()):
        if count == _MOST:
            yield unread(match.start())
            return
        while position < len(spans) and spans[position][1] <= match.start():
            position += 1
        if position < len(spans) and spans[position][0] <= match.start():
            continue
        first = max(match.start() - _LINE, 0)
        line = text[max(text.rfind("\n", first, match.start()) + 1, first) : match.start()]
        if _is_suspicious(text, match, line) and names.isdisjoint(re.findall(r"\w+", line)):
            yield Hit(
                *match.span(),
                PATH,
                None,
                "POST /repos/{org}/{repo}/cicd/runs, if this becomes a trigger",
                Confidence.LOOK,
            )


def _is_suspicious(text: str, match: re.Match[str], line: str) -> bool:
    after = text[match.end() : match.end() + 100]
    token = _TOKEN.search(line)
    before = token[0] if token else ""
    if _ANOTHER_THING.search(line) or _KEY.match(after) or _OTHER_HOST.search(before):
        return False
    rest = re.match(r"[^\s\"'`,;)]{0,100}", after)
    tail = rest[0] if rest else ""
    if _VARIABLE.search(before + tail) and (before[-1:] == "/" or tail[:1] == "/"):
        return not re.search(r"\.\w{1,5}$", tail)
    if before.rstrip("/")[-1:] in {'"', "'", "`"} or re.search(r"\w[\"']?=\Z", before):
        return tail in {"", "/"}
    path = _LITERAL_PATH.search(line)
    return path is not None and path[1] not in FOLDERS and "." not in tail and "/" not in tail[1:]


def find_base_urls(text: str) -> Iterator[Hit]:
    """Find the address of the service where a variable or a setting holds it alone."""
    for match in _BASE.finditer(text) if HOST in text else ():
        yield Hit(
            *match.span("url"),
            BASE_URL,
            None,
            "the address of the proxy: with it, the old calls still work",
            Confidence.NOTE,
        )


def unread(start: int) -> Hit:
    """What is found instead of the rest of a text that has too much to examine."""
    advice = "a smaller file: this one has too many such words, and is not examined from here on"
    return Hit(start, start + 1, PATH, None, advice, Confidence.LOOK)
