"""Texts made to trouble a scanner."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.scan.patterns import find
from proxy.scan.suppressions import sift

PARTS = """/ cicd runs ci_workflows trigger api.sourcecraft.tech https:// DELETE " ' ` $ { } ( ) + , . a""".split()


@given(st.lists(st.sampled_from([*PARTS, " ", "\n", "\\"])).map("".join))
def test_any_text_can_be_read(text: str) -> None:
    for found in find(text):
        line = text.split("\n")[found.line - 1]
        assert line[found.column - 1 :][: len(found.found.split()[0])] == found.found.split()[0]


PIECES = [
    *"a / { ( [ % ` + .".split(),
    *("cicd/ ci_workflows/ ${ ${{ci_workflows/ $( (a( a[ a.b( https:// api.sourcecraft.tech/ cicd/(a(b)c %a").split(),
    "/a/b/ci_workflows/c/trigger ", "/a/b/cicd/runs ", "cicd/ \\\n", "cicd/ '\n", "'/'\n'", " ", "\\\n", "runWorkflow ",
    "a + ", "'+a+'", "'+a(b)+'/cicd/", "'cicd',", "a, 'cicd', ", "'a','a','a','cicd',", "ci_workflows/a b c ", "<a ",
    "cicd/{'a':'b', ", "cicd/" + "x" * 500 + "(", "'" + " " * 79 + "+" + " " * 79 + "a(" + "x" * 79,
    "curl -X DELETE https://api.sourcecraft.tech/a/b ", "cicd/ a.b.c(d)[e]a.b.c(d)[e]a.b.c(d)[e] ",
    "set A x\n", "trigger-shim: ", "/a/b/cicd/runs trigger-shim: ignore \\\n",
    "W=/ci_workflows\n", "W=$W/ci_workflows $W/a/trigger\n", "W = ", "a.W: b = ", "$W/cicd/runs ", "W='https://",
    "trigger_status ", ".trigger_status", "flux_id ", "'ci_workflows' ", "ci_workflows", "/ci_workflows/$",
    "[\"flux_id", "run_workflow ", "workflowName runWorkflow ", "Deprecated", "listRunsDeprecated ",
    "(=https://api.sourcecraft.tech ",
    "fetch(\"/a/b/cicd/runs\"", "((((/a/b/cicd/runs ", "# trigger-shim: ignore\n", "runWorkflow trigger-shim: ignore ",
]  # fmt: skip


@pytest.mark.parametrize("piece", PIECES)
def test_the_work_grows_with_the_text_and_not_faster(piece: str) -> None:
    def text(size: int) -> str:
        return "/a/b/cicd/runs\n" + piece * (size // len(piece)) + " cicd/"

    small, large = text(3_000), text(24_000)

    # Eight times the text: 64 times the work, were it the square. One of several tries is undisturbed.
    assert any(work(large) < 24 * max(work(small), 0.002) for _ in range(5))


def work(text: str) -> float:
    """Seconds of this thread's own processor time."""
    start = time.thread_time()
    sift(text, find(text))
    return time.thread_time() - start
