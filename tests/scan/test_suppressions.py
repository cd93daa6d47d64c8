import pytest

from proxy.scan.patterns import find
from proxy.scan.suppressions import sift

CALL = "curl $API/acme/shop/ci_workflows/build/trigger"


@pytest.mark.parametrize(
    "text",
    [
        f"{CALL} # trigger-shim: ignore the job ends in May",
        f"# trigger-shim: ignore the job ends in May\n{CALL}",
        f"  // trigger-shim: ignore: the job ends in May\n{CALL}",
        f"<!-- trigger-shim: ignore - the job ends in May -->\n{CALL}",
        f"/* trigger-shim:ignore the job ends in May */ {CALL}",
        f"REM trigger-shim: ignore the job ends in May\n{CALL}",
        f"# trigger-shim: ignore the job ends in May\ncurl -X POST \\\n  {CALL[5:]}",
        f'"//": "trigger-shim: ignore the job ends in May",\n"run": "{CALL}"',
        "url = (  # trigger-shim: ignore it is a test\n    '/'\n)",
    ],
)
def test_a_comment_with_a_reason_suppresses(text: str) -> None:
    sifted = sift(text, find(text))

    assert (sifted.findings, sifted.suppressed) == ([], len(find(text)))


@pytest.mark.parametrize(
    "text",
    [
        f"{CALL} # trigger-shim: ignore",
        f"{CALL} <!-- trigger-shim: ignore -->",
        f"# trigger-shim: ignored by whom?\n{CALL}",
        f"# trigger-shim: ignore it, far away\n\n{CALL}",
        f"other # trigger-shim: ignore the line of another call\n{CALL}",
        f"{CALL}\n# trigger-shim: ignore from below",
        f"# trigger-shim: silence it please\n{CALL}",
    ],
)
def test_anything_else_suppresses_nothing(text: str) -> None:
    sifted = sift(text, find(text))

    assert (len(sifted.findings), sifted.suppressed) == (1, 0)


def test_a_comment_without_a_reason_is_told() -> None:
    text = f"x\n{CALL} # trigger-shim: ignore\n"

    assert sift(text, find(text)).unexplained == (2,)
