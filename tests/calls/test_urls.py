import pytest

from proxy.calls import urls

PATH = "/acme/shop/ci_workflows/build/trigger"


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("https://a/b/c", ("https://a", "/b/c")),
        ("https://a/b?c=https://d/e", ("https://a", "/b")),
        ("a/b", ("a", "/b")),
        ("\ue000/b", ("\ue000", "/b")),
        ("https://\ue000:1/b", ("https://\ue000:1", "/b")),
        ("https://a", ("https://a", "")),
        ("/b", ("", "/b")),
    ],
)
def test_a_url_is_a_base_and_a_path(url: str, parts: tuple[str, str]) -> None:
    assert urls.split(url) == parts


@pytest.mark.parametrize(
    ("method", "url", "is_withdrawn"),
    [
        ("POST", f"https://a{PATH}", True),
        ("GET", f"https://a{PATH}", True),
        ("GET", "https://a/acme/shop/cicd/runs", True),
        ("PUT", "https://a/acme/shop/cicd/runs", False),
        ("POST", "https://a/repos/acme/shop/cicd/runs", False),
        ("DELETE", "https://api.sourcecraft.tech/acme/shop", True),
        ("DELETE", "\ue000/acme/shop", True),
        ("POST", "https://a/\ue000/ci_workflows/build/trigger", True),
        ("POST", "https://a/x/ci_workflows/build/trigger", False),
        ("POST", "https://a/\ue000/cicd/runs", False),
        ("DELETE", "https://example.com/acme/shop", False),
    ],
)
def test_withdrawn_urls_are_known_by_their_paths(method: str, url: str, is_withdrawn: bool) -> None:
    assert urls.is_withdrawn(method, url) is is_withdrawn


@pytest.mark.parametrize(
    ("url", "filled", "used"),
    [
        (f"A{PATH}", f"A{PATH}", []),
        ("B/build/trigger", "A/acme/shop/ci_workflows/build/trigger", ["B"]),
        ("U", f"A{PATH}", ["U", "B"]),
        ("C", "C", []),
        ("A/x", "A/x", []),
        ("L", "L", []),
    ],
)
def test_values_are_filled_in_only_where_they_make_a_withdrawn_url(url: str, filled: str, used: list[str]) -> None:
    known = {"B": "A/acme/shop/ci_workflows", "U": "B/build/trigger", "C": "https://x", "L": "LL"}
    assert urls.filled_in("POST", url, known.get) == (filled, used)


@pytest.mark.parametrize("path", ["acme/shop/cicd/runs", "repos/acme/shop/cicd/runs", "repos/id:4/cicd/runs"])
def test_successors_are_known_too(path: str) -> None:
    assert urls.is_known("POST", f"https://api.sourcecraft.tech/{path}")
    assert not urls.is_known("POST", f"https://api.sourcecraft.tech/v1/{path}")


@pytest.mark.parametrize("both", ["\ue000", "${{ github.repository }}", "{{ repo }}", "$(REPOSITORY)"])
def test_one_variable_can_hold_organization_and_repository(both: str) -> None:
    found = urls.match("POST", f"\ue001/{both}/ci_workflows/build/trigger")
    assert found is not None
    assert (found.segments["org"].encode("latin-1").decode(), found.segments["repo"]) == (both, urls.IN_THE_VARIABLE)
    assert not urls.is_trigger("https://a/shop/ci_workflows/build/trigger")
