import json

import pytest

from proxy.calls.shell import script
from proxy.scan.fix import revisions
from tests.scan.fix.planning import OLD


def caution(revision: str, quote: str = '"') -> str | None:
    body = json.dumps({"revision": revision})
    written = json.dumps(body) if quote == '"' else f"'{body}'"
    (call,) = script.read(f"curl {OLD} -d {written}").calls
    return revisions.caution(call)


@pytest.mark.parametrize(
    "revision",
    ["main", "", "tags:v1", "tags:$TAG", "$BRANCH", "${CI_COMMIT_REF_NAME}", "release/$VERSION", "x-${{ matrix.a }}",
     "$GITHUB_HEAD_REF", "v$NUMBER", "0123456789012345678901234567890123456789"],
)  # fmt: skip
def test_a_revision_whose_kind_is_known_is_safe(revision: str) -> None:
    assert caution(revision) is None


@pytest.mark.parametrize("revision", ["$REV", "${1:-main}", "$CI_COMMIT_SHA", "ta$X", "abc$X", "$(git describe)"])
def test_one_that_can_be_of_any_kind_is_not(revision: str) -> None:
    assert caution(revision) == f"{revision}: taken for a branch; it may hold tags:NAME or a commit"


@pytest.mark.parametrize("revision", ["$(REV)", "${{ inputs.rev }}", "{{ rev }}", "%REV%"])
def test_so_can_one_that_make_or_a_pipeline_fills_in_before_the_shell(revision: str) -> None:
    assert caution(revision, "'") == f"{revision}: taken for a branch; it may hold tags:NAME or a commit"


def test_both_revisions_count_and_a_body_that_is_no_json_has_none() -> None:
    calls = script.read(f"curl {OLD} -d '{{\"workflow_revision\": \"{{{{ a }}}}\"}}'\ncurl {OLD} -d 'a'").calls
    assert [revisions.caution(call) is None for call in calls] == [False, True]


def test_cautions_are_joined() -> None:
    assert (revisions.join(None, "a", "b"), revisions.join(None, None)) == ("a; b", None)
