"""What is found in a text: the corpus (corpus/README.md), and where it is."""

import io
from collections import defaultdict
from pathlib import Path

import pytest

from proxy.scan import calls
from proxy.scan.files import File, decode, examine
from proxy.scan.finding import Confidence, Located
from proxy.scan.patterns import find, may_have_findings
from proxy.scan.render import table
from proxy.scan.scan import Scan
from proxy.scan.suppressions import Sifted
from proxy.withdrawn.current import FIRST_SEGMENTS
from proxy.withdrawn.endpoints import ENDPOINTS

CORPUS = Path(__file__).parent / "corpus"


def names(folder: str) -> list[str]:
    return sorted(str(path.relative_to(CORPUS)) for path in (CORPUS / folder).rglob("*") if path.is_file())


def expected() -> dict[str, list[str]]:
    lines = defaultdict(list)
    for line in (CORPUS / "expected.txt").read_text(encoding="utf-8").splitlines():
        lines[line.partition(":")[0]].append(line)
    return lines


EXPECTED = expected()


def scanned(name: str) -> list[str]:
    sifted = examine(File(str(CORPUS / name)))
    assert isinstance(sifted, Sifted)
    scan, stream = Scan(), io.StringIO()
    scan.found = [Located(name, finding) for finding in sifted.findings]
    table(scan, stream)
    return stream.getvalue().splitlines()


def test_the_corpus_is_as_wide_as_it_must_be() -> None:
    assert len(names("ours") + names("foreign")) >= 150
    assert len(list((CORPUS / "ours").iterdir())) >= 20
    assert set(EXPECTED) <= set(names("ours"))


def test_the_corpus_has_every_endpoint() -> None:
    found = {line.split(": ")[1].split(" ")[0] for lines in EXPECTED.values() for line in lines}

    assert {endpoint.name for endpoint in ENDPOINTS} <= found


@pytest.mark.parametrize("name", names("ours"))
def test_a_file_of_a_caller_gives_what_it_must(name: str) -> None:
    assert scanned(name) == EXPECTED[name]
    assert EXPECTED[name]


def test_foreign_files_give_nothing() -> None:
    lines = [line for name in names("foreign") for line in scanned(name)]
    assert [line for line in lines if ": base URL: " not in line] == []


def test_the_quick_look_at_a_file_misses_nothing() -> None:
    contents = {name: (CORPUS / name).read_bytes() for name in [*names("ours"), *names("foreign")]}

    passed_over = [name for name, content in contents.items() if not may_have_findings(content)]

    assert [name for name in passed_over if find(decode(contents[name]))] == []
    assert passed_over


def test_an_exact_replacement_leaves_nothing_to_find() -> None:
    assert {name: left for name in names("ours") if (left := left_after_edits(name))} == {}


def left_after_edits(name: str) -> list[str]:
    """What could still be edited in a file after all edits, but for triggers."""
    text = decode((CORPUS / name).read_bytes())
    for finding in reversed(find(text)):
        if finding.hit.edit is not None:
            text = text[: finding.hit.start] + finding.hit.edit + text[finding.hit.end :]
    left = [finding for finding in find(text) if finding.hit.endpoint not in {"trigger", "trigger_by_id"}]
    return [one.found for one in left if one.hit.confidence.is_call and one.hit.edit is not None]


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
    assert [one for one in find(call.replace("{}", second)) if one.hit.confidence.is_call] == []
    assert len(find(call.replace("{}", "shop"))) == 1


def test_what_stands_before_the_path_and_behind_it_is_not_shown() -> None:
    [found] = find("https://user:s3cret@api.sourcecraft.tech/acme/shop/ci_workflows/x/trigger?token=s3cret")

    assert "s3cret" not in f"{found.found} {found.hit}"


def test_lines_and_columns_are_counted_from_one_in_characters() -> None:
    found = find("flux_public_id\r\n\n  żółw/😀 flux_public_id")

    assert [(f.line, f.column, f.end_line, f.end_column) for f in found] == [(1, 1, 1, 15), (3, 10, 3, 24)]


def test_a_text_with_too_many_paths_is_not_examined_whole_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "LONGEST", calls.LONGEST // 10)
    text = "curl $API/acme/shop/cicd/runs\n" * 6000

    found = find(text)

    assert 1000 < len(found) < 6000
    assert (found[-1].hit.confidence, found[-1].hit.endpoint) == (Confidence.LOOK, "path")
    assert "not examined from here on" in found[-1].hit.replacement
