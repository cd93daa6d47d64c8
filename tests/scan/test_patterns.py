"""What is found in a text: the corpus (golden/README.md), and texts made to trouble a scanner."""

from pathlib import Path

import pytest
import yaml

from proxy.scan.patterns import Finding, find
from proxy.scan.walk import decode
from proxy.withdrawn import endpoints
from proxy.withdrawn.current import FIRST_SEGMENTS

CORPUS = Path(__file__).parent / "golden"
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


def test_what_stands_before_the_path_and_behind_it_is_not_shown() -> None:
    [found] = find("https://user:s3cret@api.sourcecraft.tech/acme/shop/ci_workflows/x/trigger?token=s3cret")

    assert "s3cret" not in f"{found.found} {found.replacement}"


def test_lines_and_columns_are_counted_from_one_in_characters() -> None:
    assert [(f.line, f.column) for f in find("runWorkflow\r\n\n  żółw/😀 runWorkflow")] == [(1, 1), (3, 10)]
