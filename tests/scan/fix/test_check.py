"""A change that does not say what it should is not made."""

import pytest

from proxy.calls import reader, replacement
from proxy.calls.call import Call
from proxy.scan.fix import check
from proxy.scan.fix.change import Change, Edit
from proxy.scan.fix.check import Check
from proxy.scan.patterns import find
from tests.scan.fix.planning import JSON, NEW, OLD

LINES = [f"curl -X POST {OLD} -d '{{}}'", f'curl {OLD} -d \'{{"revision": "$B"}}\'', "curl https://example.com"]
TEXT = "\n".join(LINES)
BODY = """'{"workflows":[{"name":"build"}]}'"""


def checked(text: str = TEXT) -> tuple[Check, tuple[Call, ...]]:
    calls = reader.read(text, "a.sh").reading.calls
    return Check(text, "a.sh", [finding.hit for finding in find(text)], calls), calls


def change(call: Call, text: str, *more: Edit) -> Change:
    return Change((Edit(*call.span, text), *more), call, replacement.of_call(call).call)


def test_a_change_that_reads_back_as_the_new_call_holds() -> None:
    found, calls = checked()
    good = change(calls[0], f"curl -X POST {NEW} {JSON} -d {BODY}")
    assert found.holding([good]) == [good]


@pytest.mark.parametrize(
    "text",
    [
        f"curl -X POST {NEW} {JSON} -d {BODY.replace('build', 'built')}",
        f"curl -X PUT {NEW} {JSON} -d {BODY}",
        f"curl -X POST {NEW} -d {BODY}",
        f"curl -X POST {NEW.replace('shop', 'shops')} {JSON} -d {BODY}",
        f"curl -X POST -f {NEW} {JSON} -d {BODY}",
        f"sudo curl -X POST {NEW} {JSON} -d {BODY}",
        f"wget {NEW}",
        "true",
        "curl '",
        f"curl -X POST {NEW} {JSON} -d {BODY} && curl a.b",
        f"curl -X POST {NEW} {JSON} -d {BODY} # {OLD}",
    ],
)
def test_one_that_says_anything_else_does_not(text: str) -> None:
    found, calls = checked()
    assert found.holding([change(calls[0], text)]) == []


def test_the_other_calls_stay_what_they_are() -> None:
    found, calls = checked()
    other = Edit(calls[2].span.end, calls[2].span.end, " -X DELETE")
    assert found.holding([change(calls[0], f"curl -X POST {NEW} {JSON} -d {BODY}", other)]) == []


def test_a_bad_change_does_not_take_the_good_ones_with_it() -> None:
    found, calls = checked()
    good = change(calls[0], f"curl -X POST {NEW} {JSON} -d {BODY}")
    assert found.holding([change(calls[1], "true"), good]) == [good]
    assert found.holding([good, good._replace(edits=(Edit(0, 3, "true"),))]) == [good]


def test_a_path_that_is_changed_must_not_be_found_again() -> None:
    text = "DELETE https://api.sourcecraft.tech/acme/shop/cicd/runs/1\n"
    hit = find(text)[0].hit
    found = Check(text, "a.md", [hit], ())
    good, bad = (Change((Edit(hit.start, hit.end, new),)) for new in (hit.edit or "", "/acme/shop/cicd/runs/2"))
    assert (found.holding([good]), found.holding([bad])) == ([good], [])


def test_a_text_that_cannot_be_read_says_why() -> None:
    assert str(check.read("curl '", "a.sh")) == "taken for shell commands, and not read: a ' is never closed"
