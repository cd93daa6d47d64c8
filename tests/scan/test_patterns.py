"""What is found in a text: the corpus (../golden_scan/README.md), and texts made to trouble a scanner."""

import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from proxy.scan.patterns import Finding, find
from proxy.scan.walk import decode
from proxy.withdrawn import endpoints
from proxy.withdrawn.current import FIRST_SEGMENTS

CORPUS = Path(__file__).parent.parent / "golden_scan"
NOTES = {"README.md", "expected.yaml"}
EXPECTED: dict[str, list[dict[str, str]]] = yaml.safe_load((CORPUS / "expected.yaml").read_text(encoding="utf-8"))


def finding(entry: dict[str, str]) -> Finding:
    left = dict(entry)
    line, column = left.pop("at").split(":")
    made = Finding(int(line), int(column), left.pop("endpoint"), left.pop("found"), left.pop("replacement"))
    assert left == {}, "the corpus has a key that nothing reads"
    return made


def test_the_corpus_says_what_each_of_its_files_must_give() -> None:
    assert {file.name for file in CORPUS.iterdir()} - NOTES == set(EXPECTED)
    assert EXPECTED["successors.txt"] == EXPECTED["innocent.txt"] == []


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_file_of_the_corpus_gives_what_it_must(name: str) -> None:
    text = decode((CORPUS / name).read_bytes())

    assert find(text) == [finding(entry) for entry in EXPECTED[name]]


def test_the_corpus_has_every_endpoint() -> None:
    assert {entry["endpoint"] for entries in EXPECTED.values() for entry in entries} == {
        endpoint.name for endpoint in endpoints.ENDPOINTS
    }


# --- each spelling of a variable, in each place


VARIABLES = [
    *"$ORG ${ORG} ${ORG:-acme} $$ORG $${ORG} {org} {} {0} {{org}} <org> :org %s %1$s %(org)s #{org} $(ORG)".split(),
    *"%ORG% \\(org) $env:ORG $(${ORG}) * ([^/]+) (?P<org>[^/]+) acme a%20b a.b-c_d~e".split(),
    *("{{ org }}", "${{ github.org }}", "{{ org | urlencode }}", '$(urlencode "$ORG")', "<the org>"),
]


@pytest.mark.parametrize("variable", VARIABLES)
@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/{0}/shop/ci_workflows/x/trigger", "trigger"),
        ("/acme/{0}/ci_workflows/x/trigger", "trigger"),
        ("/acme/shop/ci_workflows/{0}/trigger", "trigger"),
        ("/{0}/{0}/ci_workflows/{0}/trigger", "trigger"),
        ("/repos/id:{0}/ci_workflows/{0}/trigger", "trigger_by_id"),
        ("/{0}/{0}/cicd/runs", "list_runs"),
        ("/{0}/{0}/cicd/runs/{0}/{0}", "get_workflow"),
        ("/{0}/{0}/cicd/logs/{0}/{0}/{0}/{0}", "get_logs"),
    ],
)
def test_a_segment_may_be_a_variable(variable: str, path: str, name: str) -> None:
    called = path.replace("{0}", variable)

    [found] = find(f"GET https://ci.example{called} \n")

    assert (found.endpoint, found.found) == (name, called)
    successor = called.partition("/ci_workflows/")[0] + "/cicd/runs" if "trigger" in name else called
    assert found.replacement.partition(" ")[2] == "/repos" + successor.removeprefix("/repos")


@pytest.mark.parametrize("variable", [*VARIABLES, "id%3A1"])
@pytest.mark.parametrize(
    "path", ["/repos/{0}/{0}/cicd/runs", "/repos/id:{0}/cicd/runs/{0}", "/repos/{0}/cicd/logs/{0}/{0}/{0}/{0}"]
)
@pytest.mark.parametrize("base", ["", "$API", "https://api.sourcecraft.tech", "{{ api }}", "$(API)/v1", "%API%"])
def test_a_successor_is_never_found(variable: str, path: str, base: str) -> None:
    called = path.replace("{0}", variable)

    assert find(f'x "{base}{called}" y') == []
    assert find(f"curl -X DELETE {base}{called}\n") == []


@pytest.mark.parametrize("owned", FIRST_SEGMENTS)
@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_a_first_segment_that_the_current_api_owns_is_no_organization(owned: str, method: str) -> None:
    assert find(f"{method} https://api.sourcecraft.tech/{owned}/x") == []
    assert find(f"{method} https://api.sourcecraft.tech/{owned}-2/x") != []
    assert find(f"GET https://api.sourcecraft.tech/{owned}/$NAME/cicd/runs") == []


@pytest.mark.parametrize("second", ["id:1", "id%3A$ID", "%69d:{id}", "cloud-id:1", "Cloud%2DID:<id>"])
@pytest.mark.parametrize(
    "call",
    [
        "curl -X DELETE https://api.sourcecraft.tech/next/{}",
        "PATCH https://api.sourcecraft.tech/$KIND/{}",
        "curl $API/next/{}/cicd/runs",
        "POST $API/next/{}/ci_workflows/build/trigger",
    ],
)
def test_what_is_named_by_its_id_is_no_repository_whoever_owns_it(call: str, second: str) -> None:
    assert find(call.replace("{}", second)) == []
    assert len(find(call.replace("{}", "shop"))) == 1


@pytest.mark.parametrize(
    "line",
    [
        "curl -X DELETE {}",
        "curl {} --request DELETE",
        "curl -H x \\\n  {} \\\n  -XDELETE",
        "curl {} ^\r\n  -X DELETE",
        "requests.delete('{}')",
        "client.DeleteAsync('{}')",
        "http.NewRequest(http.MethodDelete, '{}')",
        "Net::HTTP::Delete.new('{}')",
        "fetch('{}', {{method: 'delete'}})",
        "DELETE {} HTTP/1.1",
    ],
)
def test_the_method_of_a_change_to_a_repository_stands_on_its_line(line: str) -> None:
    [found] = find(line.format("https://api.sourcecraft.tech/acme/shop"))

    assert found.endpoint == "delete_repository"
    assert find(line.format("https://api.example/acme/shop")) == []


def test_a_method_on_another_line_is_another_calls() -> None:
    assert find("curl -X DELETE $OTHER\ncurl https://api.sourcecraft.tech/acme/shop\n") == []


def test_what_stands_before_the_path_and_behind_it_is_not_shown() -> None:
    [found] = find("https://user:s3cret@api.sourcecraft.tech/acme/shop/ci_workflows/x/trigger?token=s3cret")

    assert "s3cret" not in f"{found.found} {found.replacement}"


def test_lines_and_columns_are_counted_from_one_in_characters() -> None:
    assert [(f.line, f.column) for f in find("runWorkflow\r\n\n  żółw/😀 runWorkflow")] == [(1, 1), (3, 10)]


# --- hostile texts


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
]  # fmt: skip


@pytest.mark.parametrize("piece", PIECES)
def test_the_work_grows_with_the_text_and_not_faster(piece: str) -> None:
    def text(size: int) -> str:
        return "/a/b/cicd/runs\n" + piece * (size // len(piece)) + " cicd/"

    small, large = text(6_000), text(48_000)

    # Eight times the text: 64 times the work, were it the square. One of several tries is undisturbed.
    most = 24 * max(min(work(small) for _ in range(3)), 0.002)
    assert any(work(large) < most for _ in range(3))


def work(text: str) -> float:
    """Seconds of this thread's own processor time."""
    start = time.thread_time()
    find(text)
    return time.thread_time() - start
